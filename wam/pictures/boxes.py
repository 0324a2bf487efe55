"""Boxes of AVIF and HEIC files, walked by their sizes (ISO/IEC 14496-12, sections 4.2 and 8.11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# from the file to the boxes that describe its pictures, each with the bytes of its payload before its first child:
# properties of items, then those of the frames of an animation, which may have no items
_ITEMS = ((b"meta", 4), (b"iprp", 0), (b"ipco", 0))
_FRAMES = ((b"moov", 0), (b"trak", 0), (b"mdia", 0), (b"minf", 0), (b"stbl", 0), (b"stsd", 8), (b"av01", 78))


@dataclass(frozen=True)
class Box:
    """A box of four letters, and where its payload starts and ends, in bytes of the file."""

    kind: bytes
    start: int
    end: int


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes one after another in a part of a file, up to the first that is damaged or does not end inside it."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        size, header = int.from_bytes(content[start : start + 4], "big"), 8
        if size == 1:  # 64 bits that follow
            size, header = int.from_bytes(content[start + 8 : start + 16], "big"), 16
        elif size == 0:  # all that is left
            size = end - start
        if size < header or start + size > end:
            return
        yield Box(content[start + 4 : start + 8], start + header, start + size)
        start += size


def properties(content: bytes) -> Iterator[Box]:
    """The boxes that say how the pictures of a file are coded and shown, the main picture's before others of a kind."""
    for path in (_ITEMS, _FRAMES):
        yield from _below(content, path, 0, len(content))


def _below(content: bytes, path: tuple[tuple[bytes, int], ...], start: int, end: int) -> Iterator[Box]:
    """The boxes inside those that a path of kinds leads to."""
    if not path:
        yield from boxes(content, start, end)
        return
    (kind, skipped), *rest = path
    for box in boxes(content, start, end):
        if box.kind == kind:
            yield from _below(content, tuple(rest), box.start + skipped, box.end)
