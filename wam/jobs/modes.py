"""What link and record mode do apart in a run: how a file is reserved, marked and settled. Engines know no more.

reserve   what goes into a file is fixed and, where there is a manifest, on the disk before anything is written
          ... ``marking`` marks and checks it, on any thread or machine, and the engine writes it ...
settle    the file is there: entered where accounts are kept
abandon   it was not written

A run that is killed in between takes what it reserved up again, so that the same file gets the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from payload import Record
from payload.registry.entry import Entry
from wam.jobs.journal import Journal
from wam.jobs.outcome import EmbedResult
from wam.jobs.plan import Item
from wam.pipeline.contract import failed_object
from wam.pipeline.marked import MarkReport
from wam.pipeline.marking import Marking
from wam.signal.label import Label


@dataclass(frozen=True)
class Reservation:
    """What goes into one file; ``entry`` of its id in link mode; ``carried``: a file of an earlier run may carry it;
    ``reused``: the id is that of an earlier mark of the same picture for the same record; ``label`` that its mark
    has."""

    record: Record
    entry: Entry | None = None
    carried: bool = False
    reused: bool = False
    label: Label | None = None

    @property
    def word(self) -> int | None:
        """What stands for the record, None in record mode."""
        return None if self.entry is None else self.entry.word


@dataclass(frozen=True)
class Written:
    """A file that is where it belongs; ``replaced`` another one of its name, not the input."""

    report: MarkReport
    replaced: bool


class MarkMode(Protocol):
    """One run in one mode; safe for threads."""

    journal: Journal

    @property
    def marking(self) -> Marking:
        """How pictures are marked and checked; can go to other processes."""
        ...

    def earlier(self, item: Item) -> dict[str, Any] | None:
        """The manifest's line of a file that is done and need not be marked again."""
        ...

    @property
    def by_digest(self) -> bool:
        """Whether ``reserve`` asks what the sources hold."""
        ...

    def reserve(self, items: Sequence[Item], digests: Sequence[str | None]) -> list[Reservation]:
        """Fixes what goes into each file; what a run that was cut off reserved for it is taken up again. ``digests``:
        the SHA-256 of each source's content, None where it is not known."""
        ...

    def settle(self, item: Item, reservation: Reservation, written: Written) -> EmbedResult:
        """Enters a written file."""
        ...

    def abandon(self, reservation: Reservation) -> None:
        """Gives up what was reserved for a file that was not written."""
        ...

    def fail(self, item: Item, error: Exception, message: str) -> dict[str, Any]:
        """Notes a file that could not be marked; returns the contract's object for it. ``message``: the line on it."""
        ...


def note_failure(
    journal: Journal, item: Item, error: Exception, message: str, *, stays: bool = False
) -> dict[str, Any]:
    """The contract's object for a file that could not be marked, entered in the manifest.

    ``stays``: its reservation stays, for the next run to take up.
    """
    values = dict(
        failed_object(
            image=os.fspath(item.source.location),
            mode=journal.options.mode,
            record=item.record,
            model=journal.model,
            error=error,
            message=message,
        )
    )
    if not stays:
        journal.fail(item, values)
    return values


def earlier_line(mode: MarkMode, item: Item, *, resume: bool) -> dict[str, Any] | None:
    """The line of a file that need not be marked again; raises ``ValueError`` for one that cannot be marked."""
    if item.problem is not None:
        raise ValueError(item.problem)
    return mode.earlier(item) if resume else None
