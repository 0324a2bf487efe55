"""Effort: what makes no sense is refused, in one line."""

from __future__ import annotations

import math

import pytest

from wam.errors import OptionsError
from wam.models.effort import USUAL, Effort


def test_the_usual_effort_has_no_limit() -> None:
    assert Effort() == USUAL == Effort(thorough=False, quick=False, seconds=None)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_time_is_a_number_above_zero(seconds: float) -> None:
    with pytest.raises(OptionsError, match=r"^seconds: expected a number above 0, found "):
        Effort(seconds=seconds)


def test_thorough_and_quick_exclude_each_other() -> None:
    with pytest.raises(OptionsError, match=r"^quick: expected without thorough, found both"):
        Effort(thorough=True, quick=True)
