"""The manifest store inside a picture file, replaced by another of the same length (C2PA 2.4, appendix A).

Only the bytes of the store change, and what guards them, a PNG chunk's check sum: the hash that binds a manifest to its
file leaves them out, so that it stays right.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from wam.pictures.containers.png import SIGNATURE

_PNG_STORE = b"caBX"
_JPEG_START, _APP11, _SCAN, _END = b"\xff\xd8", 0xEB, 0xDA, 0xD9
# of a JPEG segment: "JP", a box's number, the segment's number; then length and kind of the box, in each segment again
_NUMBERED, _REPEATED = 8, 8


def replace_store(content: bytes, old: bytes, new: bytes) -> bytes:
    """The file with ``new`` in the place of ``old``; raises ``ValueError`` where that is not found, or not once."""
    if len(old) != len(new):
        raise ValueError(f"expected a store of {len(old)} bytes, found {len(new)}")
    if content.startswith(SIGNATURE):
        return _in_png(content, old, new)
    if content.startswith(_JPEG_START):
        return _in_jpeg(content, old, new)
    if content.count(old) != 1:
        raise ValueError("expected one manifest store in one piece, found none or several")
    return content.replace(old, new)


def _in_png(content: bytes, old: bytes, new: bytes) -> bytes:
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        body = at + 8
        if content[at + 4 : body] == _PNG_STORE and content[body : body + size] == old:
            check = zlib.crc32(_PNG_STORE + new).to_bytes(4, "big")
            return content[:body] + new + check + content[body + size + 4 :]
        at = body + size + 4
    raise ValueError("expected a caBX chunk with the manifest store, found none")


def _in_jpeg(content: bytes, old: bytes, new: bytes) -> bytes:
    places = list(_jpeg_pieces(content))
    if b"".join(content[start:end] for start, end in places) != old:
        raise ValueError("expected APP11 segments with the manifest store, found other ones")
    changed, at = bytearray(content), 0
    for start, end in places:
        changed[start:end] = new[at : at + end - start]
        at += end - start
    return bytes(changed)


def _jpeg_pieces(content: bytes) -> Iterator[tuple[int, int]]:
    """Where the pieces of the store are, the repeated header of its box left out from the second on."""
    at, first = 2, True
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] not in (_SCAN, _END):
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        body, end = at + 4, at + 2 + size
        if content[at + 1] == _APP11 and content[body : body + 2] == b"JP":
            yield body + _NUMBERED + (0 if first else _REPEATED), end
            first = False
        at = end
