"""Shapes: what is known of marked areas beside the evidence at each place.

Marked pieces are areas of some size, so small islands go. Most are pictures that were pasted, cropped or turned: their
outline has four straight sides. Where such an outline explains the logits of a mask nearly as well as the mask does,
it is the better estimate, since its sides are averages over many places that are unsure one by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPoint

from wam.detection.config import RegularizationConfig

Field = NDArray[np.float64]


def without_islands(logits: Field, config: RegularizationConfig) -> Field:
    """Mask logits (rows, columns) with those parts turned negative that have little evidence beside the largest."""
    from scipy import ndimage

    labels, count = ndimage.label(logits > 0)
    if count < 2:
        return logits
    evidence = ndimage.sum_labels(logits, labels, np.arange(count + 1))
    small = evidence < config.island * evidence[1:].max()
    small[0] = False
    return np.where(small[labels], -np.abs(logits), logits)


def four_sided(logits: Field, config: RegularizationConfig) -> Field | None:
    """Share (rows, columns) of each cell inside the four-sided outline of a mask's logits; None where it has none."""
    mask = logits > 0
    if mask.mean() > config.whole or mask.sum() < config.least:
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = config.margin
    near = tuple(slice(max(0, line[0] - margin), line[-1] + 1 + margin) for line in (rows, columns))
    inside = _outline(logits[near], config)
    if inside is None:
        return None
    whole = np.zeros_like(logits)
    whole[near] = inside
    return whole


def _outline(logits: Field, config: RegularizationConfig) -> Field | None:
    """As ``four_sided``, for what a mask covers."""
    mask = logits > 0
    box = MultiPoint(np.argwhere(mask)[:, ::-1] + 0.5).minimum_rotated_rectangle
    if box.geom_type != "Polygon" or mask.sum() < config.filled * box.area:
        return None
    limited = np.clip(logits, -config.limit, config.limit)
    corners = _fitted(np.asarray(box.exterior.coords)[:4], limited, config)
    inside = covered(corners, logits.shape)
    both, either = np.minimum(inside, mask).sum(), np.maximum(inside, mask).sum()
    good = (inside * limited).sum() >= config.as_good * limited[mask].sum()
    return inside if good and both >= config.agreeing * either else None


def _fitted(corners: Field, limited: Field, config: RegularizationConfig) -> Field:
    """Corners (4, 2) x, y moved one by one, and two by two, to where the outline holds most evidence."""
    moves = [np.zeros((4, 2)) for _ in range(16)]
    for index, move in enumerate(moves):
        move[[index // 4, (index // 4 + index // 2 % 2) % 4], index % 2] = 1.0
    best = float((covered(corners, limited.shape) * limited).sum())
    for step in config.steps:
        for _ in range(config.rounds):
            before = best
            for move in moves:
                for signed in (step, -step):
                    trial = corners + signed * move
                    value = float((covered(trial, limited.shape) * limited).sum())
                    if value > best:
                        corners, best = trial, value
            if best - before <= config.least_gain * abs(best):
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
