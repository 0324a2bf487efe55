"""Small pieces: marked pictures reduced so far that their pattern is finer than what the levels are searched for.

Their estimate still repeats, on lattices finer than the comb of a level spans, and unmarked pictures seldom do. Where
windows of the finest level repeat there, their surroundings are enlarged and searched as a level of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wam.detection.config import SearchConfig, SmallRegionsConfig
from wam.detection.crop import Part
from wam.detection.lattice_estimation import periodicity
from wam.detection.sliding_windows import BATCH, Box, cut, repetitive_windows


def small_windows(
    pattern: Tensor, available: Tensor, config: SearchConfig, *, beside_others: bool = False
) -> list[Box]:
    """Windows of the finest level, pattern and available (H, W), that may hold a small piece, most repetitive first.
    ``beside_others``: another mark was found in the picture."""
    own = config.small_regions
    least = own.beside_others if beside_others else own.periodicity
    windows = repetitive_windows(pattern, available, config, least=least, span=config.small_scales)
    usual: list[float] = []
    for first in range(0, len(windows), BATCH):
        boxes = [box for _, box in windows[first : first + BATCH]]
        weights = torch.stack([cut(available, box) for box in boxes])
        fields = torch.stack([cut(pattern, box) for box in boxes]) * weights
        usual += periodicity(fields, weights, config.lattice).tolist()
    return [box for (finer, box), coarser in zip(windows, usual, strict=True) if finer > own.finer * coarser]


def enlarged(window: Box, size: tuple[int, int], config: SmallRegionsConfig) -> Part:
    """A window of a level of ``size`` (height, width) with what is looked at around it."""
    return Part.around(window, config.around, size, scale=config.enlarged)
