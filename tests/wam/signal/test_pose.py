"""Poses: scale, turn and mirror read back from the matrix they were made of."""

from __future__ import annotations

import pytest
import torch

from tests.wam.synthetic import posed
from wam.signal.pose import Pose


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("angle", [-170.0, -90.0, 0.0, 10.0, 45.0, 135.0])
def test_a_pose_tells_how_the_picture_was_turned(angle: float, flipped: bool) -> None:
    pose = posed(angle, 0.7, flipped=flipped)
    assert pose.rotation_deg == pytest.approx(angle, abs=1e-4)
    assert pose.scale == pytest.approx(0.7, abs=1e-5)
    assert pose.flipped is flipped


def test_upright() -> None:
    pose = Pose.upright(1.5)
    assert (pose.scale, pose.rotation_deg, pose.flipped) == (pytest.approx(1.5), 0.0, False)


def test_scale_is_the_geometric_mean_of_both_directions() -> None:
    assert Pose(torch.diag(torch.tensor([1 / 4, 1.0])), torch.zeros(2)).scale == pytest.approx(2.0)


def test_scale_of_a_collapsed_pose_is_finite() -> None:
    assert Pose(torch.zeros(2, 2), torch.zeros(2)).scale == pytest.approx(1e6)


def test_rescaled_pose_sends_the_same_point_to_the_same_place() -> None:
    pose, point = posed(20.0, 1.2, offset=(3.0, -4.0)), torch.tensor([10.0, 30.0])
    larger = pose.rescaled(2.0, 3.0)
    there = larger.matrix @ (point * torch.tensor([2.0, 3.0])) + larger.offset
    torch.testing.assert_close(there, pose.matrix @ point + pose.offset)
