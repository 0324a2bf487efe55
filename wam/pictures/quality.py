"""How much two pictures differ, and whether one offers a mark a place to hide; large pictures take little memory."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from wam.pictures.colour import strips
from wam.pictures.samples import Pixels

SSIM_SIDE = 256  # short side that SSIM is taken at, as its authors advise, in pixels
SSIM_WINDOW = 11  # side of its window, in pixels
SSIM_SIGMA = 1.5  # standard deviation of the window, in pixels
SSIM_LUMINANCE, SSIM_CONTRAST = 0.01**2, 0.03**2  # its two constants, for values in [0, 1]


def psnr(first: Pixels, second: Pixels) -> float:
    """Peak signal-to-noise ratio of two (H, W, 3) uint8 pictures, dB; infinite for equal ones."""
    total = 0
    for rows in strips(len(first), first[0].size):
        error = first[rows].astype(np.int16) - second[rows]
        total += int(np.square(error, dtype=np.int32).sum(dtype=np.int64))
    return decibels(255**2 * first.size, total)


def decibels(signal: float, noise: float) -> float:
    """A ratio of powers in dB; infinite where there is no noise."""
    return math.inf if noise == 0 else 10 * math.log10(signal / noise)


def ssim(first: Pixels, second: Pixels) -> float:
    """Structural similarity of two (H, W, 3) uint8 RGB pictures with sides of at least 11 pixels: 1 for equal ones.

    The value of ``piq.ssim`` to 1e-5: downsampled, Gaussian window of 11. Written out, since every file of a batch is
    measured: a fifth of piq's time, and none to import it.
    """
    factor = max(1, round(min(first.shape[:2]) / SSIM_SIDE))
    x, y = (_pooled(pixels, factor) for pixels in (first, second))
    mean_x, mean_y, square_x, square_y, product = _blurred(torch.stack([x, y, x * x, y * y, x * y])).unbind()
    variances = square_x - mean_x.square() + square_y - mean_y.square()
    covariance = product - mean_x * mean_y
    structure = (2 * covariance + SSIM_CONTRAST) / (variances + SSIM_CONTRAST)
    luminance = (2 * mean_x * mean_y + SSIM_LUMINANCE) / (mean_x.square() + mean_y.square() + SSIM_LUMINANCE)
    return float((structure * luminance).mean())


def ciede2000(first: Pixels, second: Pixels) -> float:
    """The mean colour difference of two (H, W, 3) uint8 sRGB pictures by CIEDE2000: 0 for equal ones, about 1 where
    large patches of colour are just told apart."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    total = 0.0
    for rows in strips(len(first), 8 * first[0].size):  # it takes some maps of double precision
        total += float(deltaE_ciede2000(rgb2lab(first[rows]), rgb2lab(second[rows])).sum())
    return float(total / (first.shape[0] * first.shape[1]))


def _pooled(pixels: Pixels, factor: int) -> Tensor:
    """(H // factor, W // factor, 3) float32 in [0, 1]: averages of whole blocks."""
    height, width = (side // factor for side in pixels.shape[:2])
    sums = np.empty((height, width, 3), np.uint32)
    for rows in strips(height, pixels[0].size * factor):
        part = np.ascontiguousarray(pixels[rows.start * factor : rows.stop * factor, : width * factor])
        down = part.reshape(-1, factor, part[0].size).sum(axis=1, dtype=np.uint32)
        sums[rows] = np.einsum("hwfc->hwc", down.reshape(-1, width, factor, 3))
    return torch.from_numpy(sums.astype(np.float32)).div_(255 * factor**2)


def _blurred(maps: Tensor) -> Tensor:
    """(N, H, W, 3) float32 under the window, as far as it lies inside: (N, H - 10, W - 10, 3).

    Not ``filters.gaussian``: SSIM is defined with eleven places and without a border, that has nine and fills borders.
    """
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    weights: list[float] = (window / window.sum()).tolist()
    for axis in (1, 2):
        length = maps.shape[axis] - SSIM_WINDOW + 1
        total = weights[0] * maps.narrow(axis, 0, length)
        for start, weight in enumerate(weights[1:], start=1):
            total.add_(maps.narrow(axis, start, length), alpha=weight)
        maps = total
    return maps
