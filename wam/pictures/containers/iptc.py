"""Photoshop's image resources (Adobe Photoshop File Formats Specification, "Image Resources"), which hold IPTC-IIM."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

PHOTOSHOP_START = b"Photoshop 3.0\0"
_IPTC, _OLD_THUMBNAIL, _THUMBNAIL = 0x0404, 0x0409, 0x040C  # the old one's red and blue have changed places
_THUMBNAILS = (_OLD_THUMBNAIL, _THUMBNAIL)
_HEADER = 28  # bytes before the JPEG of a thumbnail


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


def with_thumbnail(block: bytes, again: Callable[[bytes], bytes | None]) -> bytes:
    """The resources with another JPEG, which ``again`` makes of the old one, in the place of the small copy of the
    picture, or without one; to the byte as they are where there is none."""
    if not has_thumbnail(block):
        return block
    written = []
    for number, data, whole in resources(block):
        if number not in _THUMBNAILS:
            written.append(whole)
        elif number == _THUMBNAIL and data[:4] == b"\0\0\0\1":
            new = again(data[_HEADER:])
            written += [] if new is None else [_resource(number, _thumbnail_header(new) + new)]
    return b"".join(written) + _rest(block)


def _thumbnail_header(new: bytes) -> bytes:
    """What precedes the JPEG of a thumbnail: its kind, sides and lengths ("Thumbnail resource format")."""
    width, height = jpeg_size(new)
    row = (24 * width + 31) // 32 * 4
    return struct.pack(">6I2H", 1, width, height, row, row * height, len(new), 24, 1)


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height as the frame header of a JPEG states them (ITU-T T.81, section B.2.2)."""
    at = 2
    while at + 9 <= len(content):
        if content[at + 1] in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    raise ValueError("expected a JPEG with a frame header, found none, make another")


def _resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HBBI", number, 0, 0, len(data)) + data + bytes(len(data) % 2)


def block_of(iptc: bytes | None, others: bytes = b"") -> bytes:
    """Image resources that hold IPTC-IIM data sets and others."""
    if not iptc:
        return others
    return _resource(_IPTC, iptc) + others
