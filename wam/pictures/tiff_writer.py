"""TIFF files: samples in strips, behind an EXIF block that stays where its offsets point."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from wam.pictures.containers import exif, tiff
from wam.pictures.containers.exif import Entry
from wam.pictures.formats import Metadata, Samples, Settings

TIFF_STRIP_BYTES = 1 << 20  # the size of one TIFF strip before compression, in bytes


def encode_tiff(samples: Samples, mode: str, metadata: Metadata, settings: Settings) -> bytes:
    """Strips written here: Pillow writes no 16-bit colour and copies storage tags from EXIF."""
    height, width, bands = samples.shape
    block = metadata.exif if exif.known_directories(metadata.exif or b"").get("IFD0") else None
    order = "<" if block is None else exif.byte_order(block)
    if settings.associated and mode.endswith("A"):
        samples = _multiplied(samples)
    rows = max(1, TIFF_STRIP_BYTES // samples[0].nbytes)
    strips = [_tiff_strip(samples[top : top + rows], settings, order) for top in range(0, height, rows)]
    numbers: list[tuple[int, int, tuple[int, ...]]] = [
        (256, 4, (width,)),
        (257, 4, (height,)),
        (258, 3, (samples.itemsize * 8,) * bands),
        (259, 3, (8 if settings.compressed else 1,)),
        (262, 3, ({"L": 1, "R": 2, "C": 5}[mode[0]],)),
        (277, 3, (bands,)),
        (278, 4, (rows,)),
        (284, 3, (1,)),
    ]
    if settings.compressed:
        numbers.append((317, 3, (2,)))
    if mode.endswith("A"):
        numbers.append((338, 3, (1 if settings.associated else 2,)))
    stored = [tiff.of_numbers(order, tag, kind, *values) for tag, kind, values in numbers]
    return tiff.build(block, order, [*_tiff_description(metadata, settings, order), *stored], strips)


def _multiplied(samples: Samples) -> Samples:
    """Colours multiplied by their alpha, as TIFF calls associated."""
    most = np.iinfo(samples.dtype).max
    wide = samples.astype(np.uint64)
    product = (wide[..., :-1] * wide[..., -1:] + most // 2) // most
    return np.concatenate([product, wide[..., -1:]], axis=2).astype(samples.dtype)


def _tiff_strip(samples: Samples, settings: Settings, order: str) -> bytes:
    ordered = samples.astype(samples.dtype.newbyteorder("<" if order == "<" else ">"))
    if not settings.compressed:
        return ordered.tobytes()
    ordered[:, 1:] = ordered[:, 1:] - samples[:, :-1]  # predictor 2, wrapping
    return zlib.compress(ordered.tobytes())


def _tiff_description(metadata: Metadata, settings: Settings, order: str) -> Iterator[Entry]:
    """What a TIFF says beside its EXIF block; of a TIFF, resolution is in that block as it was."""
    if metadata.dpi and not settings.own_format:
        for tag, value in zip((282, 283), metadata.dpi, strict=True):
            fraction = Fraction(value).limit_denominator(10_000)
            rational = struct.pack(f"{order}II", fraction.numerator, fraction.denominator)
            yield tiff.entry(tag, 5, 1, rational)
        yield tiff.of_numbers(order, 296, 3, 2)
    yield from settings.carried.tags
    carried = {entry.tag for entry in settings.carried.tags}
    named = (
        (700, metadata.xmp),
        (33723, metadata.iptc),
        (34377, metadata.photoshop),
        (34675, metadata.icc_profile),
    )
    for tag, stated in named:
        if stated and tag not in carried:
            yield tiff.entry(tag, 1 if tag in (700, 34377) else 7, len(stated), stated)
