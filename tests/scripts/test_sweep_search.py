"""The sweep of the search's constants: which values are tried, and what is made of the rows."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.sweep_search import COLUMNS, changed, summary, variants
from wam.detection.config import DEFAULT_SEARCH

ROWS = """constant,usual,value,marks,found,invented,strongest_unmarked,seconds_ratio
usual,0.0,0.0,30,24,0,9.1,1.0
level.pilot,5.7,3.99,30,24,3,12.0,1.02
level.pilot,5.7,7.98,30,20,0,9.1,0.97
windows.blank,0.035,0.0245,30,24,0,9.1,1.01
windows.blank,0.035,0.049,30,25,0,9.1,0.99
"""


def test_every_number_is_tried_alone_and_what_makes_no_sense_is_left_out() -> None:
    usual, *others = variants((0.5, 2.0), ())
    assert usual.config == DEFAULT_SEARCH
    assert len({one.config.digest() for one in others}) == len(others) > 100
    names = {one.constant for one in others}
    assert {"level.pilot", "pyramid.done", "homography.block"} <= names
    assert not any(one.constant == "pyramid.done" and one.value > 1 for one in others)


def test_only_names_groups_or_constants() -> None:
    found = [one.constant for one in variants((0.5,), ("level.pilot", "windows"))]
    assert found[0] == "usual" and "level.pilot" in found and "windows.side" in found
    assert all(name.startswith("windows.") for name in found[1:] if name != "level.pilot")


@pytest.mark.parametrize(
    ("usual", "factor", "value"),
    [(2.0, 0.7, 1.4), (10, 0.7, 7), (1, 1.4, 2), (1, 0.7, 0), (9, 1.4, 13), (5, 0.7, 3), (3, 1.4, 5)],
)
def test_whole_numbers_stay_whole_and_odd_ones_odd(usual: float, factor: float, value: float) -> None:
    assert changed(usual, factor) == pytest.approx(value)


def test_the_summary_tells_flat_constants_from_others() -> None:
    lines = list(summary(list(csv.DictReader(io.StringIO(ROWS))), slack=1))
    assert "| `level.pilot` | 5.7 | 3.99: 24 (3), 1.02; 7.98: 20 (0), 0.97 |" in lines
    assert lines[-1] == "Flat (1 of 2): `windows.blank`."


def test_a_summary_of_nothing_is_one_line(tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts" / "sweep_search.py"
    run = subprocess.run(
        [sys.executable, str(script), "--out", str(tmp_path / "rows.csv"), "--summary"], capture_output=True, text=True
    )
    assert run.returncode == 2 and "expected rows, found none" in run.stderr
    assert COLUMNS[0] == ROWS.split(",", 1)[0]
