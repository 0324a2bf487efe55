"""What a run knows of each file from its manifest, and notes there, whatever was put into the file.

`ledger` adds the ids of link mode; in record mode there are none, so that a file is either done or not.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from payload import Record, format_time
from payload.records.record import now
from wam.jobs.manifest import Manifest, ManifestError
from wam.jobs.plan import Item
from wam.pictures.storage import fingerprint, hash_of
from wam.pipeline.loaded import Written
from wam.pipeline.mark_link import EmbedResult, SelfCheckError
from wam.pipeline.mark_record import RecordResult
from wam.pipeline.options import USUAL, Settings

Result = TypeVar("Result", EmbedResult, RecordResult)


class Book:
    """One run's manifest, None where outputs lie beside their inputs; ``model`` as NAME@HASH8. Safe for threads."""

    def __init__(self, model: str, manifest: Manifest | None = None, settings: Settings = USUAL) -> None:
        self.model = model
        self.manifest = manifest
        self.settings = settings
        self.noted = 0  # files that this run has marked
        self._lock = threading.Lock()

    def finished(self, item: Item) -> dict[str, Any] | None:
        """The manifest's line of a file that is done: record, settings, source and output as then."""
        line = self._marked(item)
        if line is None or self.changes(item):
            return None
        if line.get("source") != fingerprint(item.source.location) or line.get("sha256") != hash_of(item.target):
            return None
        return line if self._holds(line) else None

    def changes(self, item: Item) -> tuple[str, ...]:
        """How a file that was marked before was marked otherwise; empty for any other file."""
        line = self._marked(item)
        if line is None:
            return ()
        changed = self.settings.differences(line)
        if line.get("model") != self.model:
            changed += (f"model was {line.get('model')}, is {self.model}",)
        return changed if same_record(item, line) else (*changed, "the record was another")

    def note(self, item: Item, result: Result) -> Result:
        """Enters a written file, ``result``; returns it with notes on what it took the place of."""
        result = replace(result, written=self._with_notes(item, result.written))
        if self.manifest is not None:
            extra = {
                "sha256": result.written.sha256,
                "source": fingerprint(item.source.location),
                "settings": self.settings.to_dict(),
            }
            self.manifest.add(begun_line(item, "marked") | result.to_dict() | extra, durable=False)
        with self._lock:
            self.noted += 1
        return result

    def fail(self, item: Item, error: Exception, values: dict[str, Any]) -> None:
        """Notes a file that could not be marked; ``values`` is the contract's object for it. A full disk takes none."""
        if self.manifest is None:
            return
        with suppress(ManifestError):
            self.manifest.add(begun_line(item, "failed") | values, durable=False)

    def failed_object(self, item: Item, error: BaseException | None, message: str) -> dict[str, Any]:
        """The contract's object for an image that could not be marked."""
        empty = dict.fromkeys(("output", "width", "height"))
        record = None if item.record is None else item.record.to_dict()
        values = {
            "image": os.fspath(item.source.location),
            **empty,
            "mode": self.settings.mode,
            "record": record,
            **dict.fromkeys(("link", "messages", "psnr_db", "ssim")),
            "self_check": "failed" if isinstance(error, SelfCheckError) else None,
            "model": self.model,
            "error": message,
            **dict.fromkeys(("lost", "notes", "frames", "labelled")),
        }
        return values if self.settings.mode == "link" else {**values, "marks": None}

    def _holds(self, line: dict[str, Any]) -> bool:
        """Whether what a marked file says is still so elsewhere."""
        return True

    def _last(self, item: Item) -> dict[str, Any] | None:
        return None if self.manifest is None else self.manifest.done.get(item.source.name)

    def _marked(self, item: Item) -> dict[str, Any] | None:
        line = self._last(item)
        return line if line is not None and line.get("status") == "marked" else None

    def _with_notes(self, item: Item, written: Written) -> Written:
        line, changed = self._marked(item), self.changes(item)
        notes: tuple[str, ...] = ()
        if written.replaced:
            earlier = f" with {line['link']}" if line is not None and line.get("link") else ""
            notes += (f"replaced an earlier output{earlier}",)
        if changed:
            notes += (f"marked again: {', '.join(changed)}",)
        return replace(written, notes=(*written.notes, *notes))


def earlier_line(book: Book, item: Item, *, resume: bool) -> dict[str, Any] | None:
    """The line of a file that need not be marked again; raises ``ValueError`` for one that cannot be marked."""
    if item.problem is not None:
        raise ValueError(item.problem)
    return book.finished(item) if resume else None


def begun_line(item: Item, status: str) -> dict[str, Any]:
    """The part that every line of a manifest has."""
    return {"path": item.source.name, "status": status, "at": format_time(now())}


def same_record(item: Item, line: dict[str, Any]) -> bool:
    """Whether a line is about the record that is asked for; a time counts only where it was given."""
    if item.record is None or not isinstance(line.get("record"), dict):
        return False
    try:
        known = Record.from_dict(line["record"])
    except ValueError:
        return False
    same = (known.asset, known.owner, known.user) == (item.record.asset, item.record.owner, item.record.user)
    return same and (not item.timed or known.ingested_at == item.record.ingested_at)
