"""AVIF and HEIC of 10 and 12 bits with all of them: read and written by imagecodecs (the extra ``[avif]``) and
pillow-heif, since Pillow keeps 8. Samples here have 16 bits, as in other deep pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from wam.pictures.exactly import avif_codec
from wam.pictures.formats import Samples, heif_works, quiet_pillow

_SPEED = 6  # of libaom, as Pillow takes it
_PIXELS = {"4:4:4": "yuv444", "4:2:2": "yuv422", "4:2:0": "yuv420"}
_CHROMA = {"4:4:4": 444, "4:2:2": 422, "4:2:0": 420}


def keeps_depth(format: str) -> bool:
    """Whether pictures of a format are read and written with more than 8 bits here."""
    return (format == "AVIF" and avif_codec() is not None) or (format == "HEIF" and heif_works())


def decode_deep(content: bytes, format: str, bits: int) -> Samples:
    """(H, W, C) uint16 from 0 to 65535 of a still picture of so many bits, as its file stores them."""
    if format == "AVIF":
        from imagecodecs import avif_decode

        codes = np.asarray(avif_decode(content))
    else:
        from pillow_heif import open_heif

        codes = np.asarray(open_heif(io.BytesIO(content), convert_hdr_to_8bit=False)) >> 16 - bits
    codes = codes.reshape(*codes.shape[:2], -1)
    return ((codes * np.uint64(65535) + (1 << bits - 1)) // ((1 << bits) - 1)).astype(np.uint16)


def encode_deep(samples: Samples, format: str, bits: int, *, quality: int | None, subsampling: str) -> bytes:
    """A file of uint16 samples, with so many bits of them and nothing beside its pixels; ``quality`` None: exactly."""
    most = (1 << bits) - 1
    codes = ((samples * np.uint64(most) + 32767) // 65535).astype(np.uint16)
    if codes.shape[2] == 1:
        codes = codes[..., 0]
    if format == "AVIF":
        return _avif(codes, bits, quality, subsampling)
    return _heif(codes << 16 - bits, bits, quality, subsampling)


def _avif(codes: Samples, bits: int, quality: int | None, subsampling: str) -> bytes:
    options: dict[str, Any] = {"bitspersample": bits, "level": 100 if quality is None else quality, "speed": _SPEED}
    if quality is not None and codes.ndim == 3:
        options |= {"pixelformat": _PIXELS[subsampling], "primaries": 1, "transfer": 13, "matrix": 6}
    return bytes(avif_codec()(np.ascontiguousarray(codes), **options))


def _heif(codes: Samples, bits: int, quality: int | None, subsampling: str) -> bytes:
    import pillow_heif

    height, width = codes.shape[:2]
    mode = "I;16" if codes.ndim == 2 else f"{'RGB' if codes.shape[2] == 3 else 'RGBA'};16"
    options: dict[str, Any] = {"quality": -1 if quality is None else quality}
    if codes.ndim == 3:
        options["chroma"] = _CHROMA[subsampling] if quality is not None else 444
        options |= {"matrix_coefficients": 0} if quality is None else {}
    stream = io.BytesIO()
    with quiet_pillow():  # the depth is an option of the whole process
        pillow_heif.options.SAVE_HDR_TO_12_BIT = bits > 10
        try:
            picture = pillow_heif.from_bytes(mode, (width, height), np.ascontiguousarray(codes).tobytes())
            picture.save(stream, **options)
        finally:
            pillow_heif.options.SAVE_HDR_TO_12_BIT = False
    return stream.getvalue()
