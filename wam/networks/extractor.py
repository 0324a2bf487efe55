"""The extractor network: picture -> per pixel a mask logit and an estimate of the embedded pattern.

It sees the picture and its high-pass luma over the local deviation, which is what the hand-made filter has. A residual
network at a quarter of the resolution (pixel-unshuffle keeps every detail). It is trained to predict the
unit-variance carrier pattern under mean squared error, so that its output is small where it knows little: the right
weight for the coherent averages that read the bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.networks.perceptual import high_pass

STRIDE = 4  # input pixels per feature pixel, each way


@dataclass(frozen=True)
class ExtractorOutput:
    """``pattern`` (B, 1, H, W): estimate of the unit-variance pattern; ``mask_logits`` (B, 1, H, W)."""

    pattern: Tensor
    mask_logits: Tensor


def normalised_residual(images: Tensor) -> Tensor:
    """High-pass luma over its local deviation: (B, 3, H, W) in [0, 1] -> (B, 1, H, W), limited to [-3, 3]."""
    residual, energy = high_pass(images)
    deviation = (energy + 1e-6).sqrt()
    return (residual / (deviation + 2.0)).clamp(-3, 3)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a GELU, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = features + self.second(F.gelu(self.first(features)))
        return output


class Extractor(nn.Module):
    """Picture (B, 3, H, W) in [0, 1], any size -> ``ExtractorOutput`` of the same size."""

    def __init__(self, *, channels: int = 96, blocks: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4 * STRIDE**2, channels, 3, padding=1)
        self.blocks = nn.Sequential(*[ResidualBlock(channels) for _ in range(blocks)])
        self.head = nn.Conv2d(channels, 2 * STRIDE**2, 3, padding=1)

    @property
    def shape(self) -> dict[str, int]:
        """What ``__init__`` builds it again from."""
        return {"channels": self.stem.out_channels, "blocks": len(self.blocks)}

    def forward(self, images: Tensor) -> ExtractorOutput:
        height, width = images.shape[-2:]
        pad = (0, -width % STRIDE, 0, -height % STRIDE)
        padded = F.pad(torch.cat([images * 2 - 1, normalised_residual(images)], dim=1), pad, mode="replicate")
        features = self.blocks(self.stem(F.pixel_unshuffle(padded, STRIDE)))
        maps = F.pixel_shuffle(self.head(F.gelu(features)), STRIDE)[..., :height, :width].float()
        return ExtractorOutput(maps[:, :1], maps[:, 1:])
