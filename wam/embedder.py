"""The embedder network: picture -> gain map, and the residual that carries a message.

residual = gain x pattern. The gain starts from the just-noticeable difference and is corrected by a small network that
learns, end to end with the extractor, where energy buys most readable bits. The total energy is then set to the asked
PSNR or, unless one is asked, to what costs every picture the same structural similarity: textured pictures, which are
harder to read, hide more. It is never lifted above what the picture hides.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.jnd import jnd

MAX_CORRECTION = math.log(2.0)  # the network moves the gain by at most a factor of two, either way
SSIM_LOSS = 0.0095  # predicted loss of structural similarity that a picture is marked with
EVEN_PSNR = (39.5, 45.0)  # dB: bounds of what that may come to
SSIM_FLOOR = (0.03 * 255) ** 2  # C2 of Wang et al. (2004), squared levels
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


def scale_evenly(
    gain: Tensor,
    images: Tensor,
    *,
    fainter_db: float | Tensor = 0.0,
    bounds: tuple[float, float] = EVEN_PSNR,
) -> Tensor:
    """Scales gains so that every picture loses about ``SSIM_LOSS`` of its SSIM, within bounds of PSNR and the JND.

    gain (B, 1, H, W) in 8-bit levels, images (B, 3, H, W) in [0, 1]; ``bounds`` in dB; ``fainter_db``, a number or
    (B,): so much less energy than that -> (B, 1, H, W) in 8-bit levels.
    """
    power = gain.square().mean(dim=(1, 2, 3))
    loss = (gain.square() * ssim_price(images)).mean(dim=(1, 2, 3))
    low, high = (255.0 * 10.0 ** (-bound / 20.0) / power.sqrt() for bound in reversed(bounds))
    factor = torch.minimum(torch.maximum((SSIM_LOSS / loss).sqrt(), low), high)
    fainter = torch.as_tensor(fainter_db, device=gain.device, dtype=gain.dtype)
    factor = (factor * 10.0 ** (-fainter / 20.0)).clamp(max=MAX_OVER_JND)
    return gain * factor.view(-1, 1, 1, 1)


def ssim_price(images: Tensor) -> Tensor:
    """SSIM lost per squared level of an added independent pattern: (B, 3, H, W) in [0, 1] -> (B, 1, H, W).

    From the structure term of Wang et al. (2004), (2 s_xy + C2) / (s_x^2 + s_y^2 + C2): noise of variance n added to a
    picture of local variance v leaves 1 - n / (2 v + C2 + n), here for small n, as a mean over R, G and B.
    """
    levels = images * 255.0
    variance = (_ssim_window(levels.square()) - _ssim_window(levels).square()).clamp(min=0)
    return _ssim_window((1.0 / (2.0 * variance + SSIM_FLOOR)).mean(1, keepdim=True))


def _ssim_window(maps: Tensor) -> Tensor:
    """The Gaussian window of SSIM, standard deviation 1.5 over 11 pixels, the border reflected: same shape."""
    reach = torch.arange(-5, 6, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (reach / 1.5) ** 2)
    kernel = kernel / kernel.sum()
    count, channels, height, width = maps.shape
    mode = "reflect" if min(height, width) > 5 else "replicate"
    flat = F.pad(maps.reshape(count * channels, 1, height, width), (5, 5, 5, 5), mode=mode)
    flat = F.conv2d(F.conv2d(flat, kernel.view(1, 1, 1, 11)), kernel.view(1, 1, 11, 1))
    return flat.reshape(maps.shape)
