"""Views from an angle: bends under which a picture may be straight, from its outline or tried one after another.

A picture that was drawn in perspective on black paper, as scanners, editors and attack suites leave it, shows its
outline: four sides whose opposite pairs were parallel. Where both pairs meet gives the vanishing line and so the bend.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wam.detection.config import SearchConfig
from wam.detection.homography import Bend


def tried_bends(size: tuple[int, int], config: SearchConfig, *, like: Tensor) -> Iterator[Bend]:
    """Bends of a view of ``size`` (height, width) in all directions, of each extent."""
    directions = config.perspective.directions
    centre = like.new_tensor([size[1] / 2, size[0] / 2])
    for extent in config.perspective.extents:
        for step in range(directions):
            angle = torch.tensor(step * 2 * torch.pi / directions, device=centre.device)
            tilt = torch.stack([angle.cos(), angle.sin()]) * extent / centre.norm()
            yield Bend(centre, tilt, config.homography.nearest)


def outlined_bend(shown: Tensor, config: SearchConfig) -> Bend | None:
    """The bend that makes opposite sides of the outline of ``shown`` (H, W) bool parallel; None where it has no four
    sides, or they are parallel."""
    height, width = shown.shape
    bounds = config.perspective
    if float(shown.float().mean()) > bounds.framed:
        return None
    corners = _hull(shown.cpu().numpy())
    quad = None if corners is None else four_sided(corners)
    if corners is None or quad is None or _area(corners) < bounds.covered * _area(quad):
        return None
    lengths = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    if float(shown.sum()) < bounds.solid * _area(corners) or lengths.min() < bounds.shortest * lengths.max():
        return None
    homogeneous = np.concatenate([quad, np.ones((4, 1))], axis=1)
    sides = np.cross(homogeneous, np.roll(homogeneous, -1, axis=0))
    line = np.cross(np.cross(sides[0], sides[2]), np.cross(sides[1], sides[3]))
    middle = np.array([width / 2, height / 2])
    below = line[:2] @ middle + line[2]
    if abs(below) < 1e-9 * np.abs(line).max():
        return None
    tilt = line[:2] / below
    if np.linalg.norm(tilt) * np.linalg.norm(middle) < bounds.least_tilt:
        return None
    centre, turned = (torch.tensor(pair, dtype=torch.float32, device=shown.device) for pair in (middle, tilt))
    return Bend(centre, turned, config.homography.nearest)


def _hull(shown: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Corners (N, 2) x, y of the convex hull of all pixels that are shown, in order; None where they have no area."""
    from scipy.spatial import ConvexHull, QhullError

    rows = np.flatnonzero(shown.any(axis=1))
    if not len(rows):
        return None
    left, right = shown[rows].argmax(axis=1), shown.shape[1] - shown[rows, ::-1].argmax(axis=1)
    points = [np.stack([x, rows + y], axis=1) for x in (left, right) for y in (0, 1)]
    try:
        stacked = np.concatenate(points).astype(np.float64)
        return np.asarray(stacked[ConvexHull(stacked).vertices])
    except QhullError:
        return None


def four_sided(corners: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The hull (N, 2) with sides taken out one by one, those first whose neighbours meet soonest, until four remain."""
    corners = corners.copy()
    while len(corners) > 4:
        before, start, end, after = (np.roll(corners, shift, axis=0) for shift in (1, 0, -1, -2))
        turn = _cross(start - before, after - end)  # where it is not positive the neighbours never meet
        meet = _crossing(before, start, end, after, where=turn > 1e-9)
        added = np.where(turn > 1e-9, np.abs(_cross(end - start, meet - start)) / 2, np.inf)
        index = int(added.argmin())
        if not np.isfinite(added[index]):
            return None
        corners[index] = meet[index]
        corners = np.delete(corners, (index + 1) % len(corners), axis=0)
    return corners if len(corners) == 4 else None


def _crossing(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
    *,
    where: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Where the lines a b and c d meet, all (N, 2); the point a itself where that is not asked for."""
    steepness = np.where(where, _cross(b - a, d - c), 1.0)
    along = np.where(where, _cross(c - a, d - c) / steepness, 0.0)
    return np.asarray(a + along[:, None] * (b - a))


def _cross(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])


def _area(corners: NDArray[np.float64]) -> float:
    """Of a polygon (N, 2)."""
    following = np.roll(corners, -1, axis=0)
    return abs(float(_cross(corners, following).sum())) / 2
