"""Small pieces: marked pictures reduced so far that their pattern is finer than what the levels are searched for.

Their estimate still repeats, on lattices finer than the comb of a level spans, and unmarked pictures seldom do. Where
windows of the finest level repeat there, their surroundings are enlarged and searched as a level of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wam.detection.crop import Part
from wam.detection.lattice_estimation import SCALES, periodicity
from wam.detection.sliding_windows import BATCH, Box, cut, repetitive_windows

SPAN = (0.42, SCALES[0])  # pixels per working pixel; below it too little of the pattern is left
REPETITION = 6.0  # standard deviations of periodicity; unmarked windows reach 5
BESIDE_OTHERS = 4.6  # the same in pictures where another mark was found: the rest is likely marked as well
# times as much a window repeats on the finer lattices as on usual ones: up to .77 where the levels show a mark, whose
# lattice fills half the points of one twice as fine; from .86 on where it is a small piece
FINER = 0.82
ENLARGED = 1.75  # times the finest level, so that those scales come into the comb
AROUND = 96  # pixels around a window that are looked at with it
LOOKS = 12  # windows of a picture that are looked at, most repetitive first


def small_windows(pattern: Tensor, available: Tensor, *, beside_others: bool = False) -> list[Box]:
    """Windows of the finest level, pattern and available (H, W), that may hold a small piece, most repetitive first.
    ``beside_others``: another mark was found in the picture."""
    least = BESIDE_OTHERS if beside_others else REPETITION
    windows = repetitive_windows(pattern, available, least=least, span=SPAN)
    usual: list[float] = []
    for first in range(0, len(windows), BATCH):
        boxes = [box for _, box in windows[first : first + BATCH]]
        weights = torch.stack([cut(available, box) for box in boxes])
        fields = torch.stack([cut(pattern, box) for box in boxes]) * weights
        usual += periodicity(fields, weights).tolist()
    return [box for (finer, box), coarser in zip(windows, usual, strict=True) if finer > FINER * coarser]


def enlarged(window: Box, size: tuple[int, int]) -> Part:
    """A window of a level of ``size`` (height, width) with what is looked at around it."""
    return Part.around(window, AROUND, size, scale=ENLARGED)
