"""A sketch of a picture's cells, to tell whether a part of a picture belongs to the one that was marked.

A mark can be copied to another picture. A hash of the whole picture (``phash``) notices that for whole pictures only;
a sketch is compared cell by cell, so that parts can be checked as well: of each cell of the marked picture it keeps
whether the next one to the right and the next one below are brighter. Where a found mark lies is known up to whole
periods of its pattern, so all shifts by whole periods are tried, and the best counts.

It is a picture of the picture, of some 1,500 cells: whoever has it sees what was marked, roughly.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

CELL = 8  # working pixels of a cell's side; a period of the pattern is a whole number of them
MOST_CELLS = 16384  # of a sketch: of longer pictures the cells at the far end are left out
STRONG = 12.0  # 8-bit levels of difference between cells from which more does not count as more
FAINT = 1.0  # levels below which a difference says nothing
INSIDE = 0.9  # share of what a part shows that lies within the sketch; its pose is known to a cell or so

Binding = Literal["own", "other", "unbound"]  # what a part and a sketch come to; the last: it cannot be said
Cells = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """How a part agrees with a sketch at the best shift: ``share`` of its differences that point the same way, the
    clear ones first, about .5 for another picture; ``edges``: how many clear ones were compared."""

    share: float
    edges: float


@dataclass(frozen=True, eq=False)
class Sketch:
    """``right`` (rows, columns - 1) and ``down`` (rows - 1, columns): whether the next cell is brighter."""

    right: Flags
    down: Flags

    @classmethod
    def of(cls, cells: Cells) -> Sketch:
        """The sketch of a picture's mean values, (rows, columns) with two of each or more."""
        cells = cells[:, : max(2, MOST_CELLS // len(cells))]
        if min(cells.shape) < 2:
            raise ValueError(
                f"expected two rows and columns of cells or more, found {cells.shape}; use a larger picture"
            )
        return cls(np.diff(cells, axis=1) > 0, np.diff(cells, axis=0) > 0)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return len(self.right), self.down.shape[1]

    def to_text(self) -> str:
        """As a registry keeps it: ``ROWSxCOLUMNS:`` and the bits in base64.

        >>> Sketch.of(np.array([[0.0, 1.0], [2.0, 0.0]])).to_text()
        '2x2:oA=='
        """
        bits = np.packbits(np.concatenate([self.right.ravel(), self.down.ravel()]))
        return f"{self.shape[0]}x{self.shape[1]}:{base64.b64encode(bits.tobytes()).decode()}"

    @classmethod
    def from_text(cls, text: str) -> Sketch:
        """The way back; raises ``ValueError`` for anything else."""
        size, _, content = text.partition(":")
        try:
            rows, columns = map(int, size.split("x"))
            packed = np.frombuffer(base64.b64decode(content, validate=True), dtype=np.uint8)
        except ValueError as error:
            raise ValueError(f"expected a sketch ROWSxCOLUMNS:BASE64, found {text[:40]!r}") from error
        across, along = rows * (columns - 1), (rows - 1) * columns
        if min(rows, columns) < 2 or rows * columns > 2 * MOST_CELLS or len(packed) != -(-(across + along) // 8):
            raise ValueError(f"expected a sketch with the bits of its cells, found {text[:40]!r}")
        bits = np.unpackbits(packed).astype(bool)
        found = cls(bits[:across].reshape(rows, columns - 1), bits[across : across + along].reshape(rows - 1, columns))
        if found.to_text() != text:  # signs, blanks, other spellings
            raise ValueError(f"expected a sketch as it is written, found {text[:40]!r}")
        return found

    def compare(self, cells: Cells, seen: Flags, *, period: int) -> Agreement:
        """A part's mean values and which of them are of the part, (r, c), in 8-bit levels; ``period``: cells from one
        shift that is possible to the next. No agreement where less than two cells can be compared."""
        right = _Steps(np.diff(cells, axis=1), seen[:, 1:] & seen[:, :-1])
        down = _Steps(np.diff(cells, axis=0), seen[1:] & seen[:-1])
        total = right.weight.sum() + down.weight.sum()
        edges = right.clear + down.clear
        best = 0.0
        if total > 0:
            for top, left in _shifts(self.shape, cells.shape, period):
                agreed, within = (
                    sum(parts)
                    for parts in zip(right.at(self.right, top, left), down.at(self.down, top, left), strict=True)
                )
                if within >= INSIDE * total:
                    best = max(best, agreed / within)
        return Agreement(min(1.0, float(best)), float(edges))


class _Steps:
    """Differences of neighbours, and how much each says."""

    def __init__(self, steps: Cells, seen: Flags) -> None:
        size = np.abs(steps)
        self.up = steps > 0
        self.weight = np.where(seen & (size >= FAINT), np.minimum(size, STRONG), 0.0)
        self.clear = float((self.weight >= STRONG / 3).sum())

    def at(self, flags: Flags, top: int, left: int) -> tuple[float, float]:
        """Weight that agrees, and weight that lies within, where the part's first cell lies at (top, left)."""
        rows, columns = flags.shape
        height, width = self.up.shape
        y, x = slice(max(0, -top), min(height, rows - top)), slice(max(0, -left), min(width, columns - left))
        if y.start >= y.stop or x.start >= x.stop:
            return 0.0, 0.0
        own = flags[y.start + top : y.stop + top, x.start + left : x.stop + left]
        weight = self.weight[y, x]
        return float(weight[own == self.up[y, x]].sum()), float(weight.sum())


def _shifts(whole: tuple[int, int], part: tuple[int, ...], period: int) -> Iterator[tuple[int, int]]:
    """Every place of a part's first cell at which the two overlap."""
    for top in _steps(whole[0], part[0], period):
        for left in _steps(whole[1], part[1], period):
            yield top, left


def _steps(whole: int, part: int, period: int) -> range:
    first = -math.floor((part - 1) / period) * period
    return range(first, whole, period)
