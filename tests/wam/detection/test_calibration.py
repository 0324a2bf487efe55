"""Calibration: the Gumbel tail, the bits' logits, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy.stats import gumbel_r

from wam.detection.calibration import Calibration

GIVEN = Calibration(threshold=27.0, null_location=13.5, null_scale=1.35, bit_slope=2.2)


@pytest.mark.parametrize("score", [10.0, 13.5, 20.0, 27.0, 40.0])
def test_presence_is_the_gumbel_tail(score: float) -> None:
    expected = gumbel_r.logsf(score, 13.5, 1.35) / 2.302585093
    assert GIVEN.log10_presence(score) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_presence_far_out_is_finite_and_falls_without_a_step() -> None:
    around = 13.5 + 30 * 1.35  # where the formula changes
    below, above = GIVEN.log10_presence(around - 1e-6), GIVEN.log10_presence(around + 1e-6)
    assert below == pytest.approx(above, abs=1e-4)
    assert GIVEN.log10_presence(2000.0) == pytest.approx(-(2000 - 13.5) / 1.35 / 2.302585093)


def test_presence_is_never_more_than_certain() -> None:
    assert GIVEN.log10_presence(-100.0) == 0.0


def test_bit_logits_keep_signs_and_are_scaled() -> None:
    votes = torch.tensor([3.0, -1.0, 0.0])
    torch.testing.assert_close(GIVEN.bit_logits(votes), torch.tensor([6.6, -2.2, 0.0]))


@pytest.mark.parametrize("change", [{"threshold": 13.0}, {"null_scale": 0.0}, {"bit_slope": -1.0}])
def test_impossible_values_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected threshold above null_location and positive scales, found"):
        replace(GIVEN, **change)
