"""Losses and schedules of training: exact values."""

from __future__ import annotations

import math

import pytest
import torch

from tests.wam.synthetic import message, pattern_at, posed
from wam.signal.pattern import Carrier
from wam.training.losses import (
    bit_accuracy,
    bit_loss,
    correlation,
    final_decay,
    known_mean,
    learning_rate,
    next_level,
    non_finite,
    pattern_loss,
    pooled_bit_logits,
)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.01),
        (49, 0.5),
        (99, 1.0),
        (100, 1.0),
        (600, 1.0),
        (700, 0.75),
        (800, 0.5),
        (991, 0.0225),
        (999, 0.02),
        (5000, 0.02),
    ],
)
def test_learning_rate(step: int, expected: float) -> None:
    assert learning_rate(step, peak=1.0, warmup=100, decay_from=600, total=1000) == pytest.approx(expected)


def test_learning_rate_scales_with_its_peak_and_may_start_at_once() -> None:
    assert learning_rate(0, peak=3e-4, warmup=0, decay_from=10, total=20) == 3e-4
    assert learning_rate(15, peak=3e-4, warmup=0, decay_from=10, total=20) == pytest.approx(1.5e-4)


def test_decay_without_room_ends_at_once() -> None:
    assert learning_rate(21, peak=1.0, warmup=0, decay_from=20, total=20) == 0.02


@pytest.mark.parametrize(
    ("minutes", "expected"), [(0, 1.0), (6, 1.0), (7, 0.75), (9, 0.25), (9.99, 0.02), (10, 0.02), (11, 0.02)]
)
def test_the_rate_falls_in_the_last_minutes(minutes: float, expected: float) -> None:
    assert final_decay(minutes, total=10, decay=4) == pytest.approx(expected)


def test_no_minutes_of_decay_change_nothing() -> None:
    assert final_decay(3, total=math.inf, decay=0) == final_decay(3, total=3, decay=0) == 1.0


@pytest.mark.parametrize(
    ("level", "accuracy", "expected"),
    [
        (0.5, 0.93, 0.51),
        (0.5, 0.92, 0.5),
        (0.5, 0.86, 0.5),
        (0.5, 0.85, 0.49),
        (0.995, 1.0, 1.0),
        (0.005, 0.5, 0.0),
        (0.5, math.nan, 0.5),
    ],
)
def test_next_level(level: float, accuracy: float, expected: float) -> None:
    assert next_level(level, accuracy) == pytest.approx(expected)


def test_pattern_loss_wants_the_pattern_inside_and_nothing_outside() -> None:
    pattern = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(1, 1, 2, 2)
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    assert float(pattern_loss(pattern * mask, pattern, mask)) == 0.0
    assert float(pattern_loss(torch.zeros_like(mask), pattern, mask)) == 0.5
    assert float(pattern_loss(pattern, pattern, mask)) == 0.5


def test_bit_loss_counts_only_pictures_that_carry_a_message() -> None:
    logits, bits = torch.zeros(2, 32), torch.zeros(2, 32, dtype=torch.int64)
    logits[1] = 50
    assert float(bit_loss(logits, bits, torch.tensor([True, False]))) == pytest.approx(math.log(2))
    assert float(bit_loss(logits, bits, torch.tensor([True, True]))) == pytest.approx((math.log(2) + 50) / 2)
    assert float(bit_loss(logits, bits, torch.tensor([False, False]))) == 0.0


def test_bit_accuracy_is_the_share_of_right_bits() -> None:
    bits = torch.ones(2, 32)
    logits = torch.ones(2, 32)
    logits[0, :8] = -1
    assert bit_accuracy(logits, bits, torch.tensor([True, True])) == pytest.approx(0.875)
    assert bit_accuracy(logits, bits, torch.tensor([True, False])) == pytest.approx(0.75)
    assert math.isnan(bit_accuracy(logits, bits, torch.tensor([False, False])))


def test_correlation_is_taken_inside_the_mask() -> None:
    pattern = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(1, 1, 2, 2)
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    garbled = torch.where(mask > 0, 0.1 * pattern, 7.0)
    assert correlation(garbled, pattern, mask) == pytest.approx(1.0, abs=1e-4)
    assert correlation(-garbled, pattern, mask) == pytest.approx(-1.0, abs=1e-4)
    assert math.isnan(correlation(garbled, pattern, torch.zeros_like(mask)))


def test_pictures_without_a_mark_do_not_count_in_the_correlation() -> None:
    pattern = torch.ones(2, 1, 2, 2)
    mask = torch.stack([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)])
    assert correlation(pattern, pattern, mask) == pytest.approx(1.0, abs=1e-4)


def test_pooled_logits_read_the_region_at_its_pose(carrier: Carrier) -> None:
    pose = posed(15.0, 1.2, offset=(3.0, 4.0))
    field = torch.stack([pattern_at(carrier, message(seed), pose, (128, 128)) for seed in (0, 1)])[:, None]
    matrix, offset = pose.matrix.expand(2, 2, 2), pose.offset.expand(2, 2)
    weight = torch.zeros(2, 1, 128, 128)
    weight[..., 20:100, 30:128] = 1
    logits = pooled_bit_logits(field, weight, carrier, matrix, offset)
    assert torch.equal((logits > 0).long(), torch.cat([message(0), message(1)]))
    field[..., :20, :] = 99
    torch.testing.assert_close(pooled_bit_logits(field, weight, carrier, matrix, offset), logits)


def test_pooled_logits_are_in_units_of_the_noise(carrier: Carrier) -> None:
    field = torch.randn(64, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    upright = torch.eye(2).expand(64, 2, 2), torch.zeros(64, 2)
    logits = pooled_bit_logits(field, torch.ones_like(field), carrier, *upright)
    assert float(logits.square().mean().sqrt()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("value", "expected"), [(1.0, False), (math.inf, True), (math.nan, True)])
def test_non_finite(value: float, expected: bool) -> None:
    assert non_finite(torch.tensor(value)) is expected


def test_a_mean_leaves_out_what_is_unknown() -> None:
    means = known_mean([{"a": 1.0, "b": math.nan}, {"a": math.nan, "b": math.nan}, {"a": 4.0, "b": math.nan}])
    assert means["a"] == 2.5 and math.isnan(means["b"])
