"""The resolutions that a picture is looked at from."""

from __future__ import annotations

import math
from collections.abc import Iterator

from wam.detection.config import PyramidConfig
from wam.signal.filters import sized
from wam.signal.specification import WORKING_SIDE


def view_sizes(height: int, width: int, config: PyramidConfig) -> Iterator[tuple[int, tuple[int, int]]]:
    """The views of a picture of that size that are looked at: short side, and (height, width); at least one.

    None has more pixels than ``config.largest_view``: very long strips are only looked at reduced.
    """
    short, long = min(height, width), max(height, width)
    largest = math.sqrt(config.largest_view * short / long)  # short side of a view of so many pixels
    any_view = False
    for short_side in pyramid(short, config, largest=largest):
        size = sized(height, width, short_side)
        enlarged = short_side > short and size[0] * size[1] > config.largest_enlarged
        if size[0] * size[1] <= config.largest_view and not enlarged:
            any_view = True
            yield short_side, size
    if not any_view:
        short_side = max(8, int(largest))
        yield short_side, sized(height, width, short_side)


def pyramid(short_side: int, config: PyramidConfig, *, largest: float = math.inf) -> Iterator[int]:
    """Short sides to look from: the usual one, coarser ones for enlarged pieces, finer ones for reduced pieces, evenly
    spaced up to the picture's own or the ``largest``.

    A picture below the usual size may be a thumbnail of a larger one, and is looked at enlarged.
    """
    usual = min(WORKING_SIDE, short_side)
    yield usual
    if usual < WORKING_SIDE:
        yield WORKING_SIDE
    side = usual / config.coarser
    while side >= config.coarsest:
        yield round(side)
        side /= config.coarser
    finest = math.floor(min(short_side, largest))
    if finest > usual * config.native:
        steps = math.ceil(math.log(finest / usual) / math.log(config.finer) - 1e-9)
        for step in range(1, steps + 1):
            yield round(usual * (finest / usual) ** (step / steps))
