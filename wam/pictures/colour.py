"""Colour spaces: samples of a file to the sRGB that a viewer shows, and a change in sRGB back to samples.

Read from an ICC profile of the matrix and curve kind (ICC.1:2022, sections 8.3 and 10.6, 10.18, 10.31), from PNG chunks
(cICP, gAMA with cHRM), or from a ``colr`` box of AVIF and HEIC (code points of ITU-T H.273). Profiles by table and of
inks are in ``managed_colour``; anything else is taken for sRGB, as the pixels of a file without a profile are.

Colours outside sRGB are kept: a change is added to their unclipped sRGB value and taken back from there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wam.pictures.formats import Samples

Floats = NDArray[np.float32]

STRIP_SAMPLES = 1 << 20  # samples that are converted at a time: conversion takes some 40 bytes each
# linear sRGB to XYZ of the profile connection space (Lindbloom, Bradford-adapted to D50)
SRGB_TO_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
_D65 = (0.3127, 0.3290)
# x and y of red, green, blue and white by code point (H.273, table 2)
_PRIMARIES: Mapping[int, tuple[float, ...]] = {
    1: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
}
_GRID = 1 << 15  # entries of a table for each unit of its axis
_REACH = 2.0  # tables of sRGB go this far; ProPhoto red is 1.4 on both axes


def _srgb_decoded(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _srgb_encoded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


_AXIS = np.arange(int(_REACH * _GRID) + 1) / _GRID
_ENCODED = _srgb_encoded(_AXIS**2).astype(np.float32)  # over the square root, where every curve is nearly straight
_DECODED = _srgb_decoded(_AXIS).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ColourSpace:
    """One colour space of 1 (grey) or 3 bands."""

    linear: Floats  # (C, 65536) light of each band by its 16-bit sample, in [0, 1], rising
    sample: Floats  # (C, 32769) the inverse over the square root of the light
    to_srgb: Floats  # (C, C) linear light to linear sRGB
    from_srgb: Floats

    @property
    def bands(self) -> int:
        """1 for grey, 3 for colour."""
        return len(self.to_srgb)

    def show(self, samples: Samples) -> Floats:
        """(..., C) uint8 or uint16 -> sRGB as float32, 0 to 1 inside the gamut, beyond it outside."""
        codes = samples.astype(np.intp) * (257 if samples.dtype == np.uint8 else 1)
        light = np.stack([self.linear[band][codes[..., band]] for band in range(self.bands)], axis=-1)
        linear: Floats = light @ self.to_srgb.T
        return _odd(_ENCODED, linear, root=True)

    def shift(self, samples: Samples, change: NDArray[np.integer]) -> Samples:
        """Samples moved by a change of sRGB in 8-bit levels, (..., C); where it is zero they stay as they are."""
        wanted = self.show(samples) + np.asarray(change, dtype=np.float32) / np.float32(255)
        light = (_odd(_DECODED, wanted, root=False) @ self.from_srgb.T).clip(0, 1)
        rows = np.rint(np.sqrt(light) * _GRID).astype(np.intp)
        moved = np.stack([self.sample[band][rows[..., band]] for band in range(self.bands)], axis=-1)
        moved *= np.iinfo(samples.dtype).max
        return np.where(change.any(axis=-1, keepdims=True), np.rint(moved), samples).astype(samples.dtype)


def _odd(table: Floats, values: Floats, *, root: bool) -> Floats:
    """A curve of a table, mirrored at zero as extended sRGB is (IEC 61966-2-2)."""
    size = np.abs(values)
    places = np.sqrt(size) if root else size
    found = table[np.rint(places.clip(0, _REACH) * _GRID).astype(np.intp)]
    return np.asarray(np.copysign(found, values))


def strips(height: int, row_samples: int) -> Iterator[slice]:
    """Rows of a picture in parts of about ``STRIP_SAMPLES`` samples."""
    rows = max(1, STRIP_SAMPLES // max(1, row_samples))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


@lru_cache(maxsize=16)
def profile_space(profile: bytes, *, grey: bool) -> ColourSpace | None:
    """The space of an ICC profile; None where it is sRGB as far as 8 bits tell, unknown, or not of these bands."""
    try:
        tags = icc_tags(profile)
        if profile[16:20] != (b"GRAY" if grey else b"RGB ") or {"A2B0", "A2B1"} & tags.keys():
            return None
        if grey:
            return _space([_icc_curve(tags["kTRC"])], np.eye(1))
        colorants = np.array([_icc_xyz(tags[f"{band}XYZ"]) for band in "rgb"]).T
        return _space([_icc_curve(tags[f"{band}TRC"]) for band in "rgb"], np.linalg.solve(SRGB_TO_D50, colorants))
    except (struct.error, LookupError, ValueError, ArithmeticError):  # a damaged profile: LinAlgError is a ValueError
        return None


def png_space(chunks: Mapping[bytes, bytes], *, grey: bool) -> ColourSpace | None:
    """The space that a PNG without an ICC profile states: cICP, then sRGB, then gAMA with cHRM (PNG, section 12)."""
    try:
        if b"cICP" in chunks:
            return coded_space(chunks[b"cICP"][0], chunks[b"cICP"][1], grey=grey)
        if b"sRGB" in chunks or b"gAMA" not in chunks:
            return None
        gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000
        if not 0.1 < gamma < 10:
            return None
        power = None if abs(gamma - 1 / 2.2) < 0.01 else 1 / gamma  # 1 / 2.2 is how sRGB is written here
        primaries = _PRIMARIES[1]
        if b"cHRM" in chunks:
            white_first = [value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"])]
            primaries = (*white_first[2:], *white_first[:2])
        return _stated(power, primaries, grey)
    except (struct.error, LookupError, ValueError, ArithmeticError):
        return None


def coded_space(primaries: int, transfer: int, *, grey: bool) -> ColourSpace | None:
    """The space of H.273 code points; curves for high dynamic range stay as they are, being nearly perceptual."""
    powers = dict.fromkeys((1, 2, 6, 13, 14, 15)) | {4: 2.2, 5: 2.8, 8: 1.0}  # viewers show video curves as sRGB
    if primaries not in _PRIMARIES or transfer not in powers:
        return None
    return _stated(powers[transfer], _PRIMARIES[primaries], grey)


@lru_cache(maxsize=16)
def _stated(power: float | None, primaries: tuple[float, ...], grey: bool) -> ColourSpace | None:
    """A space by its curve (None: that of sRGB) and the x and y of red, green, blue and white."""
    codes = np.arange(65536) / 65535
    table = _srgb_decoded(codes) if power is None else codes**power
    if grey:
        return _space([table], np.eye(1))
    return _space([table] * 3, np.linalg.solve(SRGB_TO_D50, _colorants(primaries)))


def _colorants(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    """XYZ of red, green and blue as columns, white adapted to D50 by Bradford (ICC.1:2022, annex E)."""
    x, y = np.array(primaries).reshape(4, 2).T
    colours = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    adapt = np.linalg.solve(_BRADFORD, np.diag((_BRADFORD @ _D50) / (_BRADFORD @ colours[:, 3])) @ _BRADFORD)
    amounts = np.linalg.solve(colours[:, :3], colours[:, 3])
    adapted: NDArray[np.float64] = adapt @ (colours[:, :3] * amounts)
    return adapted


def _space(tables: list[NDArray[np.float64]], matrix: NDArray[np.float64]) -> ColourSpace | None:
    """The space, or None if it shows what sRGB would."""
    axis = np.linspace(0, 1, 65536)
    rising = [np.maximum.accumulate(np.interp(axis, np.linspace(0, 1, len(table)), table)) for table in tables]
    light = np.linspace(0, 1, _GRID + 1) ** 2
    space = ColourSpace(
        linear=np.array(rising, dtype=np.float32),
        sample=np.array([np.interp(light, table, axis) for table in rising], dtype=np.float32),
        to_srgb=matrix.astype(np.float32),
        from_srgb=np.linalg.inv(matrix).astype(np.float32),
    )
    if not np.isfinite(space.from_srgb).all() or np.abs(matrix).max() > 100:
        return None
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(*[steps] * space.bands), axis=-1)
    same = np.abs(space.show(grid) * 255 - grid).max() < 1
    return None if same else space


def icc_tags(profile: bytes) -> dict[str, bytes]:
    """The tags of an ICC profile by name."""
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for entry in range(min(count, 100)):
        name, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        tags[name.decode("latin-1")] = profile[start : start + size]
    return tags


def _icc_xyz(tag: bytes) -> tuple[float, ...]:
    return tuple(value / 65536 for value in struct.unpack_from(">3i", tag, 8))


def _icc_curve(tag: bytes) -> NDArray[np.float64]:
    """Light in [0, 1] over evenly spaced samples: curveType and parametricCurveType."""
    axis = np.linspace(0, 1, 65536)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return axis
        if count == 1:
            power: NDArray[np.float64] = axis ** (struct.unpack_from(">H", tag, 12)[0] / 256)
            return power
        return np.array(struct.unpack_from(f">{count}H", tag, 12)) / 65535
    if tag[:4] != b"para":
        raise ValueError(f"expected a curve, found {tag[:4]!r}")
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = (1, 3, 4, 5, 7)[kind]
    values = [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]
    values += (1.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0)[count:]
    g, a, b, c, d, e, f = values
    if g <= 0 or (kind and a == 0):
        raise ValueError(f"expected a rising curve, found gamma {g}, slope {a}")
    if kind in (1, 2):  # below -b / a: the constant c, which type 2 adds everywhere
        constant = c if kind == 2 else 0.0
        c, d, e, f = 0.0, -b / a, constant, constant
    light = np.where(axis >= d, np.maximum(a * axis + b, 0) ** g + e, c * axis + f)
    return np.asarray(light.clip(0, 1))
