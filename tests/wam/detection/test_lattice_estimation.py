"""Periods: what repeats, and the lattices that are proposed."""

from __future__ import annotations

import numpy as np
import torch
from scipy.signal import correlate

from tests.wam.synthetic import message, noise, pattern_at, posed
from wam.detection.config import LatticeConfig
from wam.detection.lattice_estimation import autocorrelation, comb, periodicity
from wam.signal.pattern import Carrier
from wam.signal.specification import TILE

SIZE = (192, 224)
LATTICE = LatticeConfig()


def test_autocorrelation_equals_one_by_scipy_but_for_whitening() -> None:
    """The overlap is the plain autocorrelation of the weight."""
    weight = (noise((40, 50)) > 0).double()
    correlation, overlap = autocorrelation(noise((40, 50), seed=1).double() * weight, weight, LATTICE)
    middle = overlap.shape[0] // 2
    expected = correlate(weight.numpy(), weight.numpy()) / float(weight.sum())
    found = overlap[middle - 39 : middle + 40, middle - 49 : middle + 50].numpy()
    np.testing.assert_allclose(found, expected.clip(min=1e-3), atol=1e-9)
    assert float(correlation[middle, middle]) == 1.0 == float(correlation.max())


def test_the_comb_proposes_the_lattice(carrier: Carrier) -> None:
    true = posed(30.0, 1.1)
    field = pattern_at(carrier, message(5), true, SIZE) + noise(SIZE)
    lattices = comb(*autocorrelation(field, torch.ones(SIZE), LATTICE), LATTICE)
    assert lattices.shape == (LATTICE.candidates, 2, 2)
    wanted = torch.linalg.inv(true.matrix) * TILE
    turned = torch.stack([wanted, wanted @ torch.tensor([[0.0, -1], [1, 0]])])  # the comb covers 90 degrees
    turned = torch.cat([turned, -turned])
    assert float((lattices[:, None] - turned[None]).flatten(2).norm(dim=2).min()) < 1.5


def test_what_repeats_is_told_from_noise(carrier: Carrier) -> None:
    field = 0.5 * pattern_at(carrier, message(6), posed(33.0, 0.9), SIZE)
    fields = torch.stack([field + noise(SIZE), noise(SIZE), torch.zeros(SIZE)])
    marked, unmarked, nothing = periodicity(fields, torch.ones(SIZE), LATTICE).tolist()
    assert marked > 1.5 * unmarked and nothing == 0


def test_regions_are_measured_alike_alone_and_together() -> None:
    fields, weights = torch.stack([noise((60, 70), seed=n) for n in range(5)]), torch.ones(5, 60, 70)
    together = periodicity(fields, weights, LATTICE)
    torch.testing.assert_close(together, periodicity(fields, weights[0], LATTICE))
    alone = torch.cat([periodicity(field[None], weights[0], LATTICE) for field in fields])
    torch.testing.assert_close(together, alone)
