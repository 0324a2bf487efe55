"""AVIF and HEIC without loss: every sample comes back as it was.

HEIC by pillow-heif. Pillow's AVIF encoder always converts to luma and chroma, whose rounding moves samples by up to 3
levels; imagecodecs (the extra ``[avif]``) keeps RGB as it is. Without it Pillow's finest is what is written.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

GET_AVIF = "exactly with the extra [avif], else within 3 levels"


def encode_exactly(image: Image.Image, format: str) -> bytes:
    """The file of an L, RGB or RGBA picture, with nothing but its pixels."""
    if format == "HEIF":
        colour = {} if image.mode == "L" else {"chroma": 444, "matrix_coefficients": 0}
        return _saved(image, "HEIF", quality=-1, **colour)
    codec = avif_codec()
    if codec is not None and image.mode != "L":
        return bytes(codec(np.asarray(image), level=100))
    return _saved(image, "AVIF", quality=100, subsampling="4:0:0" if image.mode == "L" else "4:4:4")


def writes_exact_avif(*, grey: bool) -> bool:
    """Whether AVIF is written without loss here: grey always, colours with the extra."""
    return grey or avif_codec() is not None


def avif_codec() -> Any:
    """imagecodecs' encoder, None where the extra is not installed."""
    try:
        from imagecodecs import avif_encode
    except ImportError:
        return None
    return avif_encode


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()
