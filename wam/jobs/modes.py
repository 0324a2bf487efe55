"""What link and record mode do apart in a run: how a file is reserved, marked and settled. Engines know no more.

reserve   what goes into a file is fixed and, where there is a manifest, on the disk before anything is written
          ... ``marking`` marks and checks it, on any thread or machine, and the engine writes it ...
settle    the file is there: entered where accounts are kept
abandon   it was not written

A run that is killed in between takes what it reserved up again, so that the same file gets the same bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Protocol

from payload import Record
from payload.registry.entry import Entry
from wam.errors import mask_secrets
from wam.jobs.journal import Journal, record_of, same_record
from wam.jobs.outcome import EmbedResult
from wam.jobs.plan import Item
from wam.pipeline.contract import failed_object
from wam.pipeline.mark_record import RecordMarking
from wam.pipeline.marked import MarkReport
from wam.pipeline.marking import Marking


@dataclass(frozen=True)
class Reservation:
    """What goes into one file; ``entry`` of its id in link mode."""

    record: Record
    entry: Entry | None = None

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

    def reserve(self, *items: Item) -> list[Reservation]:
        """Fixes what goes into each file; what a run that was cut off reserved for it is taken up again."""
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


class RecordMode:
    """Record mode: no registry; only the manifest keeps account, so that a file is either done or not."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.marking = RecordMarking(journal.options)

    def earlier(self, item: Item) -> dict[str, Any] | None:
        """See ``MarkMode.earlier``."""
        return self.journal.finished(item)

    def reserve(self, *items: Item) -> list[Reservation]:
        """The records; one that a run was cut off with keeps its time, so that the file comes out the same."""
        reserved = [Reservation(self._record(item)) for item in items]
        self.journal.reserve(list(items), [_named(item, one.record) for item, one in zip(items, reserved, strict=True)])
        return reserved

    def settle(self, item: Item, reservation: Reservation, written: Written) -> EmbedResult:
        """See ``MarkMode.settle``."""
        image, output = os.fspath(item.source.location), os.fspath(item.target)
        return self.journal.note(item, EmbedResult(image, output, written.report, replaced=written.replaced))

    def abandon(self, reservation: Reservation) -> None:
        """Nothing was taken."""

    def fail(self, item: Item, error: Exception, message: str) -> dict[str, Any]:
        """See ``MarkMode.fail``."""
        values = failure(self.journal, item, error, message)
        self.journal.fail(item, values)
        return values

    def _record(self, item: Item) -> Record:
        line = self.journal.last(item)
        cut_off = line is not None and line.get("status") == "pending" and same_record(item, line)
        record = record_of(line) if cut_off and line is not None else item.record
        assert record is not None
        return record


def failure(journal: Journal, item: Item, error: Exception, message: str) -> dict[str, Any]:
    """The contract's object for a file that could not be marked."""
    return dict(
        failed_object(
            image=os.fspath(item.source.location),
            mode=journal.options.mode,
            record=item.record,
            model=journal.model,
            error=error,
            message=message,
        )
    )


def earlier_line(mode: MarkMode, item: Item, *, resume: bool) -> dict[str, Any] | None:
    """The line of a file that need not be marked again; raises ``ValueError`` for one that cannot be marked."""
    if item.problem is not None:
        raise ValueError(item.problem)
    return mode.earlier(item) if resume else None


def _named(item: Item, record: Record) -> dict[str, Any]:
    """What a pending line says besides its file."""
    return {"image": mask_secrets(os.fspath(item.source.location)), "record": record.to_dict()}
