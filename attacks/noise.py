"""Random fields from numbers in [0, 1): the same number, the same field, on every device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SEEDS = 2**53  # as many different fields as a float64 in [0, 1) can name


def white(seed: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Independent standard normal values, (B, *shape) float32 on the CPU; seed (B,) in [0, 1)."""
    fields = []
    for value in (seed * SEEDS).long().tolist():
        generator = torch.Generator().manual_seed(value)
        fields.append(torch.randn(shape, generator=generator))
    return torch.stack(fields)


def smooth(seed: Tensor, size: tuple[int, int], *, channels: int = 1, cells: int = 5) -> Tensor:
    """Blobs, about ``cells`` across, the same at every size, (B, channels, H, W) float32, CPU."""
    coarse = white(seed, (channels, cells, cells))
    return F.interpolate(coarse, size, mode="bicubic", align_corners=False)


def texture(seed: Tensor, size: tuple[int, int]) -> Tensor:
    """A coloured pattern with detail at many scales, (B, 3, H, W) float32 in [0, 1] on the CPU."""
    total = torch.zeros(len(seed), 3, *size)
    for octave in range(6):
        total += smooth(seed, size, channels=3, cells=4 * 2**octave) / 1.6**octave
    return torch.sigmoid(total)
