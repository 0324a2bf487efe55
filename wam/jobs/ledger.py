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
from contextlib import suppress
from typing import Any

from payload import PayloadError, Record, format_time, parse_link
from payload.entry import Entry
from payload.record import now
from payload.registry import Registry
from wam.errors import ImageError
from wam.jobs.manifest import Manifest, ManifestError
from wam.jobs.marking import EmbedResult, SelfCheckError, Written, discard
from wam.jobs.plan import Item
from wam.jobs.storage import fingerprint, hash_of

CONFIRM_TRIES = 3  # a registry may be busy; the file is written by then
CONFIRM_PAUSE = 0.5  # seconds


class ConfirmError(ImageError):
    """A file was written, but the registry did not take it down."""


class Ledger:
    """Registry and manifest of one run; ``manifest`` None where outputs lie beside their inputs. Safe for threads."""

    def __init__(self, registry: Registry, model: str, manifest: Manifest | None = None) -> None:
        self.registry = registry
        self.model = model
        self.manifest = manifest

    def finished(self, item: Item) -> dict[str, Any] | None:
        """The manifest's line of a file that is done: record, model, source and output as then, id still marked."""
        line = self._last(item)
        if line is None or line.get("status") != "marked" or not _same_record(item, line):
            return None
        if line.get("model") != self.model:
            return None
        if line.get("source") != fingerprint(item.source.location) or line.get("sha256") != hash_of(item.target):
            return None
        entry = self.registry.find(parse_link(line["link"]))
        return line if entry is not None and entry.state == "marked" else None

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
        result = EmbedResult(os.fspath(item.source.location), output, entry, self.model, written)
        if self.manifest is not None:
            extra = {"sha256": written.sha256, "source": fingerprint(item.source.location)}
            self.manifest.add(_line(item, "marked") | result.to_dict() | extra, durable=False)
        return result

    def abandon(self, entry: Entry) -> None:
        """Gives up the id of a file that was not written."""
        if entry.state == "pending":
            discard(self.registry, entry)

    def fail(self, item: Item, error: Exception, values: dict[str, Any]) -> None:
        """Notes a file that could not be marked; ``values`` is the contract's object for it. One that was written, but
        not confirmed, stays pending, and a full disk takes no note."""
        if self.manifest is None or isinstance(error, ConfirmError):
            return
        with suppress(ManifestError):
            self.manifest.add(_line(item, "failed") | values, durable=False)

    def _last(self, item: Item) -> dict[str, Any] | None:
        return None if self.manifest is None else self.manifest.done.get(item.source.name)

    def _left_over(self, item: Item) -> Entry | None:
        """The id that a run reserved for this file when it was cut off; one for another record is given up."""
        line = self._last(item)
        if line is None or line.get("status") != "pending":
            return None
        entry = self.registry.find(parse_link(line["link"]))
        if entry is None or entry.state not in ("pending", "marked"):
            return None
        if _same_record(item, line):
            return entry
        self.abandon(entry)
        return None

    def _pending(self, item: Item, entry: Entry) -> dict[str, Any]:
        record = {"image": os.fspath(item.source.location), "record": entry.record.to_dict(), "link": entry.link}
        return _line(item, "pending") | record

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


def failed_object(item: Item, model: str, error: BaseException | None, message: str) -> dict[str, Any]:
    """The contract's object for an image that could not be marked."""
    empty = dict.fromkeys(("output", "width", "height"))
    record = None if item.record is None else item.record.to_dict()
    return {
        "image": os.fspath(item.source.location),
        **empty,
        "mode": "link",
        "record": record,
        **dict.fromkeys(("link", "messages", "psnr_db", "ssim")),
        "self_check": "failed" if isinstance(error, SelfCheckError) else None,
        "model": model,
        "error": message,
        **dict.fromkeys(("lost", "notes", "frames", "labelled")),
    }


def _line(item: Item, status: str) -> dict[str, Any]:
    return {"path": item.source.name, "status": status, "at": format_time(now())}


def _same_record(item: Item, line: dict[str, Any]) -> bool:
    """Whether a line is about the record that is asked for; a time counts only where it was given."""
    if item.record is None or not isinstance(line.get("record"), dict):
        return False
    try:
        known = Record.from_dict(line["record"])
    except ValueError:
        return False
    same = (known.asset, known.owner, known.user) == (item.record.asset, item.record.owner, item.record.user)
    return same and (not item.timed or known.ingested_at == item.record.ingested_at)
