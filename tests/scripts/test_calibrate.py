"""The calibration script: the tail that it fits, and what it writes down."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from wam.detection.calibration import Calibration
from wam.detection.config import DEFAULT_SEARCH

SCRIPT = Path(__file__).parents[2] / "scripts" / "calibrate.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibrate_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["calibrate_script"] = loaded
    spec.loader.exec_module(loaded)
    return loaded


CALIBRATE = module()


def test_a_checkpoint_says_which_search_its_calibration_holds_for() -> None:
    calibration = Calibration(threshold=17.0, null_location=9.9, null_scale=1.1, bit_slope=4.0)
    earlier = {"step": 7, "calibration": {"threshold": 1.0, "search": "0123456789abcdef"}, "figures": {"a": 1}}
    metadata = CALIBRATE.stated(earlier, calibration, "some views")
    values = dict(metadata["calibration"])
    assert values.pop("search") == DEFAULT_SEARCH.digest()
    assert Calibration(**values) == calibration
    assert (metadata["step"], metadata["figures"], metadata["calibration_basis"]) == (7, {"a": 1}, "some views")


def test_the_tail_is_that_of_the_upper_fifth() -> None:
    scores = np.random.default_rng(0).gumbel(12.0, 1.5, 40_000)
    location, scale = CALIBRATE.tail_of(scores)
    assert scale == pytest.approx(1.5, rel=0.1)
    reached = CALIBRATE.threshold_of(location, scale)
    assert float((scores > reached).mean()) == pytest.approx(0.01, rel=0.15)


def test_a_threshold_below_the_one_while_calibrating_ends_the_run() -> None:
    with pytest.raises(SystemExit, match="expected a threshold of at least 12, found"):
        CALIBRATE.threshold_of(5.0, 1.0)


def test_the_slope_is_the_likeliest() -> None:
    generator = np.random.default_rng(1)
    votes = generator.normal(0, 2, 50_000)
    right = generator.random(50_000) < 1 / (1 + np.exp(-1.7 * votes))
    assert CALIBRATE.slope_of(np.where(right, votes, -votes)) == pytest.approx(1.7, rel=0.05)
