"""The embedder network: picture -> gain map, and the residual that carries a message.

residual = gain x pattern. The gain starts from the just-noticeable difference and is corrected by a small network that
learns, end to end with the extractor, where energy buys most readable bits. The total energy is then set to the asked
PSNR or, unless one is asked, so that pictures and their parts become more alike in how well they are read: smooth ones
give up some energy and textured ones, which are harder to read, take more, at a bounded loss of structural similarity.
It is never lifted above what the picture hides.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.networks.perceptual import high_pass, jnd
from wam.networks.visibility import Gains
from wam.signal.filters import box_mean

MAX_CORRECTION = math.log(2.0)  # the network moves the gain by at most a factor of two, either way
SSIM_LOSS = 0.01  # predicted loss of structural similarity that a picture of ``USUAL_SHARE`` is marked with
USUAL_SHARE = 0.1  # of the pattern's energy that can be read back; pictures of a smaller share may lose more
LOSSES = (0.7, 1.6)  # times ``SSIM_LOSS``: least and most
EVEN_PSNR = (38.5, 47.2)  # dB: bounds of what that may come to
ROOMY = 256 * 256  # pixels from which a picture has room enough for the faintest marks
SMALL_DB = -3.5  # by how much the upper bound of the PSNR is lower for the smallest, dB
PLAIN = 0.25  # squared levels of high-pass luma below which a place is of one colour, as paper and drawings are
PLAIN_SHARES = (0.15, 0.30)  # of plain places in a picture: from none to all of what ``PLAIN_PSNR`` asks for
PLAIN_PSNR = 45.0  # dB: lower bound for drawings and text, which are hard to read but hide nothing between the lines
USUAL_PSNR = 42.5  # dB: at which the parts of a picture are compared
PART = 33  # pixels: side of the parts of a picture that are made more alike, about a tile
PARTS = (0.7, 1.5)  # factor of the gain in a part: least and most
SSIM_FLOOR = (0.03 * 255) ** 2  # C2 of Wang et al. (2004), squared levels
MAX_OVER_JND = 2.0  # no pixel gets more than this multiple of its corrected JND, whatever PSNR is asked


class Embedder(nn.Module):
    """Picture (B, 3, H, W) in [0, 1] at working resolution -> gain (B, 1, H, W) in 8-bit levels before scaling.

    By the first ``law`` of what a picture hides: a corrected ``jnd``, scaled by ``scale_evenly``.
    """

    law = 1

    def __init__(self, *, channels: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, channels, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(channels, channels, 3, padding=1)
        self.deep = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.head = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.head.weight)  # training starts from the plain JND
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def tilt(self, coarseness: float) -> float:
        """Power of the frequency that the carrier's amplitudes grow with: see ``PerceptualEmbedder``."""
        return 0.0

    @property
    def shape(self) -> dict[str, int]:
        """What ``__init__`` builds it again from."""
        return {"channels": self.stem.out_channels}

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


def gains_at_psnr(gains: Gains, psnr_db: float) -> Gains:
    """Scales gains to a PSNR over R, G and B, but no higher than ``MAX_OVER_JND`` of them."""
    if gains.chroma is None:
        return Gains(scale_to_psnr(gains.luma, psnr_db))
    return gains.times(at_psnr(gains, psnr_db))


def at_psnr(gains: Gains, psnr_db: float) -> Tensor:
    """Times the gains (B,) of pictures that come to a PSNR over R, G and B, at most ``MAX_OVER_JND``."""
    factor: Tensor = 255.0 * 10.0 ** (-psnr_db / 20.0) / gains.power().sqrt()
    return factor.clamp(max=MAX_OVER_JND)


def scale_evenly(
    gain: Tensor,
    images: Tensor,
    *,
    fainter_db: float | Tensor = 0.0,
    bounds: tuple[float, float] = EVEN_PSNR,
) -> Tensor:
    """Scales gains so that pictures, and the parts of each, are read more alike, within bounds of PSNR and the JND.

    Each picture loses about ``SSIM_LOSS`` of its SSIM, more where less of the pattern can be read back: the loss goes
    with the root of that share, within ``LOSSES``. gain (B, 1, H, W) in 8-bit levels, images (B, 3, H, W) in [0, 1];
    ``bounds`` in dB, the upper one lower for small pictures, whose few tiles have to say all, the lower one higher for
    drawings and text; ``fainter_db``, a number or (B,): so much less energy than that -> (B, 1, H, W) in 8-bit levels.
    """
    highest = MAX_OVER_JND * gain
    activity = high_pass(images)[1]
    gain = even_parts(gain, activity)
    power = gain.square().mean(dim=(1, 2, 3))
    loss = (gain.square() * ssim_price(images)).mean(dim=(1, 2, 3))
    scarce = min(0.0, 10 * math.log10(images.shape[-2] * images.shape[-1] / ROOMY))
    upper = bounds[1] + max(SMALL_DB, scarce)
    low, high = (
        255.0 * 10.0 ** (-limit / 20.0) / power.sqrt()
        for limit in (torch.full_like(power, upper), lower_bound(activity, bounds[0]).clamp(max=upper))
    )

    def factor(wanted: float | Tensor) -> Tensor:
        return torch.minimum(torch.maximum((wanted / loss).sqrt(), low), high)

    usual = torch.minimum(gain * factor(SSIM_LOSS).view(-1, 1, 1, 1), highest)
    share = readable_share(usual, activity).mean(dim=(1, 2, 3))
    chosen = factor(SSIM_LOSS * (USUAL_SHARE / share).sqrt().clamp(*LOSSES))
    fainter = torch.as_tensor(fainter_db, device=gain.device, dtype=gain.dtype)
    return torch.minimum(gain * (chosen * 10.0 ** (-fainter / 20.0)).view(-1, 1, 1, 1), highest)


def lower_bound(activity: Tensor, usual: float) -> Tensor:
    """dB below which pictures are not marked: ``usual``, more for those that are plain in parts. activity (B, 1, H, W)
    in squared levels of high-pass luma -> (B,)."""
    plain = (activity < PLAIN).to(activity).mean(dim=(1, 2, 3))
    asked = ((plain - PLAIN_SHARES[0]) / (PLAIN_SHARES[1] - PLAIN_SHARES[0])).clamp(0, 1)
    return usual + asked * max(0.0, PLAIN_PSNR - usual)


def even_parts(gain: Tensor, activity: Tensor) -> Tensor:
    """Moves energy to parts where less of the pattern can be read back: the gain goes with the fourth root of that
    share, within ``PARTS``. gain (B, 1, H, W) in 8-bit levels, activity see ``readable_share`` -> the same shape.
    """
    share = box_mean(readable_share(scale_to_psnr(gain, USUAL_PSNR), activity), PART)
    return gain * (share.mean(dim=(1, 2, 3), keepdim=True) / share).pow(0.25).clamp(*PARTS)


def readable_share(gain: Tensor, activity: Tensor) -> Tensor:
    """Share of the pattern's energy that a Wiener filter would get back at each place, in (0, 1).

    The picture's own high-pass luma is the noise, as the extractor has it, with one squared level for rounding:
    gain (B, 1, H, W) in 8-bit levels, activity (B, 1, H, W) its local energy, squared levels -> (B, 1, H, W).
    """
    noise = activity + 1.0
    energy = gain.square() + 1e-4  # never nothing, where a gain is
    return energy / (energy + noise)


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
