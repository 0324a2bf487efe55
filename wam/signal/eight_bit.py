"""Pictures as their files hold them, uint8 with 8 bits a sample: large ones are taken in strips, not held as floats.

What comes out is the same, bit by bit, as of the whole picture as floats: rows are converted and made narrower one by
one, and columns made shorter after that, as ``torch`` does it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

SAMPLES = 1 << 22  # that are converted at a time
TOGETHER = 1 << 24  # samples of half-made pictures up to which all colours are resized together


def view_of(pixels: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 as (1, 3, H, W), without a copy of pixels that lie in order and may be written."""
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]


def floats(images: Tensor) -> Tensor:
    """Samples of 8 bits as float32 in [0, 1]; floats as they are."""
    if images.dtype != torch.uint8:
        return images
    return images.to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def as_given(images: Tensor, given: Tensor) -> Tensor:
    """Floats in [0, 1] as the samples that were given: rounded to 8 bits where these are."""
    return (images * 255).round().byte() if given.dtype == torch.uint8 else images


def resized(images: Tensor, size: tuple[int, int], of: Callable[[Tensor], Tensor] = floats) -> Tensor:
    """Antialiased bilinear resize of (B, C, H, W) uint8 to float32 in [0, 1]; ``of`` strips of it, as floats, maps each
    row by itself: its luma, say."""
    if of is not floats or images.shape[-2] * size[1] * images.shape[1] <= TOGETHER:
        return _resized(images, size, of)
    made = torch.empty((*images.shape[:2], *size), device=images.device)
    for colour in range(images.shape[1]):
        own = slice(colour, colour + 1)
        made[:, own] = _resized(images[:, own], size, of)
    return made


def _resized(images: Tensor, size: tuple[int, int], of: Callable[[Tensor], Tensor]) -> Tensor:
    height, width = images.shape[-2:]
    rows = max(1, SAMPLES // (width * images.shape[0] * images.shape[1]))
    narrow: Tensor | None = None
    for top in range(0, height, rows):
        strip = of(floats(images[..., top : top + rows, :]))
        strip = interpolated(strip, (strip.shape[-2], size[1]))
        if narrow is None:
            narrow = strip.new_empty((*strip.shape[:2], height, size[1]))
        narrow[..., top : top + rows, :] = strip
    assert narrow is not None
    return interpolated(narrow, size)


def interpolated(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bilinear resize of floats (B, C, H, W), the widths first: strips of rows may be made narrower one by
    one, and shorter together."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
