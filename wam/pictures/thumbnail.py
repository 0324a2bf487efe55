"""Small pictures of a picture, made anew: those in a file show the unmarked picture, and may lie on their side."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from wam.pictures.containers import jpeg
from wam.pictures.pillow import averaged
from wam.pictures.samples import Pixels

SIDE = 160  # the longer side of a thumbnail in EXIF (Exif 2.3, section 4.5.4), pixels
MOST_SIDE = 1 << 14  # of a copy that is made anew, pixels
_LEAST_SIDE = 16
_QUALITIES = (85, 70, 50, 30)
_COMPARED_SIDE = 48  # at which two pictures are compared, pixels
_ALIKE, _CORRELATED, _BRIGHTER = 4.0, 0.99, 12.0  # RMS in 8-bit levels, or correlation and difference of means


def small(pixels: Pixels, room: int, side: int = SIDE) -> bytes | None:
    """A JPEG of ``pixels`` (H, W, 3), ``side`` long or, where nothing else fits, shorter, of at most ``room`` bytes."""
    while side >= _LEAST_SIDE:
        step = max(1, max(pixels.shape[:2]) // (4 * side))
        image = Image.fromarray(pixels[::step, ::step])
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        for quality in _QUALITIES:
            stream = io.BytesIO()
            image.save(stream, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
            if stream.tell() <= room:
                return stream.getvalue()
        side //= 2
    return None


def remade(old: bytes, pixels: Pixels) -> bytes | None:
    """A JPEG of ``pixels`` with the size of the picture in ``old``, at most as long; None where there is none."""
    image = _opened(old)
    return None if image is None else small(pixels, len(old), min(max(image.size), MOST_SIDE))


def padded(content: bytes, size: int) -> bytes:
    """The same JPEG with exactly so many bytes: what is missing is a comment, or fill bytes before a marker."""
    filled, room = b"", size - len(content)
    while room >= 4:
        length = min(room, jpeg.SEGMENT_BYTES)
        filled += struct.pack(">BBH", 0xFF, jpeg.COMMENT, length - 2) + bytes(length - 4)
        room -= length
    return content[:2] + filled + b"\xff" * room + content[2:]


def shows(content: bytes, pixels: Pixels) -> bool:
    """Whether a JPEG shows the picture of these pixels (H, W, 3), in any size."""
    image = _opened(content)
    height, width = pixels.shape[:2]
    if image is None or abs(image.width / image.height * height / width - 1) > 0.03:
        return False
    try:
        image.draft("RGB", (2 * _COMPARED_SIDE, 2 * _COMPARED_SIDE))
        one, other = (_floats(each) for each in (_small(image.convert("RGB")), averaged(pixels, _COMPARED_SIDE)))
    except (OSError, SyntaxError, ValueError):  # damaged
        return False
    apart = one - other
    if float(np.sqrt(np.mean(apart**2))) <= _ALIKE:
        return True
    if image.mode != "RGB" or min(float(one.std()), float(other.std())) < 1:
        return False
    alike = float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
    return alike >= _CORRELATED and abs(float(apart.mean())) <= _BRIGHTER


def _small(image: Image.Image) -> Image.Image:
    return image.resize((_COMPARED_SIDE, _COMPARED_SIDE), Image.Resampling.BOX)


def _floats(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.float32)


def _opened(content: bytes) -> Image.Image | None:
    try:
        return Image.open(io.BytesIO(content), formats=("JPEG",))
    except Exception:  # Pillow raises nearly anything on damaged files
        return None
