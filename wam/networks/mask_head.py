"""The mask head: a small network that outlines one message from the evidence for it, pixel by pixel.

What it sees is in units that do not depend on strength: the product of the extractor's estimate with the message's own
pattern, made again at its pose, and its ratio to the estimate's energy, which is about one or more where the message is
and about zero elsewhere, over windows of several sizes; beside them the extractor's own mask logit and the picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.networks.extractor import STRIDE
from wam.signal.filters import box_mean, gaussian, luma

WINDOWS = (1.5, 4.0, 8.0)  # cells: standard deviations of the windows of the ratio
SURROUNDINGS = 5  # channels of ``surroundings``
CHANNELS = SURROUNDINGS + 2 + len(WINDOWS)
SMALL = 0.02  # of the mean energy, added where ratios are taken


def surroundings(view: Tensor, mask_logits: Tensor) -> Tensor:
    """What does not depend on the message: view (1, 3, H, W), mask logits (1, 1, H, W) -> (5, rows, columns)."""
    levels = luma(view) * 255
    deviation = (box_mean(levels.square(), 7) - box_mean(levels, 7).square()).clamp(min=0).sqrt()
    maps = torch.cat([mask_logits, deviation.log1p() - 1.5, view * 2 - 1], dim=1)
    return cells(maps[0])


def evidence(pattern: Tensor, made: Tensor) -> Tensor:
    """Evidence for messages: estimate (H, W), patterns made again (M, H, W) -> (M, 2 + windows, rows, columns)."""
    energy = cells(pattern.square()[None])
    unit = energy.mean() + 1e-6
    product = cells(pattern * made)
    ratios = [gaussian(product, window) / (gaussian(energy, window) + SMALL * unit) for window in WINDOWS]
    maps = [product / unit, (energy / unit).expand_as(product), *ratios]
    return torch.stack([channel.clamp(-4, 6) for channel in maps], dim=1)


def cells(maps: Tensor) -> Tensor:
    """Means over cells of ``STRIDE`` pixels each way: (C, H, W) -> (C, rows, columns), the border repeated."""
    height, width = maps.shape[-2:]
    padded = F.pad(maps[None], (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
    return F.avg_pool2d(padded, STRIDE)[0]


class MaskHead(nn.Module):
    """Evidence and surroundings (B, 10, rows, columns) -> mask logits (B, rows, columns); no downsampling."""

    def __init__(self, *, channels: int = 24) -> None:
        super().__init__()
        self.stem = nn.Conv2d(CHANNELS, channels, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=reach, dilation=reach) for reach in (1, 2, 4, 8, 16, 2)
        )
        self.last = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: Tensor) -> Tensor:
        features = self.stem(maps)
        for layer in self.layers:
            features = features + layer(F.gelu(features))
        output: Tensor = self.last(F.gelu(features))[:, 0]
        return output
