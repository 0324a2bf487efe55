"""The embedder network: picture -> gain map, and the residual that carries a message.

residual = gain x pattern. The gain starts from the just-noticeable difference and is corrected by a small network that
learns, end to end with the extractor, where energy buys most readable bits. The total energy is then set to the asked
PSNR, and never lifted above what the picture hides.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.jnd import jnd

MAX_CORRECTION = math.log(2.0)  # the network moves the gain by at most a factor of two, either way
MAX_OVER_JND = 1.6  # no pixel gets more than this multiple of its corrected JND, whatever PSNR is asked


class Embedder(nn.Module):
    """Picture (B, 3, H, W) in [0, 1] at working resolution -> gain (B, 1, H, W) in 8-bit levels before scaling."""

    def __init__(self, *, channels: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, channels, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(channels, channels, 3, padding=1)
        self.deep = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.head = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.head.weight)  # training starts from the plain JND
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        visible = jnd(images)
        features = F.gelu(self.stem(torch.cat([images * 2 - 1, visible.log()], dim=1)))
        features = F.gelu(self.middle(features))
        features = F.gelu(self.deep(features))
        correction = torch.tanh(self.head(features)) * MAX_CORRECTION
        correction = F.interpolate(correction, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return visible * correction.exp()


def scale_to_psnr(gain: Tensor, psnr_db: float | Tensor) -> Tensor:
    """Scales gains so that gain x unit-variance pattern has the asked PSNR, but no higher than ``MAX_OVER_JND`` gains.

    gain (B, 1, H, W) in 8-bit levels, psnr_db a number or (B,) -> (B, 1, H, W) in 8-bit levels.
    """
    target = 255.0 * 10.0 ** (-torch.as_tensor(psnr_db, device=gain.device, dtype=gain.dtype) / 20.0)
    root_mean_square = gain.square().mean(dim=(1, 2, 3)).sqrt()
    factor = (target / root_mean_square).clamp(max=MAX_OVER_JND)
    return gain * factor.view(-1, 1, 1, 1)
