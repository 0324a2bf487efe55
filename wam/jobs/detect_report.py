"""What a run of ``detect`` found, in a file that grows line by line: a run that was cut off goes on from it.

A line is the contract's object for one picture, and beside it ``source``, what changes when the file is replaced, and
``settings``, how it was read. The last line of each picture counts; one that was read otherwise, whose file has changed
or that could not be read is read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from wam import append_log
from wam.errors import WamError, show_name
from wam.jobs.outcome import DetectOutcome
from wam.jobs.plan import Source
from wam.pictures.storage import fingerprint
from wam.pipeline.options import key_name, names_key

REPORT_ONLY = ("source", "settings")  # of a line, beside the contract's object


class ReportError(WamError):
    """A report that cannot be written or gone on with."""


@dataclass(frozen=True)
class Earlier:
    """What is known of a picture that was read before: how many ``marks`` it has, and whether one is ``verified``."""

    marks: int
    verified: bool


class DetectReport:
    """A report of JSON Lines at ``path``, gone on with where ``resume``; ``settings`` say how pictures are read, with
    the secret ``keys``, of which it holds what ``key_name`` says.

    Raises ``ReportError`` for a file that is there without ``resume``, and for one that is no report.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], *, resume: bool, keys: Sequence[bytes | None] = (None,)
    ) -> None:
        self.path = path
        self.settings = {**settings, "keys": [key_name(key) for key in keys]}
        self._keys = keys
        self._done: dict[int, Earlier] = {}  # by a hash: the names of millions of files would fill the memory
        if path.exists() and not resume:
            raise ReportError(f"{path}: expected a new file, found one that is there; add --resume or choose another")
        try:
            for values in self._objects():
                self._note(values)
            path.touch()
        except OSError as error:
            raise _unwritable(path, error) from error

    def earlier(self, source: Source) -> Earlier | None:
        """What an earlier run found in a picture that need not be read again."""
        if not self._done:
            return None
        state = fingerprint(source.location)
        return None if state is None else self._done.get(self._key(str(source.location), state))

    def add(self, outcome: DetectOutcome, *, model: str, message: str | None, candidates: bool = False) -> None:
        """Appends a picture's line, which is on the disk when this returns; ``message``: the line on its error;
        ``candidates``: with the records that marks could be of."""
        self.add_said(outcome.source, outcome.to_dict(model=model, message=message, candidates=candidates))

    def add_said(self, source: Source, said: Mapping[str, Any]) -> None:
        """The same of a picture that others have read; ``said``: the contract's object for it."""
        values = {**said, "source": fingerprint(source.location), "settings": self.settings}
        try:
            append_log.append(self.path, json.dumps(values, ensure_ascii=True) + "\n")
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def rows(self) -> Iterator[dict[str, Any]]:
        """The last object of each picture, in the order of the lines."""
        last = {_hash(values["image"]): place for place, values in enumerate(self._objects())}
        for place, values in enumerate(self._objects()):
            if last[_hash(values["image"])] == place:
                yield values

    def _objects(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        with open(self.path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith("\n"):
                    return  # cut off by a crash
                try:
                    values = json.loads(line)
                    values["image"], values["watermarks"], values["error"]
                except (ValueError, KeyError, TypeError) as error:
                    raise ReportError(
                        f"{show_name(str(self.path))}: line {number}: expected a line of wam detect --json, found "
                        "another; choose another file"
                    ) from error
                yield values

    def _note(self, values: Mapping[str, Any]) -> None:
        if values["error"] is not None or not self._read_alike(values.get("settings")) or not values.get("source"):
            return
        marks = values["watermarks"]
        verified = any(mark["status"] == "verified" and not mark["transplanted"] for mark in marks)
        self._done[self._key(values["image"], values["source"])] = Earlier(len(marks), verified)

    def _read_alike(self, settings: object) -> bool:
        """Whether a picture was read with these settings and keys."""
        if not isinstance(settings, dict):
            return False
        names = settings.get("keys")
        if not isinstance(names, list) or len(names) != len(self._keys):
            return False
        same_keys = all(names_key(name, key) for name, key in zip(names, self._keys, strict=True))
        return same_keys and {**settings, "keys": None} == {**self.settings, "keys": None}

    def _key(self, image: str, state: str) -> int:
        return _hash(f"{image}\0{state}")


def _hash(text: str) -> int:
    """64 bits, so that two of a million files are taken for one in one of 40 million runs."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def _unwritable(path: Path, error: OSError) -> ReportError:
    found = error.strerror or str(error)
    return ReportError(
        f"{show_name(str(path))}: expected to write a report there, found: {found}; choose another place"
    )
