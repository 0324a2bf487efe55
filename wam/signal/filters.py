"""Filters and resampling that several rooms share: each has one home here.

Maps are torch tensors with height and width last; pictures (B, 3, H, W) float in [0, 1], RGB, unless said otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wam.signal.eight_bit import resized

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
RED_OF_CR, BLUE_OF_CB = 1.402, 1.772  # R, B less luma, for one of Cr, Cb: ITU-R BT.601, full range as in JPEG
VIOLET = (1.0, 0.6)  # Cb and Cr of the mark's share in chroma: eyes see little of it, and pictures have little of it
LONG = 1536  # cells of a side up to which means are matrix products
ROWS = 512  # rows of a large picture that are converted at a time, pixels


def luma(images: Tensor) -> Tensor:
    """RGB (B, 3, H, W) -> luma (B, 1, H, W), same range."""
    red, green, blue = (images[:, channel : channel + 1] * weight for channel, weight in enumerate(LUMA))
    return red.add_(green).add_(blue)


def coloured(grey: Tensor, violets: Tensor) -> Tensor:
    """Luma and chroma in the direction of ``VIOLET``, in units of Cb, (B, 1, H, W) each -> RGB (B, 3, H, W)."""
    red, blue = RED_OF_CR * VIOLET[1] * violets, BLUE_OF_CB * VIOLET[0] * violets
    return torch.cat([grey + red, grey - (LUMA[0] * red + LUMA[2] * blue) / LUMA[1], grey + blue], dim=1)


def box_mean(field: Tensor, size: int) -> Tensor:
    """Mean over size x size, the border counted by what lies inside: (..., H, W).

    By sums of shifted copies, which on a CPU take a tenth of the time of pooling.
    """
    return _moving_mean(_moving_mean(field, size, -2), size, -1)


def _moving_mean(field: Tensor, size: int, axis: int) -> Tensor:
    """Mean over ``size`` neighbours along the last axis or the last but one."""
    half, count = size // 2, field.shape[axis]
    sums = F.pad(field, (half, half) if axis == -1 else (0, 0, half, half))  # of ``width`` neighbours, from each on
    total: Tensor | None = None
    taken, width = 0, 1
    while width <= size:
        if size & width:
            part = sums.narrow(axis, taken, count)
            total = part if total is None else total + part
            taken += width
        rest = sums.shape[axis] - width
        if 2 * width <= size:
            sums = sums.narrow(axis, 0, rest) + sums.narrow(axis, width, rest)
        width *= 2
    place = torch.arange(count, device=field.device)
    inside = (place + half).clamp(max=count - 1) - (place - half).clamp(min=0) + 1
    assert total is not None  # a size of 1 or more has a bit
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


def gaussian(maps: Tensor, spread: float, *, border: str = "replicate", longest: int = LONG) -> Tensor:
    """Gaussian mean of (C, H, W), standard deviation in pixels of the map; ``border`` "replicate" or "zeros".

    Sides up to ``longest`` are averaged by a product with a matrix, others by a convolution: the same but for rounding.
    """
    if spread < 0.3:
        return maps
    replicate = border == "replicate"
    along_rows = _smoothed(maps, spread, replicate, longest)
    return _smoothed(along_rows.transpose(-1, -2), spread, replicate, longest).transpose(-1, -2)


def _smoothed(maps: Tensor, spread: float, replicate: bool, longest: int) -> Tensor:
    """The Gaussian mean along the last axis. A product with a matrix is faster than a convolution for sides up to some
    hundreds, but takes the square of a side."""
    reach = max(1, round(2.5 * spread))
    offsets = torch.arange(-reach, reach + 1, device=maps.device).to(maps)
    kernel = torch.exp(-0.5 * (offsets / spread) ** 2)
    kernel = kernel / kernel.sum()
    if maps.shape[-1] <= longest:
        return maps @ _smoothing(maps.shape[-1], kernel, replicate).T
    flat = maps.reshape(-1, 1, maps.shape[-1])
    padded = F.pad(flat, (reach, reach), mode="replicate" if replicate else "constant")
    return F.conv1d(padded, kernel[None, None]).view(maps.shape)


def _smoothing(side: int, kernel: Tensor, replicate: bool) -> Tensor:
    """The mean along a side as a matrix (side, side); places outside count as the border or as zero."""
    reach = len(kernel) // 2
    place = torch.arange(-reach, side + reach, device=kernel.device)
    distance = place - torch.arange(side, device=kernel.device)[:, None]
    weights = kernel[(distance + reach).clamp(0, 2 * reach)] * (distance.abs() <= reach)
    before, smoothing, after = weights[:, :reach], weights[:, reach : reach + side], weights[:, reach + side :]
    if replicate:
        smoothing[:, 0] += before.sum(1)
        smoothing[:, -1] += after.sum(1)
    return smoothing


def lowpass(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of pictures (B, C, H, W) with a standard deviation each (B,), pixels, up to about 1.2; 0 leaves a
    picture as it is."""
    reach = torch.arange(-3, 4, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (reach / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    count, channels = images.shape[:2]
    flat = F.pad(images, (3, 3, 3, 3), mode="reflect").reshape(1, count * channels, images.shape[2] + 6, -1)
    per_channel = kernel.repeat_interleave(channels, 0)[:, None]
    flat = F.conv2d(flat, per_channel[:, :, :, None], groups=count * channels)
    flat = F.conv2d(flat, per_channel[:, :, None, :], groups=count * channels)
    return flat.reshape(images.shape)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bilinear resize of (B, C, H, W); the picture itself when the size is the same. 8 bits come out
    as floats in [0, 1]."""
    if images.dtype == torch.uint8:
        return resized(images, size)
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def sized(height: int, width: int, short_side: float) -> tuple[int, int]:
    """Height and width with the given short side and the same aspect ratio, at least 8 pixels each."""
    factor = short_side / min(height, width)
    return max(8, round(height * factor)), max(8, round(width * factor))


def rounded(images: Tensor) -> Tensor:
    """Pictures of any shape in [0, 1], as 8 bits hold them."""
    return (images * 255).round() / 255


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8, some rows at a time, so that a large picture is not held a third time;
    of uint8 the same samples."""
    if image.dtype == torch.uint8:
        return image.permute(1, 2, 0).contiguous().numpy()
    array = np.empty((*image.shape[1:], 3), np.uint8)
    for top in range(0, len(array), ROWS):
        rows = image[:, top : top + ROWS]
        array[top : top + ROWS] = (rows * 255).round().byte().permute(1, 2, 0).numpy()
    return array
