"""Periods: what repeats, and the lattices that are proposed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from tests.wam.synthetic import message, noise, pattern_at, posed
from wam.detection.autocorrelation import Autocorrelation, autocorrelation
from wam.detection.config import LatticeConfig
from wam.detection.lattice_estimation import (
    climbed,
    comb,
    distinct,
    lattice_score,
    proposed,
    same_lattice,
)
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import TILE

SIZE = (192, 224)
LATTICE = LatticeConfig()
SPAN = LATTICE.scales


def lattice_of(matrix: torch.Tensor) -> torch.Tensor:
    """Lattice vectors in pixels, as columns, of a pose's matrix."""
    return torch.linalg.inv(matrix) * TILE


def test_overlap_is_the_autocorrelation_of_the_weight() -> None:
    """As SciPy has it; the region's own is whitened, and highest without a lag."""
    weight = (noise((40, 50)) > 0).double()
    found = autocorrelation(noise((1, 40, 50), seed=1).double() * weight, weight[None], LATTICE)
    assert found.overlap is not None
    values, overlap = found.values[0], found.overlap[0]
    middle = overlap.shape[0] // 2
    expected = correlate(weight.numpy(), weight.numpy()) / float(weight.sum())
    shown = overlap[middle - 39 : middle + 40, middle - 49 : middle + 50].numpy()
    np.testing.assert_allclose(shown, expected.clip(min=1e-3), atol=1e-9)
    assert float(values[middle, middle]) == 1.0 == float(values.max())


def test_overlap_of_a_whole_region_follows_from_its_size() -> None:
    fields = noise((2, *SIZE))
    whole, weighted = (autocorrelation(fields, weights, LATTICE) for weights in (None, torch.ones(2, *SIZE)))
    lags = torch.randn(1, 40, 2, generator=torch.Generator().manual_seed(2)) * 22
    for one, other in zip(whole.at(lags.expand(2, -1, -1)), weighted.at(lags.expand(2, -1, -1)), strict=True):
        torch.testing.assert_close(
            one, other.expand_as(one) if one.shape != other.shape else other, atol=2e-3, rtol=0.0
        )


def test_the_comb_is_the_lattice_score_of_square_lattices() -> None:
    """The sum in log-polar coordinates, against the matched filter taken lattice by lattice."""
    correlation = autocorrelation(torch.randn(2, *SIZE, generator=torch.Generator().manual_seed(6)), None, LATTICE)
    found = comb(correlation, SPAN[0], LATTICE).scores
    side = SPAN[0] * TILE * torch.exp(torch.arange(found.shape[1]) * LATTICE.scale_step)[:, None]
    angle = torch.arange(found.shape[2]) * math.radians(LATTICE.angle_step)
    x, y = side * angle.cos(), side * angle.sin()
    lattices = torch.stack([torch.stack([x, -y], -1), torch.stack([y, x], -1)], -2).flatten(0, 1)
    direct = lattice_score(correlation, lattices[None], reach=LATTICE.reach)
    for one, other in zip(found.flatten(1), direct, strict=True):  # maps are resampled once more, and so smoothed
        assert float(torch.corrcoef(torch.stack([one, other]))[0, 1]) > 0.87
        assert 0.75 < float(one.std() / other.std()) < 1.0


def test_the_comb_proposes_the_lattice(carrier: Carrier) -> None:
    true = posed(30.0, 1.1)
    field = pattern_at(carrier, message(5), true, SIZE) + noise(SIZE)
    correlation = autocorrelation(field[None], None, LATTICE)
    lattices = comb(correlation, SPAN[0], LATTICE).lattices(SPAN, LATTICE.candidates)[0]
    assert lattices.shape == (LATTICE.candidates, 2, 2)
    wanted = lattice_of(true.matrix)
    turned = torch.stack([wanted, wanted @ torch.tensor([[0.0, -1], [1, 0]])])  # the comb covers 90 degrees
    turned = torch.cat([turned, -turned])
    assert float((lattices[:, None] - turned[None]).flatten(2).norm(dim=2).min()) < 1.5


def test_climbing_finds_shear_and_aspect(carrier: Carrier) -> None:
    """To a twentieth of a pixel, from what is proposed."""
    matrix = torch.tensor([[1.0, 0.12], [-0.05, 0.8]])
    field = pattern_at(carrier, message(5), Pose(matrix, torch.zeros(2)), SIZE) + noise(SIZE)
    correlation = autocorrelation(field[None], None, LATTICE)
    lattices, standing = proposed(correlation, comb(correlation, SPAN[0], LATTICE), LATTICE)
    assert float(standing) > LATTICE.proposal
    found, prominence = climbed(correlation, lattices, LATTICE)
    assert float(prominence[0, 0]) > LATTICE.prominence
    assert prominence[0].tolist() == sorted(prominence[0].tolist(), reverse=True)
    combination = torch.linalg.inv(lattice_of(matrix)) @ found[0, 0]
    off = lattice_of(matrix) @ (combination - combination.round())
    assert float(off.abs().max()) < 0.15 and bool(same_lattice(lattice_of(matrix), found[0, 0], tolerance=0.06))


def test_lattices_that_are_one_count_once() -> None:
    square = torch.eye(2) * 30
    turned = square @ torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    sheared = square @ torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    other = torch.eye(2) * 25
    lattices = torch.stack([square, turned, other, sheared])[None]
    kept, scores = distinct(lattices, torch.tensor([[3.0, 5.0, 4.0, 1.0]]), 2, tolerance=0.06)
    assert kept[0].equal(torch.stack([turned, other])) and scores.tolist() == [[5.0, 4.0]]
    assert not any(bool(same_lattice(square, one, tolerance=0.06)) for one in (other, 2 * square))


def test_what_repeats_is_told_from_noise(carrier: Carrier) -> None:
    field = 0.5 * pattern_at(carrier, message(6), posed(33.0, 0.9), SIZE)
    fields = torch.stack([field + noise(SIZE), noise(SIZE), torch.zeros(SIZE)])
    marked, unmarked, nothing = lifts(autocorrelation(fields, None, LATTICE)).tolist()
    assert marked > 1.5 * unmarked and abs(nothing) < 1e-3


def test_regions_are_measured_alike_alone_and_together() -> None:
    fields, weights = noise((5, 160, 170), seed=3), torch.ones(5, 160, 170)
    weights[:, :40, 60:] = 0
    for used in (None, weights):
        together = lifts(autocorrelation(fields, used, LATTICE))
        each = [lifts(autocorrelation(field[None], None if used is None else used[:1], LATTICE)) for field in fields]
        torch.testing.assert_close(together, torch.cat(each), atol=1e-3, rtol=1e-3)


def lifts(correlation: Autocorrelation) -> torch.Tensor:
    return comb(correlation, SPAN[0], LATTICE).lift(SPAN)


def test_noise_is_that_of_as_much_as_was_available() -> None:
    """A quarter of a region is twice as noisy at short lags as all of it, and its noise says so."""
    fields = noise((6, *SIZE), seed=5)
    weights = torch.zeros_like(fields)
    weights[:, : SIZE[0] // 2, : SIZE[1] // 2] = 1
    ratios = []
    for found in (autocorrelation(fields, None, LATTICE), autocorrelation(fields * weights, weights, LATTICE)):
        rows, columns = (side // 2 for side in found.values.shape[-2:])
        near = found.values[:, rows - 12 : rows - 3, columns - 12 : columns + 13]
        ratios.append(float(near.std() / found.noise.mean()))
    assert ratios[1] == pytest.approx(ratios[0], rel=0.1)
