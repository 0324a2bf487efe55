"""How much two pictures differ, and whether one offers a mark a place to hide; large pictures take little memory."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wam.colour import strips
from wam.pixels import Pixels

SSIM_SIDE = 256
"""Short side that SSIM is taken at, as its authors advise, in pixels."""
FLAT_LEVELS = 1.0
"""Standard deviation of a block that looks smooth, in 8-bit levels."""
FLAT_SHARE = 0.98
"""A picture with more smooth blocks than this has nowhere to hide a mark."""
_BLOCK = 8


def psnr(first: Pixels, second: Pixels) -> float:
    """Peak signal-to-noise ratio of two (H, W, 3) uint8 pictures, dB; infinite for equal ones."""
    total = 0
    for rows in strips(len(first), first[0].size):
        error = first[rows].astype(np.int16) - second[rows]
        total += int(np.square(error, dtype=np.int32).sum(dtype=np.int64))
    return math.inf if total == 0 else 10 * math.log10(255**2 * first.size / total)


def ssim(first: Pixels, second: Pixels) -> float:
    """Structural similarity of two (H, W, 3) uint8 pictures, as `piq.ssim`: downsampled, Gaussian window of 11."""
    from piq import ssim as similarity  # imports torchvision's models, which takes as long as torch

    factor = max(1, round(min(first.shape[:2]) / SSIM_SIDE))
    small = [_pooled(pixels, factor) for pixels in (first, second)]
    return float(similarity(small[0], small[1], data_range=1.0, downsample=False))


def is_flat(pixels: Pixels) -> bool:
    """Whether nearly all of a picture is smooth, so that a mark at the usual strength may be seen."""
    step = max(1, min(pixels.shape[:2]) // 1024)  # single pixels: an average would smooth texture away
    grey = pixels[::step, ::step].astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    height, width = (side - side % _BLOCK for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return bool((blocks.std(axis=(1, 3)) < FLAT_LEVELS).mean() > FLAT_SHARE)


def _pooled(pixels: Pixels, factor: int) -> Tensor:
    """(1, 3, H // factor, W // factor) float32 in [0, 1]: averages of whole blocks."""
    height, width, _ = pixels.shape
    if factor == 1:
        return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    averages = torch.empty(1, 3, height // factor, width // factor)  # one block: many small ones fragment the heap
    for row in range(height // factor):
        rows = torch.from_numpy(np.ascontiguousarray(pixels[row * factor : (row + 1) * factor]))
        averages[:, :, row] = F.avg_pool2d(rows.permute(2, 0, 1)[None].float(), factor)[:, :, 0] / 255
    return averages
