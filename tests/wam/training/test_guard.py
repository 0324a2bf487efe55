"""Which batches are left out, and when a run is stuck."""

from __future__ import annotations

import math

import pytest

from wam.training.guard import PATIENCE, SPIKE, StepGuard


def test_the_first_batch_is_taken_and_sets_what_is_usual() -> None:
    guard = StepGuard()
    assert guard.takes(0.3) and guard.usual == pytest.approx(0.3)


@pytest.mark.parametrize("norm", [math.nan, math.inf, SPIKE * 0.3])
def test_a_wild_batch_is_left_out_and_the_next_one_is_taken(norm: float) -> None:
    """A norm that is not a number once became what is usual, and every later batch was left out without a word."""
    guard = StepGuard(0.3)
    assert not guard.takes(norm)
    assert guard.usual is not None and 0.3 <= guard.usual < 0.31
    assert guard.takes(0.3) and not guard.stuck


@pytest.mark.parametrize("usual", [math.nan, math.inf, 0.0, -1.0])
def test_a_state_with_a_spoilt_norm_starts_anew(usual: float) -> None:
    guard = StepGuard(usual)
    assert guard.takes(0.4) and guard.takes(0.4)


def test_a_gradient_of_zero_is_not_what_is_usual() -> None:
    guard = StepGuard()
    assert guard.takes(0.0) and guard.takes(0.4)


def test_larger_gradients_become_usual_in_time() -> None:
    guard = StepGuard(1.0)
    assert 60 < next(count for count in range(PATIENCE) if guard.takes(30.0)) < PATIENCE


def test_a_run_is_stuck_when_all_of_the_last_batches_were_left_out() -> None:
    guard = StepGuard(0.3)
    for _ in range(PATIENCE - 1):
        assert not guard.takes(math.nan) and not guard.stuck
    assert not guard.takes(math.nan) and guard.stuck
    assert guard.takes(0.3) and not guard.stuck
