"""The signal's specification: one set of values for the product, all else an experiment, none other read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from wam.signal.specification import EXPERIMENT, SIGNAL, VERSION, Signal

STATED = {
    "version": 1,
    "tile": 32,
    "band": [3.0, 10.3],
    "per_bit": 4,
    "bits": 32,
    "working_side": 256,
    "tilt": 0.0,
}


def test_the_products_signal_is_what_every_marked_picture_carries() -> None:
    assert SIGNAL.to_dict() == STATED
    assert SIGNAL.name == "wam-lattice-1"


def test_a_signal_survives_json() -> None:
    assert Signal.from_dict(json.loads(json.dumps(SIGNAL.to_dict()))) == SIGNAL


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"version": 2}, "^expected signal version 1, found 2; update the package$"),
        ({"version": 2, "tile": 64}, "^expected signal version 1, found 2; update the package$"),
        ({"version": EXPERIMENT}, "^expected signal version 1, found 0; update the package$"),
        ({"version": None}, "^expected signal version 1, found None"),
        ({"tile": 64}, "expected the values of signal version 1, found .*tile 64.*; experiments have version 0"),
        ({"band": [3.0, 12.0]}, "expected the values of signal version 1, found .*12"),
        ({"bits": 64}, "expected the values of signal version 1, found .*bits 64"),
        ({"colour": "red"}, "expected a signal of band, .*, found .*colour"),
    ],
)
def test_another_signal_is_refused_by_name(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Signal.from_dict({**STATED, **change})


def test_values_of_an_experiment_do_not_pass_for_the_product() -> None:
    with pytest.raises(ValueError, match="experiments have version 0"):
        Signal(tilt=0.5)
    assert Signal.of(tilt=0.5).version == EXPERIMENT and Signal.of(tilt=0.5).name == "wam-lattice-experiment"
    assert Signal.of(working_side=192).version == EXPERIMENT
    assert Signal.of(tilt=0.0, per_bit=4) == SIGNAL and SIGNAL.version == VERSION


@pytest.mark.parametrize("change", [{"tile": 64}, {"bits": 16}])
def test_what_no_experiment_can_vary_either(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="signal: expected a tile of 32 and 32 bits, found"):
        replace(SIGNAL, version=EXPERIMENT, **change)


@pytest.mark.parametrize(
    ("band", "per_bit"), [((0.0, 10.3), 4), ((10.3, 3.0), 4), ((3.0, 16.0), 4), ((3.0, 10.3), 0), ((3.0, 9.0), 4)]
)
def test_signals_that_cannot_be_are_refused(band: tuple[float, float], per_bit: int) -> None:
    with pytest.raises(ValueError, match=r"carrier.*: expected .*, found"):
        Signal(version=EXPERIMENT, band=band, per_bit=per_bit)


def test_who_asks_for_a_size_does_not_wait_for_torch() -> None:
    text = "import sys, wam.signal.mark_grid; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0
