"""Where a picture is smoothest, and how a mark stands out there: against the picture's own noise, and by repeating.

All in 8-bit levels of luma. Smoothness is judged in blocks: what is left of one when a curved surface is taken off is
its noise or texture, while a sky, a cheek or a backdrop leaves nothing but that of the camera and of rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wam.pictures.colour import strips
from wam.pictures.samples import Pixels
from wam.signal.filters import LUMA
from wam.signal.specification import SIGNAL

Field = NDArray[np.float32]

BLOCK = 16  # pixels
PART = (160, 240)  # pixels: height and width of the part that is shown
LEAST_NOISE = 0.35  # levels: below it a picture is as good as without noise, rounding alone makes .2 to .3
BUSY = 8.0  # levels from which more texture is no worse
# what decides among parts that are equally smooth, in levels of noise: against those that are all black or white, where
# a mark is cut off, and against corners
CLIPPED, CORNER = 0.02, 0.02
FAINTEST = 0.01  # levels rms below which there is no residual, but for the rounding of sums
LEAST_PAIRS = 4096  # pairs of pixels below which a correlation says nothing


@dataclass(frozen=True)
class Part:
    """A rectangle of a picture in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: Pixels) -> Pixels:
        """What is there of (H, W, 3)."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Standout:
    """How a mark stands out in the smoother half of a part. ``own_noise`` of the picture and ``residual`` of the mark,
    rms; ``over_noise`` their ratio, noise counted as ``LEAST_NOISE`` or more. ``repeats``: correlation of the residual
    with itself one period on, over all of the picture that is about as smooth; None where that is too little."""

    own_noise: float
    residual: float
    over_noise: float
    repeats: float | None


def period_of(height: int, width: int) -> float:
    """Pixels after which the pattern of a mark repeats in a picture of this size."""
    short = min(height, width)
    return SIGNAL.tile * short / min(SIGNAL.working_side, short)


def luma_of(pixels: Pixels) -> Field:
    """(H, W, 3) uint8 -> (H, W) levels."""
    levels = np.empty(pixels.shape[:2], np.float32)
    for rows in strips(len(pixels), pixels[0].size):
        levels[rows] = pixels[rows] @ np.array(LUMA, np.float32)
    return levels


def block_noise(luma: Field) -> Field:
    """(H // 16, W // 16): in each whole block the rms of what a surface of second order does not explain."""
    blocks = _blocks(luma)
    blocks = blocks - blocks.mean(axis=-1, keepdims=True)
    explained = np.square(blocks @ _surfaces()).sum(-1)
    left = np.square(blocks).sum(-1) - explained
    return np.asarray(np.sqrt(np.maximum(left, 0) / (BLOCK**2 - _surfaces().shape[1])))


def find_part(luma: Field) -> Part:
    """The smoothest part; of equally smooth ones one of middle grey near the picture's middle.

    It depends on the original alone, so that all methods are looked at in the same place; where there is room it keeps
    half a period away from the border, at which marks fade out.
    """
    height, width = (min(most, side) for most, side in zip(PART, luma.shape, strict=True))
    noise = block_noise(luma)
    rows, columns = height // BLOCK, width // BLOCK
    dark = np.abs(_blocks(luma).mean(-1) - 127.5) / 127.5
    cost = np.clip(noise, LEAST_NOISE, BUSY) + CLIPPED * dark
    sums = np.pad(cost.astype(float), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    means = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    y, x = (np.linspace(-1, 1, count + 2)[1:-1] for count in means.shape)  # from border to border
    means = means / (rows * columns) + CORNER * np.hypot(y[:, None], x)
    away = math.ceil(period_of(*luma.shape) / 2 / BLOCK)
    down, right = (min(away, (count - 1) // 2) for count in means.shape)
    inner = means[down : means.shape[0] - down, right : means.shape[1] - right]
    row, column = np.unravel_index(np.argmin(inner), inner.shape)
    top = min((int(row) + down) * BLOCK, luma.shape[0] - height)
    left = min((int(column) + right) * BLOCK, luma.shape[1] - width)
    return Part(top, left, height, width)


def stand_out(marked: Field, original: Field, part: Part, period: float) -> Standout:
    """The figures of one part of a picture, both as luma."""
    noise = block_noise(original)
    residual = marked - original
    rows = slice(part.top // BLOCK, part.top // BLOCK + part.height // BLOCK)
    columns = slice(part.left // BLOCK, part.left // BLOCK + part.width // BLOCK)
    local = noise[rows, columns].ravel()
    change = np.square(_blocks(residual)[rows, columns]).mean(-1).ravel()
    smooth = np.argsort(local, kind="stable")[: max(1, math.ceil(local.size / 2))]
    own = float(np.sqrt(np.square(local[smooth]).mean()))
    left = float(np.sqrt(change[smooth].mean()))
    floor = max(own, LEAST_NOISE)
    return Standout(own, left, left / floor, repeats(residual, noise <= 1.5 * floor, period))


def repeats(residual: Field, smooth: NDArray[np.bool_], period: float) -> float | None:
    """The correlation of a residual with itself one period to the right and one down, where both ends lie in smooth
    blocks; between two pixels the value is interpolated."""
    mask = smooth.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
    values = residual[: mask.shape[0], : mask.shape[1]]
    if not mask.any():
        return None
    values = values - values[mask].mean()
    whole, rest = int(period), period - int(period)
    product = first = second = 0.0
    pairs = 0
    for here, seen in ((values, mask), (values.T, mask.T)):
        count = here.shape[1] - whole - 1
        if count <= 0:
            continue
        there = (1 - rest) * here[:, whole : whole + count] + rest * here[:, whole + 1 : whole + 1 + count]
        both = seen[:, :count] & seen[:, whole : whole + count] & seen[:, whole + 1 : whole + 1 + count]
        one, other = here[:, :count][both].astype(float), there[both].astype(float)
        product, pairs = product + float(one @ other), pairs + one.size
        first, second = first + float(one @ one), second + float(other @ other)
    if pairs < LEAST_PAIRS or min(first, second) < pairs * FAINTEST**2:
        return None
    return product / math.sqrt(first * second)


def _blocks(luma: Field) -> Field:
    """(H, W) -> (H // 16, W // 16, 256)."""
    rows, columns = (side // BLOCK for side in luma.shape)
    cut = luma[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return cut.swapaxes(1, 2).reshape(rows, columns, BLOCK**2)


def _surfaces() -> Field:
    """Orthonormal surfaces of second order on a block, (256, 6)."""
    y, x = (grid.ravel() / BLOCK for grid in np.mgrid[:BLOCK, :BLOCK])
    basis, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1))
    return np.asarray(basis, dtype=np.float32)
