"""The rates of bindings: which comparisons are made, and what the table says of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from scripts import binding_rates as rates

pytestmark = pytest.mark.slow  # a measurement that is made by hand

SAMPLES = Path(__file__).parents[2] / "wam" / "samples"


def test_own_pictures_and_others_are_told_apart_and_a_run_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("dragonfly", "dune"):
        with Image.open(SAMPLES / f"{name}.jpg") as image:
            image.resize((384, 256)).save(photos / f"{name}.png")
    options = ["--photos", str(photos), "--out", str(tmp_path / "table"), "--attacks", "identity"]
    monkeypatch.setattr(sys, "argv", ["binding_rates", *options])
    assert rates.main() == 0
    rows = rates.rows_of(tmp_path / "table.csv")
    assert {row.photo for row in rows} == {0, 1}
    assert [row.said for row in rows if (row.photo, row.truth) == (0, "own") and row.attack == "identity"] == ["own"]
    assert {row.said for row in rows if row.truth in ("stranger", "copied", "pasted")} <= {"other", "unbound"}
    printed = capsys.readouterr().out
    assert "| own | identity | 2 | 0 |" in printed or "| own | all |" in printed
    before = (tmp_path / "table.csv").read_text()
    assert rates.main() == 0 and (tmp_path / "table.csv").read_text() == before
    monkeypatch.setattr(sys, "argv", ["binding_rates", *options, "--side", "300"])
    assert rates.main() == 2 and "another" in capsys.readouterr().err


def test_wrong_ones_are_counted_with_their_interval() -> None:
    rows = [rates.Comparison(n, "own", "identity", "own", 0.99 - n / 100, 200) for n in range(3)]
    rows += [
        rates.Comparison(3, "own", "jpeg=50", "other", 0.7, 200),
        rates.Comparison(4, "own", "jpeg=50", "unbound", 0, 3),
    ]
    rows += [rates.Comparison(5, "stranger", "identity", "own", 0.95, 100)]
    lines = {
        line.split("|")[1].strip() + line.split("|")[2]: line
        for line in rates.summary(rows).splitlines()
        if "|" in line
    }
    assert "| 3 | 0 | 0.0% to 70.8% | 0 | 0.970 to 0.990 |" in lines["own identity "]
    assert "| 2 | 1 | 1.3% to 98.7% | 1 | 0.700 to 0.700 |" in lines["own jpeg=50 "]
    assert "| 5 | 1 |" in lines["own all "]
    assert "| 1 | 1 | 2.5% to 100.0% |" in lines["stranger identity "]
