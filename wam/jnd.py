"""Just-noticeable difference: how many 8-bit levels a picture hides at each pixel.

A model of luminance adaptation and contrast masking in the manner of Chou and Li (1995), made for a pattern of middle
frequencies: masking by texture counts only where the whole neighbourhood is textured, so that the smooth side of an
edge is not given the amplitude of the edge itself.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
FLOOR = 0.9  # levels rms that a flat mid-grey area hides from a viewer at 100%
MASKING = 0.30  # levels of hiding per level of local texture
DARK = 1.2  # extra levels in black, falling linearly to none at level 96
BRIGHT = 0.5  # extra levels in white, rising linearly from level 160


def luma(images: Tensor) -> Tensor:
    """RGB (B, 3, H, W) -> luma (B, 1, H, W), same range."""
    weights = images.new_tensor(LUMA).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def jnd(images: Tensor) -> Tensor:
    """Hidden amplitude per pixel: images (B, 3, H, W) in [0, 1] at working resolution -> (B, 1, H, W), 8-bit levels."""
    levels = luma(images) * 255.0
    mean = box_mean(levels, 7)
    texture = (box_mean((levels - box_mean(levels, 5)) ** 2, 7) + 1e-6).sqrt()
    steady = -box_max(-texture, 7)  # the calmest spot of the neighbourhood decides
    masking = MASKING * (0.35 * texture + 0.65 * box_mean(steady, 5))
    dark = DARK * (1 - mean / 96).clamp(0, 1)
    bright = BRIGHT * ((mean - 160) / 95).clamp(0, 1)
    return FLOOR + dark + bright + masking


def high_pass(images: Tensor) -> tuple[Tensor, Tensor]:
    """The picture's own noise where a pattern is: luma less its local mean, and the local mean square of that.

    images (B, 3, H, W) in [0, 1] -> (B, 1, H, W) each, 8-bit levels and squared levels.
    """
    levels = luma(images) * 255
    residual = levels - box_mean(levels, 5)
    return residual, box_mean(residual.square(), 9)


def box_mean(field: Tensor, size: int) -> Tensor:
    """Mean over size x size, the border counted by what lies inside: (..., H, W).

    By sums of shifted copies, which on a CPU take a tenth of the time of pooling.
    """
    return _moving_mean(_moving_mean(field, size, -2), size, -1)


def _moving_mean(field: Tensor, size: int, axis: int) -> Tensor:
    """Mean over ``size`` neighbours along the last axis or the last but one."""
    half, count = size // 2, field.shape[axis]
    sums = F.pad(field, (half, half) if axis == -1 else (0, 0, half, half))  # of ``width`` neighbours, from each on
    total, taken, width = torch.zeros((), dtype=field.dtype, device=field.device), 0, 1
    while width <= size:
        if size & width:
            total = total + sums.narrow(axis, taken, count)
            taken += width
        rest = sums.shape[axis] - width
        if 2 * width <= size:
            sums = sums.narrow(axis, 0, rest) + sums.narrow(axis, width, rest)
        width *= 2
    place = torch.arange(count, device=field.device)
    inside = (place + half).clamp(max=count - 1) - (place - half).clamp(min=0) + 1
    return total / (inside if axis == -1 else inside[:, None])


def box_max(field: Tensor, size: int) -> Tensor:
    """Maximum over size x size, the border by what lies inside: (..., H, W); of shifted copies, as ``box_mean``."""
    return _moving_max(_moving_max(field, size, -2), size, -1)


def _moving_max(field: Tensor, size: int, axis: int) -> Tensor:
    """Maximum over ``size`` neighbours along the last axis or the last but one."""
    half = size // 2
    highest = F.pad(field, (half, half) if axis == -1 else (0, 0, half, half), value=-math.inf)
    width = 1  # neighbours that ``highest`` covers, from each place on
    while width < size:
        step = min(width, size - width)
        rest = highest.shape[axis] - step
        highest = torch.maximum(highest.narrow(axis, 0, rest), highest.narrow(axis, step, rest))
        width += step
    return highest
