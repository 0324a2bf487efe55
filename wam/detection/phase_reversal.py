"""Reversals of phase: patterns of which all, or what lies beyond some frequency, has light and dark exchanged.

All of it does in a negative, and where more of a mark was subtracted than was there. Beyond some frequency it does
out of focus: the transfer function of a disc falls to zero, goes on below it and comes back ("spurious resolution";
Hopkins, The frequency response of a defocused optical system, 1955). The pattern is still there, but its pilot and
bits contradict themselves, until the signs are put right.

These constants are not in ``SearchConfig``: they add looks where the search by that found nothing sure, and are tested
apart (``scripts/null_run.py --quick``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wam.detection.synchronization import joint_score, votes_at
from wam.detection.view import View
from wam.signal.pose import Pose
from wam.signal.specification import TILE


@dataclass(frozen=True)
class Reversal:
    """``below``: the sign of low frequencies, 1 or -1; from ``change`` on, in cycles per tile, it is the other one."""

    below: int
    change: float = float("inf")

    @property
    def negative(self) -> bool:
        """Whether all is turned over."""
        return self.below < 0 and self.change == float("inf")

    def signs(self, cycles: Tensor) -> Tensor:
        """At distances from zero frequency in cycles per tile: 1 or -1, of the same shape."""
        return torch.where(cycles < self.change, float(self.below), -float(self.below))

    def undone(self, pattern: Tensor, scale: float) -> Tensor:
        """A pattern (..., H, W) with its signs put right; ``scale`` in pixels per working pixel."""
        if self.negative:
            return -pattern
        size = (pattern.shape[-2], pattern.shape[-1])
        down, across = (torch.fft.fftfreq(size[0]), torch.fft.rfftfreq(size[1]))
        cycles = (torch.hypot(down[:, None], across) * TILE * scale).to(pattern.device)
        spectrum = torch.fft.rfft2(pattern.float()) * self.signs(cycles)
        right: Tensor = torch.fft.irfft2(spectrum, s=size)
        return right

    def __str__(self) -> str:
        if self.negative:
            return "light and dark exchanged"
        where = "from" if self.below > 0 else "up to"
        return f"contrast reversed {where} {self.change:g} cycles of a tile, as out of focus"


NEGATIVE = Reversal(-1)
# one zero of a disc's transfer function within the pattern's band of 3 to 10 cycles, or two with the first near its
# lower end; steps of one cycle over the middle of the band, not tuned
REVERSALS = (NEGATIVE, *(Reversal(below, change) for change in (5.0, 6.0, 7.0, 8.0) for below in (1, -1)))
LIKELY = 0.8  # of the threshold that the best has at the expected pose by its signs alone


def likeliest(view: View, available: Tensor, expected: Pose) -> Reversal | None:
    """The reversal without which the available part (H, W) of a view shows most of a mark at the expected pose, read by
    the public half where there are labels; None where none shows enough."""
    carrier = view.carrier.public_half if view.carrier.labels else view.carrier
    votes = votes_at(view.pattern * available, expected, carrier)
    cycles = torch.hypot(*carrier.frequencies.unbind(1))
    signs = torch.stack([one.signs(cycles) for one in REVERSALS])  # (R, K)
    scores, _ = joint_score(votes * signs[..., None], carrier, view.config.synchronization)
    best = int(scores.argmax())
    return REVERSALS[best] if float(scores[best]) > LIKELY * view.threshold else None
