"""What a run has done: JSON Lines in the output folder, one object per step, the last one of each output counts.

``status``: ``pending`` (an id is reserved, the file may be there or not), ``marked`` (the file is there, with that
hash), ``failed`` (no file; why). A line that a crash cut off is left out when the file is read.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

from wam.append_log import write_whole
from wam.errors import WamError, show_name
from wam.pictures.storage import Location, is_inside, join, read_content, write_content

NAME = "manifest.jsonl"
REWRITE_SECONDS = 5.0  # between uploads of a manifest behind a URL, which cannot be appended to


class ManifestError(WamError):
    """A manifest that cannot be read, or that another run is writing."""


class Manifest:
    """The manifest of one output folder, open for more lines; safe for threads. Use as a context manager.

    ``done`` maps each output's name below the folder to its last line of earlier runs; ``follow_links``: it may be a
    link out of the folder.
    """

    def __init__(self, folder: Location, *, follow_links: bool = False) -> None:
        self.location = join(folder, NAME)
        if isinstance(self.location, Path) and not follow_links and not is_inside(self.location, folder):
            raise ManifestError(
                f"{show_name(str(self.location))}: expected a file of the folder, found a link out of it; "
                "remove the link, or add --follow-links"
            )
        self._lock = threading.Lock()
        self._stream: BinaryIO | None = None
        self._content = bytearray()  # of a manifest behind a URL
        self._uploaded, self._length = 0.0, 0  # when, and how many bytes of the content
        if isinstance(self.location, Path):
            self._stream = _open_alone(self.location)
        self.done = self._read()
        if self._stream is None:
            self._upload()  # a place that cannot be written is noticed before anything is done

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.close()
            elif len(self._content) > self._length:
                self._upload()

    def add(self, *lines: dict[str, Any], durable: bool = True) -> None:
        """Appends lines; they are on the disk when this returns, unless that can wait. Raises ``ManifestError``."""
        content = b"".join(json.dumps(line, ensure_ascii=True).encode() + b"\n" for line in lines)
        with self._lock:
            self.require_place()
            try:
                self._append(content, durable)
            except OSError as error:
                found, name = error.strerror or str(error), show_name(str(self.location))
                raise ManifestError(f"{name}: expected room for a line, found: {found}; free some space") from error

    def require_place(self) -> None:
        """Raises ``ManifestError`` if the folder, or this file in it, has gone since it was opened: what was written
        there would be lost without a word."""
        if self._stream is None:
            return
        try:
            there = os.path.samestat(os.stat(self.location), os.fstat(self._stream.fileno()))
        except OSError:
            there = False
        if not there:
            name = show_name(str(self.location))
            raise ManifestError(
                f"{name}: expected the folder to stay while it is written to, found it gone or replaced; run it again"
            )

    def _append(self, content: bytes, durable: bool) -> None:
        if self._stream is not None:
            write_whole(self._stream, content)
            if durable:
                os.fsync(self._stream.fileno())
            return
        self._content += content
        if durable or time.monotonic() - self._uploaded > REWRITE_SECONDS:
            self._upload()

    def _upload(self) -> None:
        try:
            write_content(self.location, bytes(self._content))
        except WamError as error:
            raise ManifestError(str(error)) from error
        self._uploaded, self._length = time.monotonic(), len(self._content)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            content = read_content(self.location)
        except OSError:
            return {}
        if content and not content.endswith(b"\n"):  # cut off: the next line starts on one of its own
            content += b"\n"
            if self._stream is not None:
                self._stream.write(b"\n")
        if self._stream is None:
            self._content += content
        done = {}
        for line in content.splitlines():
            try:
                values = json.loads(line)
                done[values["path"]] = values
            except (ValueError, KeyError, TypeError):
                continue
        return done


def _open_alone(path: Path) -> BinaryIO:
    """Opens a manifest for appending, unbuffered, and keeps other runs out until it is closed."""
    try:
        stream = open(path, "ab", buffering=0)  # noqa: SIM115 - closed with the manifest
    except OSError as error:
        name = show_name(str(path))
        raise ManifestError(f"{name}: expected to write it, found: {error.strerror}; choose another folder") from error
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows: two runs at once are not noticed there
        pass
    except OSError as error:
        stream.close()
        name = show_name(str(path.parent))
        raise ManifestError(
            f"{name}: expected a folder of its own, found another run writing there; wait for it, or choose another"
        ) from error
    return stream
