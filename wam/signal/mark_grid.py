"""Cells: a picture divided among several marks, and the working resolution that gives each of them enough room."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wam.signal.specification import LEVEL_RATIO, TILE, WORKING_SIDE

LEAST_AREA = 16 * TILE**2  # working pixels of a cell, 16 tiles
SMALLEST_SIDE = TILE  # pixels: smaller picture files are read, but neither marked nor searched
WORKING_SIDES = tuple(round(WORKING_SIDE * LEVEL_RATIO**level) for level in range(4))  # pixels: detection looks from


@dataclass(frozen=True)
class Cell:
    """A rectangle of pixels: ``top``, ``left``, ``height``, ``width``."""

    top: int
    left: int
    height: int
    width: int


def divide(height: int, width: int, count: int) -> list[Cell]:
    """Cuts a picture into ``count`` rectangles, as square and as equal as rows of them can be, row by row.

    >>> divide(100, 200, 3)
    [Cell(top=0, left=0, height=100, width=66), Cell(top=0, left=66, height=100, width=67), \
Cell(top=0, left=133, height=100, width=67)]
    """
    rows = min(range(1, count + 1), key=lambda rows: abs(math.log(width * rows * rows / (count * height))))
    cells = []
    for row in range(rows):
        top, bottom = height * row // rows, height * (row + 1) // rows
        columns = count * (row + 1) // rows - count * row // rows
        for column in range(columns):
            left, right = width * column // columns, width * (column + 1) // columns
            cells.append(Cell(top, left, bottom - top, right - left))
    return cells


def working_side(height: int, width: int, count: int) -> int:
    """The smallest short side, pixels, at which so many cells have room: one that detection looks from, or the own.

    The largest there is where none of them gives enough room.
    """
    own = min(height, width)
    sides = [side for side in WORKING_SIDES if side < own]
    if own <= WORKING_SIDES[-1]:
        sides.append(own)
    return next((side for side in sides if _area(height, width, side) >= count * LEAST_AREA), sides[-1])


def room(height: int, width: int) -> int:
    """How many cells a picture has room for."""
    return int(_area(height, width, min(height, width, WORKING_SIDES[-1])) / LEAST_AREA)


def _area(height: int, width: int, side: int) -> float:
    """Pixels of a picture that is brought to a short side."""
    return side * side * max(height, width) / min(height, width)
