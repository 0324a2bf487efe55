"""An id's way from pending to marked, in registry and manifest, so that a crash at any point loses nothing.

begin     id pending in the registry, then a line in the manifest
          ... the file is marked, read back and written under its name ...
complete  id marked in the registry, then a line in the manifest with the file's hash

Killed before the file is there, an id stays pending and names no file. Killed after, it is pending although a file
carries it. Either way the next run with that manifest takes the same id for the same file again, which gives the same
bytes, so that nothing needs to be found out.
"""

from __future__ import annotations

import os
import time
from typing import Any

from payload import PayloadError, parse_link
from payload.registry import Registry
from payload.registry.entry import Entry
from wam.errors import ImageError
from wam.jobs.journal import Book, begun_line, same_record
from wam.jobs.manifest import Manifest
from wam.jobs.plan import Item
from wam.pictures.storage import exists
from wam.pipeline.loaded import Written
from wam.pipeline.mark_link import EmbedResult, discard
from wam.pipeline.options import USUAL, Settings

CONFIRM_TRIES = 3  # a registry may be busy; the file is written by then
CONFIRM_PAUSE = 0.5  # seconds


class ConfirmError(ImageError):
    """A file was written, but the registry did not take it down."""


class Ledger(Book):
    """Registry and manifest of one run in link mode; ``manifest`` None where outputs lie beside their inputs. Safe for
    threads."""

    def __init__(
        self, registry: Registry, model: str, manifest: Manifest | None = None, settings: Settings = USUAL
    ) -> None:
        super().__init__(model, manifest, settings)
        self.registry = registry
        self._carried: dict[int, str] = {}  # words of cut-off runs that a file may carry, and its name in the manifest

    def begin(self, *items: Item) -> list[Entry]:
        """Reserves an id for each item, that of a run that was cut off where there is one."""
        entries: list[Entry] = []
        try:
            for item in items:
                assert item.record is not None
                entries.append(self._left_over(item) or self.registry.allocate(item.record))
            if self.manifest is not None:
                self.manifest.add(*map(self._pending, items, entries))
        except BaseException:
            for entry in entries:
                self.abandon(entry)
            raise
        return entries

    def complete(self, item: Item, entry: Entry, written: Written) -> EmbedResult:
        """Enters a written file; raises ``ConfirmError`` if the registry does not answer: the id then stays pending."""
        output = os.fspath(item.target)
        if entry.state == "pending":
            entry = self._confirm(item, entry, written, output)
        return self.note(item, EmbedResult(os.fspath(item.source.location), output, entry, self.model, written))

    def abandon(self, entry: Entry) -> None:
        """Gives up the id of a file that was not written, unless an earlier run may have written it."""
        if entry.state == "pending" and entry.word not in self._carried:
            discard(self.registry, entry)

    def fail(self, item: Item, error: Exception, values: dict[str, Any]) -> None:
        """See ``Book.fail``. One that was written, but not confirmed, now or by an earlier run, stays pending."""
        if not isinstance(error, ConfirmError) and item.source.name not in self._carried.values():
            super().fail(item, error, values)

    def _holds(self, line: dict[str, Any]) -> bool:
        """Whether the id is still marked."""
        entry = self.registry.find(parse_link(line["link"]))
        return entry is not None and entry.state == "marked"

    def _left_over(self, item: Item) -> Entry | None:
        """The id that a run reserved for this file when it was cut off; one for another record is given up."""
        line = self._last(item)
        if line is None or line.get("status") != "pending":
            return None
        entry = self.registry.find(parse_link(line["link"]))
        if entry is None or entry.state not in ("pending", "marked"):
            return None
        if same_record(item, line):
            if exists(item.target):
                self._carried[entry.word] = item.source.name
            return entry
        self.abandon(entry)
        return None

    def _pending(self, item: Item, entry: Entry) -> dict[str, Any]:
        record = {"image": os.fspath(item.source.location), "record": entry.record.to_dict(), "link": entry.link}
        return begun_line(item, "pending") | record

    def _confirm(self, item: Item, entry: Entry, written: Written, output: str) -> Entry:
        for attempt in range(CONFIRM_TRIES):
            try:
                return self.registry.confirm(entry.word, phash=written.phash, output=output)
            except PayloadError as error:
                found = str(error)
                time.sleep(CONFIRM_PAUSE * (attempt + 1))
        again = "run it again" if self.manifest is not None else "mark the original again"
        raise ConfirmError.about(
            item.source.location,
            expected=f"the registry to confirm {entry.link}",
            found=found,
            remedy=f"{output} is written, its id is pending; {again} when the registry answers",
        )
