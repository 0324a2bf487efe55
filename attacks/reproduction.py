"""Pictures that leave the computer and come back: the stripes of a screen, the dots of a printing press.

Simulations, to be taken as such: what a camera or scanner does afterwards are steps of a chain (``combined``).
``images`` are (B, 3, H, W) float in [0, 1], RGB, here and in the results.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from attacks.base import Kind, PixelKind, Strength, straight_through
from attacks.geometric import WarpKind

STRIPES = 3  # columns of a screen's pixel: red, green, blue
GLOW = 0.15  # share of its light that a stripe lends to its neighbours
EXPOSURE = 2.0  # times what the stripes let through: a camera sees to it that a screen is not dark
FINER = 4  # samples of a halftone along a pixel
LEVELS = 4096  # heights of a cell that are told apart
ANGLES = (15.0, 75.0, 45.0)  # degrees of the screens of red, green and blue: cyan, magenta, and one between


def subpixels(images: Tensor, *, nearest: bool) -> Tensor:
    """What a camera close to a screen sees: three times the size, each pixel three stripes of colour."""
    large = images.repeat_interleave(STRIPES, 2).repeat_interleave(STRIPES, 3)
    if nearest:
        return large
    column = torch.arange(large.shape[3], device=images.device) % STRIPES
    lit = (column == torch.arange(3, device=images.device)[:, None]).to(images)
    light = EXPOSURE * (lit * (1 - 2 * GLOW) + (1 - lit) * GLOW)
    return (large * light.view(1, 3, 1, -1)).clamp(max=1)


def halftone(images: Tensor, cell: float) -> Tensor:
    """Printed with dots ``cell`` pixels apart, one screen for each colour, and seen at the pixels' size; straight
    through. At 300 pixels an inch 133 lines an inch are cells of 2.26 pixels, a newspaper's 85 are 3.5."""
    height, width = images.shape[2:]
    fine = F.interpolate(
        images.detach(), (height * FINER, width * FINER), mode="bilinear", align_corners=False
    )  # each dot's edge follows the picture
    y = (torch.arange(height * FINER, device=images.device) + 0.5)[:, None] / FINER
    x = (torch.arange(width * FINER, device=images.device) + 0.5)[None] / FINER
    dots = []
    for channel, angle in enumerate(ANGLES):
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        turn = 2 * math.pi / cell
        across, down = (cosine * x + sine * y) * turn, (cosine * y - sine * x) * turn
        threshold = _share_below((across.cos() + down.cos()) / 2)
        dots.append((fine[:, channel] > threshold).to(images))
    seen = F.avg_pool2d(torch.stack(dots, dim=1), FINER)
    return straight_through(images, seen)


def _share_below(heights: Tensor) -> Tensor:
    """The share of a cell of (cos + cos) / 2 that lies below each height: thresholds that keep mean values."""
    return _shares().to(heights)[((heights + 1) * (LEVELS / 2)).long().clamp(0, LEVELS)]


@cache
def _shares() -> Tensor:
    """The same for ``LEVELS`` + 1 heights from -1 to 1."""
    wave = torch.cos((torch.arange(128, dtype=torch.float64) + 0.5) * 2 * math.pi / 128)
    ordered = ((wave[:, None] + wave) / 2).flatten().sort().values
    levels = torch.linspace(-1, 1, LEVELS + 1, dtype=torch.float64)
    return torch.searchsorted(ordered, levels) / len(ordered)


TABLE: dict[str, Kind] = {
    "subpixels": WarpKind("geometric", subpixels),
    "halftone": PixelKind("valuemetric", halftone, Strength(1, 16)),
}
