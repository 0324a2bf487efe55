"""The parts of a file of any format."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from wam.pictures.containers import bmp, gif, heif, jpeg, png, read_only, tiff, webp, xmp
from wam.pictures.containers.parts import EXIF, XMP, Part

_ONE = {EXIF: "EXIF block", XMP: "XMP packet"}
_PARTS: Mapping[str, Callable[[bytes], Iterator[Part]]] = {
    "JPEG": jpeg.parts,
    "PNG": png.parts,
    "WEBP": webp.parts,
    "TIFF": tiff.parts,
    "AVIF": partial(heif.parts, turned=False),
    "HEIF": partial(heif.parts, turned=True),
    "GIF": gif.parts,
    "JXL": read_only.jxl,
    "JPEG2000": read_only.jp2,
    "BMP": bmp.parts,
}


def inventory(content: bytes, format: str) -> tuple[Part, ...]:
    """All that a file holds beside its picture, as far as its structure is sound."""
    found: list[Part] = []
    if format not in _PARTS:
        return ()
    try:
        for part in _PARTS[format](content):
            found.append(part)
    except (struct.error, IndexError, ValueError):
        found.append(Part("unread", "what follows a damaged part of the file", content[:64]))
    return tuple(_each_once(found))


def _each_once(found: list[Part]) -> Iterator[Part]:
    """Further EXIF blocks and XMP packets by a name of their own: readers take the first."""
    seen: set[str] = set()
    for part in found:
        again = part.kind in _ONE and part.kind in seen
        seen.add(part.kind)
        yield Part(f"second {part.kind}", f"second {_ONE[part.kind]}", part.data) if again else part
        if part.kind == XMP and xmp.has_thumbnails(part.data):
            yield Part("XMP thumbnail", "XMP thumbnail", b"")
