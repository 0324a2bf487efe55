"""The simulation of both payload modes: what it sends is what it says, and its rows are what is known otherwise."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from payload import encode, seal_frame, split_frame
from payload.layout import data_marks

SCRIPT = Path(__file__).parents[2] / "scripts" / "payload_simulation.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("payload_simulation_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


SIMULATION = module()


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.2])
def test_bits_are_wrong_as_often_as_asked_and_their_confidence_says_so(rate: float) -> None:
    word = int(encode(4321))
    logits = SIMULATION.logits([word] * 4000, rate, np.random.default_rng(1))
    right = (logits > 0) == np.array([bit == "1" for bit in f"{word:032b}"])
    assert 1 - right.mean() == pytest.approx(rate, abs=0.004)
    if rate:
        unsure = np.abs(logits) < 1
        said = (1 / (1 + np.exp(-np.abs(logits[unsure])))).mean()
        assert right[unsure].mean() == pytest.approx(said, abs=0.03)


def test_links_are_read_without_errors_and_never_by_chance() -> None:
    clean = SIMULATION.simulate_link(0.0, 20, np.random.default_rng(0))
    noise = SIMULATION.simulate_link(0.4, 20, np.random.default_rng(0))
    assert (clean["right"], clean["wrong"], clean["trials"]) == (20, 0, 20)
    assert (noise["right"], noise["wrong"]) == (0, 0)


@pytest.mark.parametrize("mode", ["record, 12 marks", "record, 24 marks"])
def test_a_record_is_read_as_long_as_a_third_of_its_marks_is_lost(mode: str) -> None:
    marks = len(split_frame(seal_frame(SIMULATION.RECORDS[mode])))
    most = marks - data_marks(marks)
    for lost, right in ((0, 3), (most, 3), (most + 1, 0)):
        row = SIMULATION.simulate_record(mode, 0.0, lost, "lost marks", 3, np.random.default_rng(0))
        assert (row["right"], row["wrong"], row["value"]) == (right, 0, lost)


def test_a_run_writes_table_and_plot_and_keeps_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = dict(zip(SIMULATION.COLUMNS, ["a.png none", "link", "attack", "none", "0", "1", "1", "0"], strict=True))
    with (tmp_path / "payload.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, SIMULATION.COLUMNS)
        writer.writeheader()
        writer.writerow(measured)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--out", str(tmp_path / "payload"), "--trials", "1"])
    SIMULATION.main()
    with (tmp_path / "payload.csv").open(newline="") as stream:
        *simulated, last = csv.DictReader(stream)
    assert last == measured
    assert {row["axis"] for row in simulated} == {"bit error rate", "lost marks", "registry size"}
    assert (tmp_path / "payload.png").read_bytes().startswith(b"\x89PNG")
