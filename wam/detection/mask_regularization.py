"""Shapes: what is known of marked areas beside the evidence at each place.

Marked pieces are areas of some size, so small islands go. Most are pictures that were pasted, cropped or turned: their
outline has four straight sides. Where such an outline explains the logits of a mask nearly as well as the mask does,
it is the better estimate, since its sides are averages over many places that are unsure one by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from shapely import MultiPoint

ISLAND = 0.12  # of the evidence of the largest part that a part has at least
WHOLE = 0.97  # share of the picture from which a mask is left as it is
LEAST = 40  # cells of a mask whose outline is looked for
MARGIN = 8  # cells around a mask in which its outline is looked for
FILLED = 0.65  # of the smallest rectangle around it that a four-sided mask fills at least
AGREEING = 0.9  # intersection over union with the mask that an outline needs
AS_GOOD = 0.96  # of the evidence of the mask that it needs
LIMIT = 3.0  # largest logit that counts: far inside or outside says nothing about an outline
STEPS = (2.0, 1.0, 0.5, 0.25)  # cells by which corners and sides are moved, one size after another
ROUNDS = 4  # with each size at most
LEAST_GAIN = 0.002  # relative gain of a round below which the next size is taken

Field = NDArray[np.float64]


def without_islands(logits: Field) -> Field:
    """Mask logits (rows, columns) with those parts turned negative that have little evidence beside the largest."""
    labels, count = ndimage.label(logits > 0)
    if count < 2:
        return logits
    evidence = ndimage.sum_labels(logits, labels, np.arange(count + 1))
    small = evidence < ISLAND * evidence[1:].max()
    small[0] = False
    return np.where(small[labels], -np.abs(logits), logits)


def four_sided(logits: Field) -> Field | None:
    """Share (rows, columns) of each cell inside the four-sided outline of a mask's logits; None where it has none."""
    mask = logits > 0
    if mask.mean() > WHOLE or mask.sum() < LEAST:
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    near = tuple(slice(max(0, line[0] - MARGIN), line[-1] + 1 + MARGIN) for line in (rows, columns))
    inside = _outline(logits[near])
    if inside is None:
        return None
    whole = np.zeros_like(logits)
    whole[near] = inside
    return whole


def _outline(logits: Field) -> Field | None:
    """As ``four_sided``, for what a mask covers."""
    mask = logits > 0
    box = MultiPoint(np.argwhere(mask)[:, ::-1] + 0.5).minimum_rotated_rectangle
    if box.geom_type != "Polygon" or mask.sum() < FILLED * box.area:
        return None
    limited = np.clip(logits, -LIMIT, LIMIT)
    corners = _fitted(np.asarray(box.exterior.coords)[:4], limited)
    inside = covered(corners, logits.shape)
    both, either = np.minimum(inside, mask).sum(), np.maximum(inside, mask).sum()
    good = (inside * limited).sum() >= AS_GOOD * limited[mask].sum()
    return inside if good and both >= AGREEING * either else None


def _fitted(corners: Field, limited: Field) -> Field:
    """Corners (4, 2) x, y moved one by one, and two by two, to where the outline holds most evidence."""
    moves = [np.zeros((4, 2)) for _ in range(16)]
    for index, move in enumerate(moves):
        move[[index // 4, (index // 4 + index // 2 % 2) % 4], index % 2] = 1.0
    best = float((covered(corners, limited.shape) * limited).sum())
    for step in STEPS:
        for _ in range(ROUNDS):
            before = best
            for move in moves:
                for signed in (step, -step):
                    trial = corners + signed * move
                    value = float((covered(trial, limited.shape) * limited).sum())
                    if value > best:
                        corners, best = trial, value
            if best - before <= LEAST_GAIN * abs(best):
                break
    return corners


def covered(corners: Field, shape: tuple[int, ...]) -> Field:
    """Share of each cell of ``shape`` inside a convex outline (4, 2) x, y in cells, to about a tenth."""
    following = np.roll(corners, -1, axis=0)
    along = following - corners
    turn = np.sign((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum()) or 1.0
    length = np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    normal = turn * np.stack([-along[:, 1], along[:, 0]], axis=1) / length
    y, x = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
    distance = normal[:, 0, None, None] * (x - corners[:, 0, None])[:, None, :]
    distance = distance + normal[:, 1, None, None] * (y - corners[:, 1, None])[:, :, None]
    return np.asarray(np.clip(0.5 + distance.min(axis=0), 0.0, 1.0))
