"""The small picture in EXIF, made anew: the source's shows the unmarked picture, and may lie on its side."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image

from wam.pictures.containers import exif
from wam.pictures.formats import Metadata
from wam.pictures.samples import Pixels

SIDE = 160  # the longer side of a thumbnail (Exif 2.3, section 4.5.4), pixels
_QUALITIES = (85, 70, 50, 30)


def with_new_thumbnail(metadata: Metadata, pixels: Pixels) -> Metadata:
    """Metadata whose EXIF has a thumbnail of ``pixels`` (H, W, 3) in the place of its own; without one that fits there,
    none. Metadata without a thumbnail stays the same object."""
    if metadata.exif is None or "IFD1" not in exif.known_directories(metadata.exif):
        return metadata
    made = exif.with_thumbnail(metadata.exif, lambda room: _small(pixels, room))
    return replace(metadata, exif=made)


def _small(pixels: Pixels, room: int) -> bytes | None:
    """A JPEG of at most so many bytes."""
    step = max(1, max(pixels.shape[:2]) // (4 * SIDE))
    image = Image.fromarray(pixels[::step, ::step])
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    for quality in _QUALITIES:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, subsampling="4:2:0")
        if stream.tell() <= room:
            return stream.getvalue()
    return None
