"""The extractor as a U-Net of two scales.

The same inputs and outputs as ``wam.networks.extractor``, whose stack of blocks it replaces: at equal cost it gives a
quarter more evidence (checkpoints/README.md). Residual blocks at a quarter of the resolution, more of them at an eighth
where a pixel of features costs a quarter, and again at a quarter.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.networks.extractor import STRIDE, ExtractorOutput, ResidualBlock, normalised_residual

PADDED = 2 * STRIDE  # sides are padded to multiples of so many pixels
INPUTS = 4  # maps at full resolution: R, G, B, normalised high-pass luma


class UNetExtractor(nn.Module):
    """Picture (B, 3, H, W) in [0, 1], any size -> ``ExtractorOutput`` of the same size."""

    def __init__(self, *, channels: int = 80, deep: int = 128, blocks: int = 3, deep_blocks: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(INPUTS * STRIDE**2, channels, 3, padding=1)
        self.enter = nn.Sequential(*[ResidualBlock(channels) for _ in range(blocks)])
        self.down = nn.Conv2d(channels, deep, 2, stride=2)
        self.deep = nn.Sequential(*[ResidualBlock(deep) for _ in range(deep_blocks)])
        self.up = nn.Conv2d(deep, 4 * channels, 1)
        self.leave = nn.Sequential(*[ResidualBlock(channels) for _ in range(blocks)])
        self.head = nn.Conv2d(channels, 2 * STRIDE**2, 3, padding=1)
        self._start_small()

    def _start_small(self) -> None:
        """Blocks start as nothing and the head small: otherwise training from scratch leaves the road at useful
        rates."""
        for block in self.modules():
            if isinstance(block, ResidualBlock):
                nn.init.zeros_(block.second.weight)
                nn.init.zeros_(block.second.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.head.weight.mul_(0.1)

    @property
    def shape(self) -> dict[str, int]:
        """What ``__init__`` builds it again from."""
        return {
            "channels": self.stem.out_channels,
            "deep": self.down.out_channels,
            "blocks": len(self.enter),
            "deep_blocks": len(self.deep),
        }

    def forward(self, images: Tensor) -> ExtractorOutput:
        height, width = images.shape[-2:]
        maps = torch.cat([images * 2 - 1, normalised_residual(images)], dim=1)
        padded = F.pad(maps, (0, -width % PADDED, 0, -height % PADDED), mode="replicate")
        fine = self.enter(self.stem(F.pixel_unshuffle(padded, STRIDE)))
        fine = self.leave(fine + F.pixel_shuffle(self.up(self.deep(self.down(fine))), 2))
        output = F.pixel_shuffle(self.head(F.gelu(fine)), STRIDE)[..., :height, :width].float()
        return ExtractorOutput(output[:, :1], output[:, 1:])
