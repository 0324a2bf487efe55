"""A 64-bit perceptual hash, to notice that a watermark was moved to another picture.

The DCT hash of pHash (Zauner, Implementation and benchmarking of perceptual image hash functions,
2010): shrink to 32x32, keep the 8x8 lowest frequencies without the constant ones, compare each with
their median. Recompression and rescaling change a few bits, unrelated pictures about half of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HASH_BITS = 64

_SIDE = 32
_FREQUENCIES = 8


def hash_luma(luma: npt.ArrayLike) -> int:
    """Hash a (H, W) luma array, uint8 or float, to 64 bits, row by row, the first bit highest."""
    pixels = np.asarray(luma, dtype=np.float64)
    if pixels.ndim != 2 or not pixels.size:
        raise ValueError(f"expected (H, W) luma, found shape {pixels.shape}; convert to grey first")
    if not np.isfinite(pixels).all():
        raise ValueError("expected finite luma, found NaN or infinity; check the picture")
    height, width = pixels.shape
    rows = _DCT @ _area_weights(height)
    columns = _DCT @ _area_weights(width)
    coefficients = rows @ (pixels - pixels.mean()) @ columns.T
    # Rounded, so that the noise of floating point does not decide the bits of a plain picture.
    noise = 1e-9 * max(1.0, float(np.abs(pixels).max()))
    steps = np.rint(coefficients / noise).ravel()
    bits = np.packbits(steps > np.median(steps))
    return int.from_bytes(bits.tobytes(), "big")


def distance(first: int, second: int) -> int:
    """Count the bits in which two hashes differ, 0 to 64."""
    return (first ^ second).bit_count()


def _area_weights(size: int) -> npt.NDArray[np.float64]:
    """Weigh pixels by their overlap with 32 equal cells, (32, size); rows add up to one."""
    edges = np.arange(_SIDE + 1)[:, None] * size / _SIDE
    pixels = np.arange(size)
    covered = np.clip(edges - pixels, 0.0, 1.0)
    return (covered[1:] - covered[:-1]) * _SIDE / size


def _low_frequencies() -> npt.NDArray[np.float64]:
    """Tabulate rows 1 to 8 of the type II DCT of 32 values, (8, 32)."""
    frequencies = np.arange(1, _FREQUENCIES + 1)[:, None]
    return np.cos(np.pi / _SIDE * frequencies * (np.arange(_SIDE) + 0.5))


_DCT = _low_frequencies()
assert _FREQUENCIES**2 == HASH_BITS
