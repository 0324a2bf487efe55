"""Whether a mark lies on the picture that it was made for: its surroundings against the sketch that a registry keeps.

The pose of a mark says how the marked picture lies in the file, turned, scaled, mirrored or cut, but for whole periods
of the pattern; so the part that carries the mark is brought back to how it was marked and compared there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from payload.sketch import CELL, Agreement, Binding, Cells, Flags, Sketch
from wam.signal.eight_bit import resized, view_of
from wam.signal.filters import luma, sized
from wam.signal.specification import TILE, WORKING_SIDE
from wam.watermarker import Detection

Part = tuple[Cells, Flags]

# Of 60 attacked copies of 7 pictures, parts down to a tenth among them, those with 142 clear differences or more: on
# their own pictures .985 and more of the differences agreed, on 89 others each .812 at most. Strangers among more
# pictures: ``FALSE_OWN``. Both are measured again, with copied, pasted and mirrored marks and collages, by
# scripts/binding_rates.py, the second with --strangers.
LEAST_EDGES = 80.0  # clear differences between cells below which nothing is said of a part
OWN, OTHER = 0.9, 0.82  # shares that agree from which it is the own picture, and below which it is another
SAMPLES = 4  # along a cell

Means = Literal["sketch", "fingerprint", "hash"]  # what a picture is compared by

FALSE_OWN: dict[Means, float] = {"sketch": 0.0086, "fingerprint": 0.0005, "hash": 0.12}
"""Share of other pictures that are held for the marked one, at most: by the sketch what 31 of 4,872 pairs of 100 photos
bear out with 95% for parts of a tenth of the area (scripts/binding_rates.py --strangers), for whole ones it is .06%; by
fingerprint and hash as measured, with guesses of what was cut off (docs/limits.md, Fingerprints)."""


@dataclass(frozen=True)
class Comparison:
    """What comparing a mark's surroundings with what is kept of the marked picture comes to, by what ``means``, in so
    many ``ways``."""

    binding: Binding
    means: Means | None = None
    ways: int = 1

    @property
    def log10_p(self) -> float:
        """log10 of the chance that another picture is held for the marked one so; 0.0 where this one is not."""
        if self.binding != "own" or self.means is None:
            return 0.0
        return math.log10(FALSE_OWN[self.means] * self.ways)


UNBOUND = Comparison("unbound")


def sketch_of(pixels: NDArray[np.uint8]) -> str | None:
    """What a registry keeps of a marked picture (H, W, 3); None of one too small for it."""
    cells = cells_of(pixels)
    return Sketch.of(cells).to_text() if min(cells.shape) >= 2 else None


def cells_of(pixels: NDArray[np.uint8]) -> Cells:
    """The mean values of the cells of a whole picture (H, W, 3), in 8-bit levels."""
    height, width = pixels.shape[:2]
    working = resized(view_of(pixels), sized(height, width, min(WORKING_SIDE, height, width)), luma)
    cells: Cells = F.avg_pool2d(working, CELL)[0, 0].double().numpy() * 255
    return cells


def part_of(pixels: NDArray[np.uint8], detection: Detection) -> Part | None:
    """The mean values, in 8-bit levels, of the cells of a picture (H, W, 3) where a mark lies, brought back to how it
    was marked, and which of them show the mark's part; None where its pose does not say how."""
    pose = detection.pose.to_pattern
    if pose is None or not detection.coarse_mask.any():
        return None
    matrix, offset = np.array(pose[:4]).reshape(2, 2), np.array(pose[4:])
    rows, columns = np.nonzero(detection.coarse_mask)
    height, width = pixels.shape[:2]
    step_y, step_x = height / detection.coarse_mask.shape[0], width / detection.coarse_mask.shape[1]
    corners = np.array(
        [
            [(x + dx) * step_x, (y + dy) * step_y]
            for y, x in zip(rows, columns, strict=True)
            for dx in (0, 1)
            for dy in (0, 1)
        ]
    )
    places = corners @ matrix.T + offset
    first = np.floor(places.min(0) / TILE) * TILE
    count = np.ceil((places.max(0) - first) / CELL).astype(int)
    if count.min() < 2 or count.prod() > 1 << 16:
        return None
    return _sampled(pixels, detection, np.linalg.inv(matrix), offset, first, (int(count[1]), int(count[0])))


def _sampled(
    pixels: NDArray[np.uint8],
    detection: Detection,
    back: NDArray[np.float64],
    offset: NDArray[np.float64],
    first: NDArray[np.float64],
    size: tuple[int, int],
) -> tuple[Cells, Flags]:
    """Means over the cells of a grid in the pattern's plane, ``first`` (x, y) its corner, and what the mark covers."""
    height, width = pixels.shape[:2]
    along = (np.arange(size[1] * SAMPLES) + 0.5) * CELL / SAMPLES + first[0]
    down = (np.arange(size[0] * SAMPLES) + 0.5) * CELL / SAMPLES + first[1]
    x, y = np.meshgrid(along, down)
    places = (np.stack([x, y], -1) - offset) @ back.T
    grid = torch.from_numpy(places * 2 / np.array([width, height]) - 1)[None].float()
    spacing = CELL / SAMPLES * float(np.sqrt(np.abs(np.linalg.det(back))))  # pixels between samples
    coarse = (max(1, round(height / spacing)), max(1, round(width / spacing)))
    # with many pixels to a sample they would miss what lies between them
    grey = resized(view_of(pixels), coarse if spacing > 1.5 else (height, width), luma)
    values = F.grid_sample(grey, grid, mode="bilinear", padding_mode="border", align_corners=False)
    mask = torch.from_numpy(detection.coarse_mask)[None, None].float()
    covered = F.grid_sample(mask, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    cells = F.avg_pool2d(values, SAMPLES)[0, 0].double().numpy() * 255
    return cells, F.avg_pool2d(covered, SAMPLES)[0, 0].numpy() > 0.75


def agreement(part: Part | None, sketch: str | None) -> Agreement | None:
    """How a part agrees with what the registry keeps; None where either is not there."""
    if part is None or sketch is None:
        return None
    return Sketch.from_text(sketch).compare(*part, period=TILE // CELL)


def compare_part(part: Part | None, sketch: str | None, *, negative: bool = False) -> Comparison:
    """By the sketch: ``own`` picture, an ``other`` one, or ``unbound``: nothing was kept, or the part shows too
    little. ``negative``: light and dark of the picture may be exchanged."""
    found, ways = agreement(part, sketch), 2 if negative else 1
    if negative and part is not None and found is not None and found.share < OWN:
        found = agreement((255 - part[0], part[1]), sketch) or found
    if found is None or found.edges < LEAST_EDGES:
        return UNBOUND
    if found.share >= OWN:
        return Comparison("own", "sketch", ways)
    return Comparison("other", "sketch") if found.share < OTHER else UNBOUND
