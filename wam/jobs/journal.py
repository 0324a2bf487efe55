"""What a run knows of each file from its manifest, and notes there, whatever was put into the file."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from payload import Record, format_time
from payload.records.record import now
from wam.jobs.manifest import Manifest, ManifestError
from wam.jobs.outcome import EmbedResult
from wam.jobs.plan import Item
from wam.networks.strength import shown
from wam.pictures.storage import exists, fingerprint, hash_of
from wam.pipeline.options import MarkOptions, names_key


class Journal:
    """One run's manifest, None where outputs lie beside their inputs; ``model`` as NAME@HASH8, ``same_as`` others whose
    marks are read alike, so that their runs go on; ``key`` is the secret that the options name. Safe for threads."""

    def __init__(
        self,
        model: str,
        manifest: Manifest | None = None,
        options: MarkOptions | None = None,
        *,
        same_as: Collection[str] = (),
        key: bytes | None = None,
    ) -> None:
        self._key = key
        self.model = model
        self.same_as = same_as
        self.manifest = manifest
        self.options = options or MarkOptions()
        self.noted = 0  # files that this run has marked
        self._lock = threading.Lock()

    def last(self, item: Item) -> dict[str, Any] | None:
        """The last line on a file of earlier runs."""
        return None if self.manifest is None else self.manifest.done.get(item.source.name)

    def cut_off(self, item: Item) -> dict[str, Any] | None:
        """The line of an earlier run that ended while it was at this file and record, None for any other file."""
        line = self.last(item)
        return line if line is not None and line.get("status") == "pending" and same_record(item, line) else None

    def finished(self, item: Item) -> dict[str, Any] | None:
        """The manifest's line of a file that is done: record, options, source and output as then."""
        line = self._marked(item)
        if line is None or self.changes(item):
            return None
        if line.get("source") != fingerprint(item.source.location) or line.get("sha256") != hash_of(item.target):
            return None
        return line

    def changes(self, item: Item) -> tuple[str, ...]:
        """How a file that was marked before was marked otherwise; empty for any other file."""
        line = self._marked(item)
        if line is None:
            return ()
        changed = differences(self.options, line, key=self._key)
        if line.get("model") not in (self.model, *self.same_as):
            changed += (f"model was {line.get('model')}, is {self.model}",)
        return changed if same_record(item, line) else (*changed, "the record was another")

    def reserve(self, items: list[Item], extra: list[dict[str, Any]]) -> None:
        """Notes that files are about to be written; the lines are on the disk when this returns."""
        if self.manifest is not None:
            lines = zip(items, extra, strict=True)
            self.manifest.add(*(begun_line(item, "pending") | values for item, values in lines))

    def note(self, item: Item, result: EmbedResult) -> EmbedResult:
        """Enters a written file, ``result``; returns it with notes on what it took the place of."""
        result = replace(result, notes=(*result.notes, *self.notes(item, replaced=result.replaced)))
        self.enter(item, result.to_dict(), sha256=result.report.sha256)
        return result

    def enter(self, item: Item, said: Mapping[str, Any], *, sha256: str) -> None:
        """Enters a written file; ``said``: the contract's object for it, ``sha256``: of its content."""
        if self.manifest is not None:
            extra = {
                "sha256": sha256,
                "source": fingerprint(item.source.location),
                "settings": self.options.to_dict(),
            }
            self.manifest.add({**begun_line(item, "marked"), **said, **extra}, durable=False)
        with self._lock:
            self.noted += 1

    def fail(self, item: Item, values: Mapping[str, Any]) -> None:
        """Notes a file that could not be marked; ``values`` is the contract's object for it. A full disk takes none.

        What a run that was cut off may have written stays pending, so that what it reserved is taken up again.
        """
        if self.manifest is None or (self.cut_off(item) is not None and exists(item.target)):
            return
        with suppress(ManifestError):
            self.manifest.add({**begun_line(item, "failed"), **values}, durable=False)

    def _marked(self, item: Item) -> dict[str, Any] | None:
        line = self.last(item)
        return line if line is not None and line.get("status") == "marked" else None

    def notes(self, item: Item, *, replaced: bool) -> Iterator[str]:
        """What is to be said of a file that took the place of another one, or was marked otherwise before."""
        line, changed = self._marked(item), self.changes(item)
        if replaced:
            earlier = f", which had {line['link']}" if line is not None and line.get("link") else ""
            yield f"replaced an earlier output{earlier}"
        if changed:
            yield f"marked again: {', '.join(changed)}"


def begun_line(item: Item, status: str) -> dict[str, Any]:
    """The part that every line of a manifest has."""
    return {"path": item.source.name, "status": status, "at": format_time(now())}


def same_record(item: Item, line: dict[str, Any]) -> bool:
    """Whether a line is about the record that is asked for; a time counts only where it was given."""
    known = record_of(line)
    if item.record is None or known is None:
        return False
    same = (known.asset, known.owner, known.user) == (item.record.asset, item.record.owner, item.record.user)
    return same and (not item.timed or known.ingested_at == item.record.ingested_at)


def record_of(line: dict[str, Any]) -> Record | None:
    """The record that a line is about, None where it names none."""
    with suppress(ValueError):
        return Record.from_dict(line["record"]) if isinstance(line.get("record"), dict) else None
    return None


def differences(options: MarkOptions, line: dict[str, Any], *, key: bytes | None = None) -> tuple[str, ...]:
    """What the line of a marked file says was otherwise, each as ``NAME was THAT, is THIS``."""
    earlier = line.get("settings")
    if not isinstance(earlier, dict):
        return ("settings were not noted",)
    return tuple(_differences(options, earlier, line.get("frames"), key))


def _differences(options: MarkOptions, earlier: dict[str, Any], frames: object, key: bytes | None) -> Iterator[str]:
    if earlier.get("c2pa") and not options.c2pa:
        yield "c2pa was on, is off"
    for name, now_ in options.to_dict().items():
        before = earlier.get(name, False) if name == "c2pa" else earlier.get(name)
        if name == "key":
            if not names_key(before, key):
                yield f"key was {'none' if before is None else 'another'}, is {'none' if key is None else 'yours'}"
            continue
        if name == "frames" and frames == 1:
            continue  # a still picture: nothing depends on it
        if before != now_:
            yield f"{name} was {_shown(name, before)}, is {_shown(name, now_)}"


def _shown(name: str, value: object) -> str:
    if name == "strength":
        return shown(value) if value is None or isinstance(value, int | float) else str(value)
    if name == "quality" and value is None:
        return "the source's own"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)
