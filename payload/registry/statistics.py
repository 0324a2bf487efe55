"""What a registry holds, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from payload.records.record import format_time, parse_time
from payload.registry.entry import State
from payload.registry.export_import import Header
from payload.registry.schema import entry_table


@dataclass(frozen=True)
class Statistics:
    """How many entries are in which of the ``states``, how many ids are ``allocated`` and how many are ``free``, of
    the generation that is given out, words of which ``scheme`` are given out and of which ``generation``, how many
    different assets, owners and users there are, and the times of the ``first`` and the ``last`` record, None where
    there is none."""

    states: Mapping[State, int]
    allocated: int
    free: int
    assets: int
    owners: int
    users: int
    first: datetime | None
    last: datetime | None
    scheme: str = "plain"
    generation: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as a JSON object, as ``wam registry stats`` writes it."""
        return {
            "states": dict(self.states),
            "allocated": self.allocated,
            "free": self.free,
            "scheme": self.scheme,
            "generation": self.generation,
            "assets": self.assets,
            "owners": self.owners,
            "users": self.users,
            "first": None if self.first is None else format_time(self.first),
            "last": None if self.last is None else format_time(self.last),
        }


def statistics_of(connection: Connection, header: Header, states: Mapping[State, int]) -> Statistics:
    """Count what a registry holds, whose ``header`` and ``states`` are known."""
    columns = entry_table.c
    row = select(
        *(func.count(func.distinct(column)) for column in (columns.asset, columns.owner, columns.user)),
        func.min(columns.ingested_at),
        func.max(columns.ingested_at),
    )
    assets, owners, users, first, last = tuple(connection.execute(row).one())
    return Statistics(
        states=states,
        allocated=header.count,
        free=header.giving.free(header.count),
        assets=assets,
        owners=owners,
        users=users,
        first=None if first is None else parse_time(first),
        last=None if last is None else parse_time(last),
        scheme=header.giving.name,
        generation=header.giving.generation,
    )
