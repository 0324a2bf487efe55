"""Bends: taken out and put back, and followed from a part of a mark to the whole."""

from __future__ import annotations

import pytest
import torch

from tests.wam.synthetic import message, noise, pattern_at, posed
from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.homography import Bend, fit_bend
from wam.detection.synchronization import at_pose
from wam.signal.pattern import Carrier

SIZE = (192, 288)
POSE = posed(5.0, 1.0, offset=(3.0, 7.0))
NEAREST = SEARCH.homography.nearest
BEND = Bend(torch.tensor([130.0, 90.0]), torch.tensor([0.0012, -0.0008]), NEAREST)


def seen(carrier: Carrier, bend: Bend | None, *, level: float = 0.7) -> torch.Tensor:
    """A message along a bend, in unit noise, about the size of a posterior mean."""
    pattern = pattern_at(carrier, message(0), POSE, SIZE)
    if bend is not None:
        pattern = bend.back(pattern[None])[0]
    return 0.3 * (level * pattern + noise(SIZE, seed=2))


def part() -> torch.Tensor:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[50:130, 90:170] = True
    return mask


def test_straight_undoes_back() -> None:
    y, x = torch.meshgrid(torch.arange(SIZE[0]) / 40, torch.arange(SIZE[1]) / 40, indexing="ij")
    smooth = (x.sin() + y.cos())[None]
    again = BEND.straight(BEND.back(smooth))
    torch.testing.assert_close(again[:, 60:120, 80:180], smooth[:, 60:120, 80:180], atol=5e-3, rtol=0)


def test_no_tilt_changes_nothing() -> None:
    field = noise(SIZE, seed=1)[None]
    none = Bend(torch.tensor([10.0, 20.0]), torch.zeros(2), NEAREST)
    torch.testing.assert_close(none.straight(field), field, atol=1e-4, rtol=0)


def test_cells_of_several_pixels_bend_as_their_pixels_do() -> None:
    y, x = torch.meshgrid(torch.arange(SIZE[0]) / 60, torch.arange(SIZE[1]) / 60, indexing="ij")
    smooth = (x.sin() + y.cos())[None]
    coarse = torch.nn.functional.avg_pool2d(smooth, 4)
    fine = torch.nn.functional.avg_pool2d(BEND.straight(smooth), 4)
    torch.testing.assert_close(
        BEND.straight(coarse, stride=4)[:, 12:30, 20:45], fine[:, 12:30, 20:45], atol=0.01, rtol=0
    )


def test_a_bent_mark_is_followed_from_a_part(carrier: Carrier) -> None:
    field = seen(carrier, BEND)
    fitted = fit_bend(field, at_pose(field * part(), POSE, carrier, SEARCH.synchronization), part(), carrier, SEARCH)
    assert fitted is not None
    bend, pose = fitted
    assert bend.tilt.tolist() == pytest.approx(BEND.tilt.tolist(), abs=1.5e-4)
    assert (
        at_pose(bend.straight(field[None])[0], pose, carrier, SEARCH.synchronization).score
        > 2 * at_pose(field, POSE, carrier, SEARCH.synchronization).score
    )


def test_a_bent_mark_is_straightened_where_all_of_it_is_known(carrier: Carrier) -> None:
    rows, columns = slice(50, 210), slice(60, 300)
    piece = torch.zeros(SIZE)
    piece[rows, columns] = 1
    field = seen(carrier, Bend(BEND.centre, BEND.tilt / 2, NEAREST)) * piece
    start = at_pose(field, POSE, carrier, SEARCH.synchronization)
    fitted = fit_bend(field, start, piece.bool(), carrier, SEARCH)
    assert fitted is not None
    assert (
        at_pose(fitted[0].straight(field[None])[0], fitted[1], carrier, SEARCH.synchronization).score
        > 1.2 * start.score
    )


def test_a_straight_mark_has_no_bend(carrier: Carrier) -> None:
    field = seen(carrier, None)
    assert (
        fit_bend(field, at_pose(field * part(), POSE, carrier, SEARCH.synchronization), part(), carrier, SEARCH) is None
    )


def test_noise_and_an_empty_part_have_no_bend(carrier: Carrier) -> None:
    field = 0.3 * noise(SIZE, seed=5)
    start = at_pose(field * part(), POSE, carrier, SEARCH.synchronization)
    assert fit_bend(field, start, part(), carrier, SEARCH) is None
    assert fit_bend(field, start, torch.zeros(SIZE, dtype=torch.bool), carrier, SEARCH) is None
