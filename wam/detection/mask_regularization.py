"""Shapes: what is known of marked areas beside the evidence at each place.

Marked pieces are areas of some size, so small islands go. Most are pictures that were pasted, cropped or turned: their
outline has four straight sides, along the mark's own axes, which its pose says, or along those of the picture that it
was pasted into. Where such an outline explains the logits of a mask nearly as well as the mask does, it is the better
estimate, since its sides are averages over many places that are unsure one by one. Four sides of any direction are
tried where the axes do not fit.
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


def four_sided(logits: Field, normals: Field, config: RegularizationConfig) -> Field | None:
    """Share (rows, columns) of each cell inside the four-sided outline of a mask's logits; None where it has none.
    ``normals`` (2, 2): a row for each of the mark's axes, of unit length, x and y, at right angles to its sides."""
    mask = logits > 0
    if mask.sum() < config.least:
        return None
    if mask.mean() > config.whole:  # of a whole picture all, unless places speak clearly against it
        limited = np.clip(logits, -config.limit, config.limit)
        return np.ones_like(logits) if limited.sum() >= config.as_good_whole * limited[mask].sum() else None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = config.margin
    near = tuple(slice(max(0, line[0] - margin), line[-1] + 1 + margin) for line in (rows, columns))
    inside = _along(logits[near], normals, config)
    if inside is None:
        inside = _outline(logits[near], config)
    if inside is None:
        return None
    whole = np.zeros_like(logits)
    whole[near] = inside
    return whole


def _along(logits: Field, normals: Field, config: RegularizationConfig) -> Field | None:
    """As ``four_sided``, for what a mask covers, with sides along the mark's or the picture's axes."""
    mask, limited = logits > 0, np.clip(logits, -config.limit, config.limit)
    found = [_between(limited, axes, config) for axes in (normals, np.eye(2))]
    inside = max(found, key=lambda one: float((one * limited).sum()))
    return inside if (inside * limited).sum() >= config.as_good_along * limited[mask].sum() else None


def _between(limited: Field, normals: Field, config: RegularizationConfig) -> Field:
    """Share of each cell between two pairs of parallel lines, where they hold most evidence: either pair in turn is put
    where it does so exactly, between what the other pair leaves."""
    y, x = np.mgrid[: limited.shape[0], : limited.shape[1]] + 0.5
    along = [normal[0] * x + normal[1] * y for normal in normals]
    reach = [0.5 * float(np.abs(normal).sum()) for normal in normals]  # of a cell from its centre
    positive = limited > 0
    ends = [np.quantile(place[positive], (config.strays, 1 - config.strays)) for place in along]

    def inside(axis: int) -> Field:
        first, last = ends[axis]
        depth = np.minimum(along[axis] - first, last - along[axis]) / (2 * reach[axis])
        return np.asarray(np.clip(depth + 0.5, 0.0, 1.0))

    for _ in range(config.rounds):
        for axis, other in ((0, 1), (1, 0)):
            ends[axis] = _most(along[axis], limited * inside(other), reach[axis], config.steps[-1])
    return np.minimum(inside(0), inside(1))


def _most(places: Field, evidence: Field, reach: float, step: float) -> Field:
    """First and last place between which cells hold most evidence; ``reach`` of each from its centre at ``places``."""
    first = float(places.min()) - reach
    spread = max(1, round(2 * reach / step))
    bins = ((places - reach - first) / step).astype(np.int64).ravel()
    line = np.convolve(np.bincount(bins, evidence.ravel()), np.ones(spread) / spread)
    total = np.concatenate([[0.0], np.cumsum(line)])
    lowest = np.minimum.accumulate(total)
    last = int((total - lowest).argmax())
    start = int(np.flatnonzero(total[: last + 1] == lowest[last])[-1])
    return np.array([first + start * step, first + last * step])


def _outline(logits: Field, config: RegularizationConfig) -> Field | None:
    """As ``four_sided``, for what a mask covers, with sides of any direction."""
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
