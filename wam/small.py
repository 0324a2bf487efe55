"""Small pieces: marked pictures reduced so far that their pattern is finer than what the levels are searched for.

Their estimate still repeats, on lattices finer than the comb of a level spans, and unmarked pictures seldom do. Where
windows of the finest level repeat there, their surroundings are enlarged and searched as a level of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.bend import Bend
from wam.level import OUTSIDE
from wam.model import resize
from wam.periods import SCALES, periodicity
from wam.pose import Pose
from wam.windows import Box, cut, repetitive_windows, widened

SPAN = (0.42, SCALES[0])  # pixels per working pixel; below it too little of the pattern is left
REPETITION = 6.0  # standard deviations of periodicity; unmarked windows reach 5
BESIDE_OTHERS = 4.6  # the same in pictures where another mark was found: the rest is likely marked as well
# times as much a window repeats on the finer lattices as on usual ones: up to .77 where the levels show a mark, whose
# lattice fills half the points of one twice as fine; from .86 on where it is a small piece
FINER = 0.82
ENLARGED = 1.75  # times the finest level, so that those scales come into the comb
AROUND = 96  # pixels around a window that are looked at with it
MOST = 12  # windows of a picture that are looked at for each carrier, most repetitive first


def small_windows(pattern: Tensor, available: Tensor, *, beside_others: bool = False) -> list[Box]:
    """Windows of the finest level, pattern and available (H, W), that may hold a small piece, most repetitive first.
    ``beside_others``: another mark was found in the picture."""
    least = BESIDE_OTHERS if beside_others else REPETITION
    boxes = repetitive_windows(pattern, available, least=least, span=SPAN)
    if not boxes:
        return []
    weights = torch.stack([cut(available, box) for box in boxes])
    fields = torch.stack([cut(pattern, box) for box in boxes]) * weights
    finer = periodicity(fields, weights, SPAN) > FINER * periodicity(fields, weights)
    return [box for box, fine in zip(boxes, finer.tolist(), strict=True) if fine]


def around(window: Box, size: Sequence[int]) -> Box:
    """A window of a level of ``size`` (height, width) with what is looked at around it."""
    return widened(window, AROUND, (size[0], size[1]))


def magnified(maps: Tensor, box: Box) -> Tensor:
    """A part of (B, C, H, W), enlarged."""
    part = cut(maps, box)
    return resize(part, (round(part.shape[-2] * ENLARGED), round(part.shape[-1] * ENLARGED)))


def pose_in_view(pose: Pose, box: Box, part: torch.Size) -> Pose:
    """A pose of an enlarged part with sides ``part`` (height, width), as one of the level it was cut from."""
    top, left, bottom, right = box
    scaled = pose.rescaled((right - left) / part[1], (bottom - top) / part[0])
    return replace(scaled, offset=scaled.offset - scaled.matrix @ scaled.offset.new_tensor([left, top]))


def bend_in_view(bend: Bend, box: Box) -> Bend:
    """A bend of an enlarged part, as one of the level it was cut from."""
    return Bend(bend.centre / ENLARGED + bend.centre.new_tensor([box[1], box[0]]), bend.tilt * ENLARGED)


def logits_in_view(logits: Tensor, box: Box, size: torch.Size) -> Tensor:
    """Mask logits (h, w) of an enlarged part, in a level of that size (H, W); outside the part none is marked."""
    top, left, bottom, right = box
    reduced = F.interpolate(logits[None, None], size=(bottom - top, right - left), mode="bilinear")[0, 0]
    return F.pad(reduced, (left, size[1] - right, top, size[0] - bottom), value=OUTSIDE)
