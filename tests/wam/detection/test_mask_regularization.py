"""Shapes of masks: islands go, straight sides are found, other outlines stay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wam.detection.config import RegularizationConfig
from wam.detection.mask_regularization import Field, covered, four_sided, without_islands

SHAPE = (64, 96)
CONFIG = RegularizationConfig()
UPRIGHT = np.eye(2)
TURNED = np.array([[30.0, 10.0], [70.0, 24.0], [58.0, 54.0], [20.0, 42.0]])


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def unsure(truth: Field, noise: float, seed: int = 0) -> Field:
    """Logits of a mask whose border wavers."""
    raw = np.random.default_rng(seed).normal(0, noise, (SHAPE[0] // 4 + 1, SHAPE[1] // 4 + 1))
    return (4 * truth - 2) + np.kron(raw, np.ones((4, 4)))[: SHAPE[0], : SHAPE[1]]


def test_the_share_of_cells_is_the_area() -> None:
    assert covered(TURNED, SHAPE).sum() == pytest.approx(1352.0, rel=0.01)  # by the shoelace formula
    np.testing.assert_allclose(covered(TURNED, SHAPE), covered(TURNED[::-1], SHAPE), atol=1e-9)


def test_islands_without_evidence_go_and_large_parts_stay() -> None:
    logits = np.full(SHAPE, -3.0)
    logits[10:40, 10:40], logits[10:40, 60:80], logits[55:58, 2:5] = 2.0, 2.0, 1.0
    kept = without_islands(logits, CONFIG) > 0
    assert kept[20, 20] and kept[20, 70] and not kept[55:58, 2:5].any()


def test_straight_sides_are_better_than_a_wavering_border() -> None:
    truth = covered(TURNED, SHAPE)
    logits = unsure(truth, 0.75)
    found = four_sided(logits, UPRIGHT, CONFIG)
    assert found is not None
    assert iou(found > 0.5, truth > 0.5) > max(0.95, iou(logits > 0, truth > 0.5))


@pytest.mark.parametrize("degrees", [0.0, 17.0, -72.0])
def test_sides_along_the_axes_of_the_mark_are_found(degrees: float) -> None:
    """A turned rectangle whose border wavers by a few cells."""
    angle = math.radians(degrees)
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [20.0, 12.0]
    truth = covered(half @ axes + [48, 32], SHAPE)
    logits = unsure(truth, 0.8, seed=3)
    found = four_sided(logits, axes, CONFIG)
    assert found is not None
    assert iou(found > 0.5, truth > 0.5) > max(0.96, iou(logits > 0, truth > 0.5))


def test_a_clear_hole_in_a_whole_picture_stays_and_an_unsure_one_does_not() -> None:
    logits = np.full(SHAPE, 3.0)
    logits[:8, :20] = -0.1
    found = four_sided(logits, UPRIGHT, CONFIG)
    assert found is not None and found.all()
    logits[:8, :20] = -3.0
    assert four_sided(logits, UPRIGHT, CONFIG) is None


@pytest.mark.parametrize("name", ["ellipse", "two pieces", "nothing"])
def test_other_shapes_are_left_alone(name: str) -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = {
        "ellipse": ((x - 48) / 30) ** 2 + ((y - 32) / 22) ** 2 < 1,
        "two pieces": (y < 24) & ((x < 30) | (x > 60)),
        "nothing": np.zeros(SHAPE, bool),
    }[name]
    assert four_sided(np.where(inside, 2.0, -2.0), UPRIGHT, CONFIG) is None
