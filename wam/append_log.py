"""Text files that grow by whole lines, and survive that a crash cuts the last one off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def append(path: Path, lines: str) -> None:
    """Appends text that ends with a line end, all of it or nothing; it is on the disk when this returns.

    A line that was cut off before is removed first. Raises ``OSError``, after a full disk as well: the file is then as
    it was.
    """
    content = lines.encode("utf-8")
    assert content.endswith(b"\n"), "what is appended are whole lines"
    with open(path, "ab", buffering=0) as stream:
        stream.truncate(_end_of_lines(path))
        write_whole(stream, content)
        os.fsync(stream.fileno())


def write_whole(stream: BinaryIO, content: bytes) -> None:
    """Appends to a file that is open for it, unbuffered: all or nothing, since a full disk takes a part without an
    error, and the next line would go on from it."""
    start, written = os.fstat(stream.fileno()).st_size, 0
    try:
        while written < len(content):
            written += stream.write(content[written:])
    except OSError:
        os.ftruncate(stream.fileno(), start)
        raise


def read(path: Path) -> str:
    """The whole lines, line ends as they are in the file; "" where there is no file yet."""
    if not path.exists():
        return ""
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1].decode("utf-8")


def _end_of_lines(path: Path, block: int = 65536) -> int:
    """Bytes up to the last line end."""
    with open(path, "rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - block)
            stream.seek(start)
            found = stream.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
