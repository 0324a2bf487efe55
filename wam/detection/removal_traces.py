"""What subtracting a mark leaves: energy that is missing where its pattern would lie.

Whoever averages a pattern over its period and subtracts it takes with it what the picture itself has at the pattern's
frequencies, so that these are emptier than those between them.
"""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor

from wam.networks.extractor import normalised_residual
from wam.signal.filters import resize, sized
from wam.signal.specification import HIGHEST, LOWEST, TILE, WORKING_SIDE

SUSPICIOUS = -0.88
"""Missing energy below which something may have been subtracted: of 2,000 unmarked photos of the independent set (mean
-.51, deviation .12) two lie below (scripts/removal_traces.py), of drawings and screenshots 2 to 8 of a hundred."""
BLANK = 1e-4  # mean square of the fine luma over its deviation, below which a picture is of one colour


def missing_energy(images: Tensor) -> float | None:
    """The mean logarithm of the power at whole cycles per tile over that half a cycle beside, over the band, of the
    fine luma of a whole picture (1, 3, H, W) in [0, 1] at the usual resolution; None of a smaller one, and of one that
    shows nothing.

    About -.52 for a picture without a mark: the mean logarithm of an exponential variable over the mean of eight.
    """
    if min(images.shape[-2:]) < WORKING_SIDE:
        return None
    size = sized(int(images.shape[-2]), int(images.shape[-1]), WORKING_SIDE)
    fine = normalised_residual(resize(images, size))[0, 0].cpu().double()  # not every device has doubles
    if float(fine.square().mean()) < BLANK:
        return None
    highest = math.floor(HIGHEST)
    cycles = torch.arange(-highest, highest + 1).double()
    radius = torch.hypot(cycles[:, None], cycles)
    half = (cycles[:, None] > 0) | ((cycles[:, None] == 0) & (cycles > 0))  # the rest is the same again
    inside = (radius >= LOWEST) & (radius <= HIGHEST) & half
    beside = [shift for shift in product((-0.5, 0.0, 0.5), repeat=2) if any(shift)]
    around = torch.stack([_power(fine, cycles + down, cycles + across)[inside] for down, across in beside]).mean(0)
    ratio = _power(fine, cycles, cycles)[inside].clamp(min=1e-9) / around.clamp(min=1e-9)
    return float(ratio.log().mean())


def _power(fine: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Of a map (h, w) at so many cycles per tile: (len(down), len(across))."""
    rows, columns = (
        torch.polar(torch.ones_like(turns), turns)
        for turns in (
            -2 * math.pi / TILE * cycles[:, None] * (torch.arange(count) + 0.5)
            for cycles, count in zip((down, across), fine.shape, strict=True)
        )
    )
    return (rows @ fine.to(torch.complex128) @ columns.T).abs().square()
