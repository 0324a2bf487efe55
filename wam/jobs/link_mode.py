"""Link mode in a run: an id's way from pending to marked, in registry and manifest; a crash at any point loses nothing.

reserve   id pending in the registry, then a line in the manifest
          ... the file is marked, read back and written under its name ...
settle    id marked in the registry, then a line in the manifest with the file's hash

Killed before the file is there, an id stays pending and names no file. Killed after, it is pending although a file
carries it. Either way the next run with that manifest takes the same id for the same file again, which gives the same
bytes, so that nothing needs to be found out. Without a manifest a run takes the same id again where source and record
are the same, whether the earlier mark was confirmed or not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from payload import PayloadError
from payload.registry import Registry
from payload.registry.entry import IN_USE, Entry
from payload.registry.reservations import Wanted
from wam.errors import ImageError, mask_secrets, show_name
from wam.jobs.journal import Journal
from wam.jobs.modes import Reservation, Written, note_failure
from wam.jobs.outcome import EmbedResult
from wam.jobs.plan import Item
from wam.pictures.storage import exists
from wam.pipeline.mark_copies import CopiesMarking
from wam.pipeline.mark_link import REUSED, LinkMarking
from wam.pipeline.mark_signed import keep_manifest, signed
from wam.pipeline.marked import MarkReport
from wam.pipeline.marking import Marking
from wam.pipeline.registered_words import RegisteredWords, label_of
from wam.provenance.credentials import Credentials

CONFIRM_TRIES = 3  # a registry may be busy; the file is written by then
CONFIRM_PAUSE = 0.5  # seconds


class ConfirmError(ImageError):
    """A file was written, but the registry did not take it down."""


class LinkMode:
    """The ``MarkMode`` of link mode: the registry gives ids and keeps the records."""

    def __init__(
        self,
        registry: Registry,
        journal: Journal,
        *,
        new_link: bool = False,
        confirm_pause: float = CONFIRM_PAUSE,
        credentials: Credentials | None = None,
        copies: bool = False,
    ) -> None:
        """``copies``: of one picture, which is prepared once."""
        self.registry = registry
        self.journal = journal
        kind = CopiesMarking if copies else LinkMarking
        self.marking: Marking = signed(kind(journal.options, RegisteredWords(registry)), credentials)
        self.new_link = new_link
        self.confirm_pause = confirm_pause

    @property
    def by_digest(self) -> bool:
        """A source that comes again for the same record gets the same link."""
        return True

    def earlier(self, item: Item) -> dict[str, Any] | None:
        """See ``MarkMode.earlier``; what was withdrawn is marked again."""
        line = self.journal.finished(item)
        if line is None:
            return None
        entry = self.registry.find_link(line["link"])
        return line if entry is not None and entry.state == "marked" else None

    def reserve(self, items: Sequence[Item], digests: Sequence[str | None]) -> list[Reservation]:
        """Reserves an id for each item: that of a run that was cut off, or of an earlier mark of the same source for
        the same record, where there is one."""
        found = {place: self._left_over(item) for place, item in enumerate(items)}
        reserved = {place: one for place, one in found.items() if one is not None}
        try:
            reserved |= self._new({place: items[place] for place in found if found[place] is None}, digests)
            ordered = [reserved[place] for place in range(len(items))]
            self.journal.reserve(list(items), [_named(item, one) for item, one in zip(items, ordered, strict=True)])
        except BaseException:
            for one in reserved.values():
                self.abandon(one)
            raise
        return ordered

    def settle(self, item: Item, reservation: Reservation, written: Written) -> EmbedResult:
        """Enters a written file; raises ``ConfirmError`` if the registry does not answer: the id then stays pending."""
        entry, output = reservation.entry, os.fspath(item.target)
        assert entry is not None
        self._confirm(item, entry, written.report, output)
        image = os.fspath(item.source.location)
        notes = (REUSED,) if reservation.reused else ()
        return self.journal.note(item, EmbedResult(image, output, written.report, written.replaced, notes))

    def abandon(self, reservation: Reservation) -> None:
        """Gives up the id of a file that was not written, unless an earlier run may have written it."""
        entry = reservation.entry
        if entry is not None and entry.state == "pending" and not reservation.carried:
            with suppress(PayloadError):  # where the registry does not answer it stays pending, which names no file
                self.registry.discard(entry.word, generation=entry.generation)

    def fail(self, item: Item, error: Exception, message: str) -> dict[str, Any]:
        """See ``MarkMode.fail``. What was written, but not confirmed, stays pending."""
        return note_failure(self.journal, item, error, message, stays=isinstance(error, ConfirmError))

    def _new(self, items: Mapping[int, Item], digests: Sequence[str | None]) -> dict[int, Reservation]:
        """Ids of the registry, all or none."""
        wanted = []
        for place, item in items.items():
            assert item.record is not None
            wanted.append(Wanted(item.record, digests[place], timed=item.timed))
        found = self.registry.reserve(wanted, new_link=self.new_link) if wanted else []
        return {place: self._reservation(one.entry, reused=one.reused) for place, one in zip(items, found, strict=True)}

    def _left_over(self, item: Item) -> Reservation | None:
        """The id that a run reserved for this file when it was cut off; one for another record is given up."""
        line = self.journal.last(item)
        if line is None or line.get("status") != "pending" or not line.get("link"):
            return None
        entry = self.registry.find_link(line["link"])
        if entry is None or entry.state not in IN_USE:
            return None
        if self.journal.cut_off(item) is not None:
            return self._reservation(entry, carried=exists(item.target))
        self.abandon(self._reservation(entry))
        return None

    def _reservation(self, entry: Entry, *, carried: bool = False, reused: bool = False) -> Reservation:
        return Reservation(entry.record, entry, carried, reused, label_of(self.registry, entry))

    def _confirm(self, item: Item, entry: Entry, report: MarkReport, output: str) -> None:
        for attempt in range(CONFIRM_TRIES):
            try:
                # again: an earlier mark's id, or one whose confirmation went through though its answer was lost
                self.registry.confirm(
                    entry.word,
                    generation=entry.generation,
                    phash=report.phash,
                    output=mask_secrets(output),
                    again=True,
                    sketch=report.sketch,
                    pdq=report.pdq,
                )
                keep_manifest(self.registry, report)
                return
            except PayloadError as error:
                found = str(error)
                time.sleep(self.confirm_pause * (attempt + 1))
        again = "run it again" if self.journal.manifest is not None else "mark the original again"
        raise ConfirmError.about(
            item.source.location,
            expected=f"the registry to confirm {entry.link}",
            found=found,
            remedy=f"{show_name(output)} is written, its id is pending; {again} when the registry answers",
        )


def _named(item: Item, reservation: Reservation) -> dict[str, Any]:
    """What a pending line says besides its file."""
    entry = reservation.entry
    assert entry is not None
    return {
        "image": mask_secrets(os.fspath(item.source.location)),
        "record": entry.record.to_dict(),
        "link": entry.link,
    }
