"""A 64-bit perceptual hash, to notice that a watermark was moved to another picture.

The DCT hash of pHash (Zauner, Implementation and benchmarking of perceptual image hash functions,
2010): shrink to 32x32, keep the 8x8 lowest frequencies without the constant ones, compare each with
their median. Recompression and rescaling change a few bits, unrelated pictures about half of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from payload.layout import FRAME_HASH_BITS

PHASH_BITS = 64  # of a whole hash, as a registry keeps it; a frame carries the ``FRAME_HASH_BITS`` of lowest frequency

# Of 100 by ``detail``: two slopes of 128 pixels with a mark at 42 dB show 7 and 15 (tests/wam/pipeline/test_loaded.py),
# every 60th photo of the training set by name 29 or more: min(detail(photo) for photo in photos[::60]).
LEAST_DETAIL = 20

_SIDE = 32
_FREQUENCIES = 8
_GRID = 96  # cells of a side that pictures are continued at
_LEFT = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65)  # share of a side that is left of the picture
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_ROWS = 64  # of a picture that are averaged at a time, so that large ones are not copied as floats

_Cells: TypeAlias = npt.NDArray[np.float64]


def hash_luma(luma: npt.ArrayLike) -> int:
    """Hash a (H, W) luma array, uint8 or float, to 64 bits, row by row, the first bit highest."""
    pixels = np.asarray(luma)
    if pixels.ndim != 2 or not pixels.size:
        raise ValueError(f"expected (H, W) luma, found shape {pixels.shape}; convert to grey first")
    if not np.isfinite(pixels).all():
        raise ValueError("expected finite luma, found NaN or infinity; check the picture")
    return _hash(_shrink(pixels, lambda rows: rows))


def hash_rgb(pixels: npt.NDArray[np.uint8]) -> int:
    """Hash (H, W, 3) uint8 RGB as its luma by ITU-R BT.601; a large picture takes little more memory than it has."""
    return _hash(_shrink_rgb(pixels, _SIDE))


def hashes_before_cut(pixels: npt.NDArray[np.uint8]) -> tuple[int, ...]:
    """Guess hashes that (H, W, 3) uint8 RGB had before up to a third of it was cut off at the right or the bottom.

    What is missing is taken for the mirror image of what is left. Of 149 photos cut to 75% all come within 22 bits of
    their own hash so, instead of 7%, and of other photos' hashes 13% instead of 1%.
    """
    return tuple(_hash(_shrink(guess, lambda rows: rows)) for guess in _before_cut(pixels))


def before_cut(pixels: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    """The small pictures, (H, W, 3) uint8 of grey, that such guesses are made of, for other hashes."""
    rounded = (np.clip(np.rint(guess), 0, 255).astype(np.uint8) for guess in _before_cut(pixels))
    return [np.repeat(guess[..., None], 3, axis=2) for guess in rounded]


def _before_cut(pixels: npt.NDArray[np.uint8]) -> list[_Cells]:
    cells = _shrink_rgb(pixels, _GRID)
    found = []
    for left in _LEFT:
        more = round(_GRID / left) - _GRID
        for missing in (((0, 0), (0, more)), ((0, more), (0, 0))):
            found.append(np.pad(cells, missing, mode="symmetric"))
    return found


def detail(pixels: npt.NDArray[np.uint8]) -> int:
    """How much (H, W, 3) uint8 RGB shows, 0 to 100, as PDQ measures it (Facebook, 2019), in the cells that a hash is
    made of: steps between neighbours in whole percents of the range, added up. Below ``LEAST_DETAIL`` the mark and the
    codec decide the bits of a hash, and not what the picture shows."""
    cells = _shrink_rgb(pixels, _SIDE)
    steps = sum(float(np.floor(np.abs(np.diff(cells, axis=axis)) * 100 / 255).sum()) for axis in (0, 1))
    return min(100, int(steps / 90))


def distance(first: int, second: int) -> int:
    """Count the bits in which two hashes differ, 0 to 64."""
    return (first ^ second).bit_count()


def shorten(phash: int) -> int:
    """Keep the 32 bits of lowest frequency of a hash, in their order, first bit highest."""
    kept = 0
    for place in _LOWEST:
        kept = kept << 1 | phash >> (PHASH_BITS - 1 - place) & 1
    return kept


def _shrink_rgb(pixels: npt.NDArray[np.uint8], side: int) -> _Cells:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"expected (H, W, 3) RGB, found shape {pixels.shape}; convert it first")
    return _shrink(pixels, lambda rows: rows @ _LUMA, side)


def _shrink(
    pixels: npt.NDArray[Any], luma: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], side: int = _SIDE
) -> _Cells:
    """Average the luma of side x side equal cells, some rows of the picture at a time."""
    height, width = pixels.shape[:2]
    down, across = _area_weights(height, side), _area_weights(width, side).T
    cells = np.zeros((side, side))
    for top in range(0, height, _ROWS):
        rows = slice(top, top + _ROWS)
        cells += down[:, rows] @ (luma(pixels[rows]) @ across)
    return cells


def _hash(cells: _Cells) -> int:
    coefficients = _DCT @ (cells - cells.mean()) @ _DCT.T
    # Rounded, so that the noise of floating point does not decide the bits of a plain picture.
    noise = 1e-9 * max(1.0, float(np.abs(cells).max()))
    steps = np.rint(coefficients / noise).ravel()
    bits = np.packbits(steps > np.median(steps))
    return int.from_bytes(bits.tobytes(), "big")


def _area_weights(size: int, side: int) -> npt.NDArray[np.float64]:
    """Weigh pixels by their overlap with equal cells, (side, size); rows add up to one."""
    edges = np.arange(side + 1)[:, None] * size / side
    pixels = np.arange(size)
    covered = np.clip(edges - pixels, 0.0, 1.0)
    return (covered[1:] - covered[:-1]) * side / size


def _low_frequencies() -> npt.NDArray[np.float64]:
    """Tabulate rows 1 to 8 of the type II DCT of 32 values, (8, 32)."""
    frequencies = np.arange(1, _FREQUENCIES + 1)[:, None]
    return np.cos(np.pi / _SIDE * frequencies * (np.arange(_SIDE) + 0.5))


_DCT = _low_frequencies()
_BY_FREQUENCY = sorted(range(PHASH_BITS), key=lambda place: (sum(divmod(place, _FREQUENCIES)), place))
_LOWEST = sorted(_BY_FREQUENCY[:FRAME_HASH_BITS])
assert _FREQUENCIES**2 == PHASH_BITS
