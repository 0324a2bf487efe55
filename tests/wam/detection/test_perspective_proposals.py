"""Views from an angle: the bend that an outline on black shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks import parse
from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.perspective_proposals import four_sided, outlined_bend, tried_bends

SIZE = (240, 320)


def inside(corners: list[tuple[float, float]]) -> Tensor:
    """Pixels inside a convex outline, clockwise on the screen: (H, W) bool."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    shown = np.ones(SIZE, dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        shown &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
    return torch.from_numpy(shown)


def vanishing(first: np.ndarray, second: np.ndarray) -> float:
    """Angle between two directions, degrees, sign and sense aside."""
    cosine = abs(float(first @ second)) / float(np.linalg.norm(first) * np.linalg.norm(second))
    return math.degrees(math.acos(min(1.0, cosine)))


@pytest.mark.parametrize(
    "corners",
    [[(20, 30), (300, 10), (290, 230), (40, 200)], [(60, 5), (310, 60), (200, 235), (10, 180)]],
)
def test_opposite_sides_of_the_outline_become_parallel(corners: list[tuple[float, float]]) -> None:
    bend = outlined_bend(inside(corners), SEARCH)
    assert bend is not None
    centre, tilt = bend.centre.numpy(), bend.tilt.numpy()
    away = np.array(corners) - centre
    straight = away / (1 + away @ tilt)[:, None]
    sides = np.roll(straight, -1, axis=0) - straight
    assert vanishing(sides[0], sides[2]) < 1.5 and vanishing(sides[1], sides[3]) < 1.5
    seen = np.roll(away, -1, axis=0) - away
    assert max(vanishing(seen[0], seen[2]), vanishing(seen[1], seen[3])) > 5


@pytest.mark.parametrize("angle", [0, 10, 45])
def test_a_turned_picture_is_not_bent(angle: int) -> None:
    shown = parse(f"rotate={angle}")(torch.ones(1, 3, *SIZE), seed=0).images[0, 0] > 0.5
    assert outlined_bend(shown, SEARCH) is None


def test_what_has_no_four_sides_has_no_bend() -> None:
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    ellipse = ((x - 160) / 140.0) ** 2 + ((y - 120) / 90.0) ** 2 < 1
    triangle = inside([(20, 20), (300, 40), (150, 220)])
    hollow = inside([(20, 30), (300, 10), (290, 230), (40, 200)]) & ~((x > 100) & (x < 220) & (y > 60) & (y < 180))
    for shown in (ellipse, triangle, hollow, torch.zeros(SIZE, dtype=torch.bool), torch.ones(SIZE, dtype=torch.bool)):
        assert outlined_bend(shown, SEARCH) is None
    line = torch.zeros(SIZE, dtype=torch.bool)
    line[:, 7] = True
    assert outlined_bend(line, SEARCH) is None


def test_tried_bends_change_the_scale_by_their_sizes() -> None:
    bends = list(tried_bends(SIZE, SEARCH, like=torch.zeros(1)))
    assert len(bends) == SEARCH.perspective.directions * len(SEARCH.perspective.extents)
    extents = sorted({round(float(bend.tilt.norm() * bend.centre.norm()), 4) for bend in bends})
    assert extents == list(SEARCH.perspective.extents)


def test_taking_sides_out_leaves_the_hull_as_it_is() -> None:
    hull = np.array([[0.0, 10.0], [10.0, 0.0], [100.0, 0.0], [100.0, 80.0], [0.0, 80.0]])
    kept = hull.copy()
    quad = four_sided(hull)
    assert quad is not None and len(quad) == 4
    np.testing.assert_array_equal(hull, kept)
    assert {tuple(corner) for corner in quad.round(6)} == {(0.0, 0.0), (100.0, 0.0), (100.0, 80.0), (0.0, 80.0)}
