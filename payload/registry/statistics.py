"""What a registry holds, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payload.records.record import format_time
from payload.registry.entry import State


@dataclass(frozen=True)
class Statistics:
    """How many entries are in which of the ``states``, how many ids of ``capacity`` are ``allocated``, how many
    different assets, owners and users there are, and the times of the ``first`` and the ``last`` record, None where
    there is none."""

    states: Mapping[State, int]
    allocated: int
    capacity: int
    assets: int
    owners: int
    users: int
    first: datetime | None
    last: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as a JSON object, as ``wam registry stats`` writes it."""
        return {
            "states": dict(self.states),
            "allocated": self.allocated,
            "free": self.capacity - self.allocated,
            "assets": self.assets,
            "owners": self.owners,
            "users": self.users,
            "first": None if self.first is None else format_time(self.first),
            "last": None if self.last is None else format_time(self.last),
        }
