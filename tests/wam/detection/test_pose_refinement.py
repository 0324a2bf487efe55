"""Refinement: a slightly wrong pose gets better, and nothing gets worse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.wam.synthetic import message, misplacement, noise, pattern_at, posed
from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.pose_refinement import refine, step
from wam.detection.synchronization import at_pose
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose

SIZE = (192, 224)
TRUE = posed(20.0, 1.1, offset=(4.0, 5.0))
WRONG = {
    "shift": Pose(TRUE.matrix, TRUE.offset + torch.tensor([0.6, -0.5])),
    "scale": Pose(TRUE.matrix * 1.003, TRUE.offset),
    "turn": posed(20.2, 1.1, offset=(4.0, 5.0)),
    "shear": Pose(TRUE.matrix + torch.tensor([[0.0, 0.004], [0.0, 0.0]]), TRUE.offset),
}


@pytest.mark.parametrize("error", WRONG)
def test_a_slightly_wrong_pose_improves(carrier: Carrier, error: str) -> None:
    field = pattern_at(carrier, message(0), TRUE, SIZE) + noise(SIZE)
    found = at_pose(field, WRONG[error], carrier, SEARCH.synchronization)
    better = refine(field, found, carrier, SEARCH)
    assert better.score > found.score
    assert misplacement(better.pose, TRUE, SIZE) < 0.25 * misplacement(found.pose, TRUE, SIZE)


def test_noise_does_not_make_it_worse(carrier: Carrier) -> None:
    found = at_pose(noise(SIZE), TRUE, carrier, SEARCH.synchronization)
    assert refine(noise(SIZE), found, carrier, SEARCH).score >= found.score


def test_the_best_pose_on_the_way_is_kept(carrier: Carrier) -> None:
    field = pattern_at(carrier, message(0), TRUE, SIZE) + noise(SIZE)
    found = replace(at_pose(field, WRONG["shift"], carrier, SEARCH.synchronization), score=1000.0)
    assert refine(field, found, carrier, SEARCH) is found


def test_no_step_moves_a_pixel_far(carrier: Carrier) -> None:
    found = at_pose(noise(SIZE, seed=1), TRUE, carrier, SEARCH.synchronization)
    moved = step(noise(SIZE, seed=1), found, carrier, SEARCH.refinement)
    assert moved is not None
    assert misplacement(moved, TRUE, SIZE) <= SEARCH.refinement.longest * 2**0.5 + 1e-3


def test_nothing_moves_where_nothing_is_known(carrier: Carrier) -> None:
    found = at_pose(torch.zeros(64, 64), TRUE, carrier, SEARCH.synchronization)
    moved = step(torch.zeros(64, 64), found, carrier, SEARCH.refinement)
    assert moved is not None
    torch.testing.assert_close(moved.matrix, TRUE.matrix)


def test_unusable_estimates_end_the_refinement(carrier: Carrier) -> None:
    found = at_pose(noise((64, 64)), TRUE, carrier, SEARCH.synchronization)
    broken = torch.full((64, 64), float("nan"))
    assert step(broken, found, carrier, SEARCH.refinement) is None
    assert refine(broken, found, carrier, SEARCH) is found
