"""Photoshop's image resources (Adobe Photoshop File Formats Specification, "Image Resources"), which hold IPTC-IIM."""

from __future__ import annotations

import struct
from collections.abc import Iterator

PHOTOSHOP_START = b"Photoshop 3.0\0"
_IPTC, _THUMBNAILS = 0x0404, (0x0409, 0x040C)


def resources(block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, data and the whole of each resource, up to the first that is damaged."""
    at = 0
    while block[at : at + 4] in (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR") and at + 12 <= len(block):
        number, length = struct.unpack_from(">HB", block, at + 4)
        start = at + 6 + length + 1 + (length + 1) % 2
        if start + 4 > len(block):
            return
        (size,) = struct.unpack_from(">I", block, start)
        end = start + 4 + size
        if end > len(block):
            return
        yield number, block[start + 4 : end], block[at : end + size % 2].ljust(end + size % 2 - at, b"\0")
        at = end + size % 2


def iptc_of(block: bytes) -> bytes | None:
    """The IPTC-IIM data sets among the resources, those of several one after another."""
    return b"".join(data for number, data, _ in resources(block) if number == _IPTC) or None


def others_of(block: bytes) -> bytes:
    """All other resources but thumbnails, as they stand, and what follows the last one that is sound."""
    others = b"".join(whole for number, _, whole in resources(block) if number != _IPTC and number not in _THUMBNAILS)
    return others + _rest(block)


def _rest(block: bytes) -> bytes:
    """What is no resource, unless it is empty."""
    rest = block[sum(len(whole) for _, _, whole in resources(block)) :]
    return rest if rest.strip(b"\0") else b""


def has_thumbnail(block: bytes) -> bool:
    """Whether there is a small copy of the picture."""
    return any(number in _THUMBNAILS for number, _, _ in resources(block))


def without_thumbnail(block: bytes) -> bytes:
    """The resources without the small copy of the unmarked picture; to the byte as they are where there is none."""
    if not has_thumbnail(block):
        return block
    return b"".join(whole for number, _, whole in resources(block) if number not in _THUMBNAILS) + _rest(block)


def block_of(iptc: bytes | None, others: bytes = b"") -> bytes:
    """Image resources that hold IPTC-IIM data sets and others."""
    if not iptc:
        return others
    head = b"8BIM" + struct.pack(">HBBI", _IPTC, 0, 0, len(iptc))
    return head + iptc + bytes(len(iptc) % 2) + others
