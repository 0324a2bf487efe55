"""Record mode in a run: no registry; only the manifest keeps account, so that a file is either done or not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from payload import Record
from wam.errors import mask_secrets
from wam.jobs.journal import Journal, record_of
from wam.jobs.modes import Reservation, Written, note_failure
from wam.jobs.outcome import EmbedResult
from wam.jobs.plan import Item
from wam.pipeline.mark_record import RecordMarking
from wam.pipeline.mark_signed import signed
from wam.pipeline.marking import Marking
from wam.provenance.credentials import Credentials


class RecordMode:
    """The ``MarkMode`` of record mode."""

    def __init__(self, journal: Journal, *, credentials: Credentials | None = None) -> None:
        self.journal = journal
        self.marking: Marking = signed(RecordMarking(journal.options), credentials)

    def earlier(self, item: Item) -> dict[str, Any] | None:
        """See ``MarkMode.earlier``."""
        return self.journal.finished(item)

    @property
    def by_digest(self) -> bool:
        """What a source holds makes no difference."""
        return False

    def reserve(self, items: Sequence[Item], digests: Sequence[str | None]) -> list[Reservation]:
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
        return note_failure(self.journal, item, error, message)

    def _record(self, item: Item) -> Record:
        line = self.journal.cut_off(item)
        record = item.record if line is None else record_of(line)
        assert record is not None
        return record


def _named(item: Item, record: Record) -> dict[str, Any]:
    """What a pending line says besides its file."""
    return {"image": mask_secrets(os.fspath(item.source.location)), "record": record.to_dict()}
