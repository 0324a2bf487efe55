"""Small pieces: marked pictures reduced so far that their pattern is finer than what the levels are searched for.

Their estimate still repeats, on lattices finer than the comb of a level spans, and unmarked pictures seldom do. Where
windows of the finest level repeat there, their surroundings are enlarged and searched as a level of their own.
"""

from __future__ import annotations

from wam.detection.config import SmallRegionsConfig
from wam.detection.crop import Part
from wam.detection.level_search import measure
from wam.detection.sliding_windows import Box, Measured, Window, all_boxes
from wam.detection.view import Unexplained, View


def small_windows(view: View, left: Unexplained, measured: Measured, *, beside_others: bool = False) -> list[Window]:
    """Windows of the finest view that may hold a small piece, those first that stand out most. ``measured``: windows as
    they were measured before; ``beside_others``: another mark was found in the picture."""
    own = view.config.small_regions
    least = own.beside_others if beside_others else own.standing
    windows = measure(view, left, all_boxes(view.size, view.config), measured, thorough=False, fine=True)
    worth = [one for one in windows if one.fine_standing > least and one.fine_lift > own.finer * one.lift]
    return sorted(worth, key=lambda one: -one.fine_standing)


def enlarged(window: Box, size: tuple[int, int], config: SmallRegionsConfig, *, around: int = 0) -> Part:
    """A window of a level of ``size`` (height, width), with so many pixels around it."""
    return Part.around(window, around, size, scale=config.enlarged)
