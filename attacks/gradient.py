"""The published extractor as a guide: a picture is changed until the extractor no longer sees what it saw.

No key is used: what is worn away is the periodic part of the extractor's own estimate of the marked picture, which is
the pattern of whatever key. Projected gradient descent (Madry et al., 2018) within a ball of mean square error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from attacks.folding import held, to_8_bits
from attacks.means import Means, Outcome

ROUNDS = 20  # passes of the network forward and back
STRIDE = 0.25  # length of a step, in radii of the ball


def against_estimate(marked: Tensor, means: Means, psnr_db: float) -> Outcome:
    """The picture at ``psnr_db`` whose estimate agrees least with the periodic part of what was seen before."""
    change = _descended(marked, means, psnr_db, lambda agreement: agreement.mean(), last=STRIDE)
    return Outcome(held(marked, change, psnr_db) if change.any() else to_8_bits(marked), marked)


def to_nothing(marked: Tensor, means: Means, psnr_db: float) -> Outcome:
    """A picture at ``psnr_db`` or nearer whose estimate neither agrees nor disagrees with it, tile by tile: what is
    read turned over, where the least agreement is sought, is not left here."""

    def left(agreement: Tensor) -> Tensor:
        return F.avg_pool2d(agreement, means.tile, means.tile // 2, ceil_mode=True).square().mean()

    return Outcome(to_8_bits(marked + _descended(marked, means, psnr_db, left, last=STRIDE / ROUNDS)), marked)


def _descended(marked: Tensor, means: Means, psnr_db: float, aim: Callable[[Tensor], Tensor], *, last: float) -> Tensor:
    """The change (1, 3, H, W) that makes least of an aim, which is given the estimate times the periodic part of what
    was seen before, (1, 1, h, w); the ``last`` of the steps, which shrink evenly, in radii of the ball."""
    with torch.no_grad():
        seen = _periodic(means.estimate(marked), means.tile)
    radius = 10 ** (-psnr_db / 20) * marked.numel() ** 0.5
    change = torch.zeros_like(marked)
    for step in torch.linspace(STRIDE, last, ROUNDS).tolist():
        tried = (marked + change).clamp(0, 1).requires_grad_()
        (slope,) = torch.autograd.grad(aim(means.estimate(tried) * seen), tried)
        change = change - step * radius * slope / slope.norm().clamp(min=1e-12)
        change = (marked + change).clamp(0, 1) - marked
        change = change * min(1.0, radius / max(float(change.norm()), 1e-12))
    return change


def _periodic(pattern: Tensor, tile: int) -> Tensor:
    """The mean over all whole tiles, laid over the whole again: (1, 1, h, w)."""
    height, width = pattern.shape[-2:]
    rows, columns = -(-height // tile), -(-width // tile)
    pad = (0, columns * tile - width, 0, rows * tile - height)
    total = F.pad(pattern, pad).view(rows, tile, columns, tile).sum(dim=(0, 2))
    count = F.pad(torch.ones_like(pattern), pad).view(rows, tile, columns, tile).sum(dim=(0, 2))
    mean = total / count.clamp(min=1)
    return mean.repeat(rows, columns)[None, None, :height, :width]
