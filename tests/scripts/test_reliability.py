"""The reliability script: bins, their error, and a run on a few photos."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from tests.wam.synthetic import smooth_picture
from wam.watermarker import load

SCRIPT = Path(__file__).parents[2] / "scripts" / "reliability.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reliability_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["reliability_script"] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


RELIABILITY = module()


def test_bins_hold_their_bits_and_the_error_weighs_them() -> None:
    confidence = np.array([0.5, 0.52, 0.9, 0.92, 0.94, 0.94, 1.0])
    right = np.array([True, False, True, True, False, False, True])
    first, second, last = RELIABILITY.bins_of(confidence, right)
    assert (first.low, first.high, first.count, first.right) == (0.5, 0.55, 2, 0.5)
    assert (second.low, second.count, second.right) == (0.9, 4, 0.5)
    assert second.mean_confidence == pytest.approx(0.925) and second.right_low < 0.5 < second.right_high
    assert (last.low, last.high, last.right_high) == (0.999, 1.0, 1.0) and last.right_low < 0.5
    assert RELIABILITY.calibration_error([first, second, last]) == pytest.approx((2 * 0.01 + 4 * 0.425) / 7)


def test_confidence_that_means_what_it_says_lies_within_its_intervals() -> None:
    generator = np.random.default_rng(0)
    confidence = 1 / (1 + np.exp(-np.abs(generator.normal(0, 4, 40_000))))
    honest = RELIABILITY.bins_of(confidence, generator.random(40_000) < confidence)
    inside = [one.right_low <= one.mean_confidence <= one.right_high for one in honest]
    assert len(inside) == len(RELIABILITY.EDGES) - 1 and sum(inside) >= 10
    assert RELIABILITY.calibration_error(honest) < 0.01
    boasting = RELIABILITY.bins_of(confidence, generator.random(40_000) < (confidence + 0.5) / 2)
    assert RELIABILITY.calibration_error(boasting) > 0.1


def test_the_bits_of_a_view_are_those_of_its_message_unless_nothing_is_left() -> None:
    torch.set_num_threads(1)
    marker, photos = load(device="cpu"), [smooth_picture(160, 176, seed=1), smooth_picture(160, 176, seed=2)]
    confidence, right = RELIABILITY.bits_of(marker, photos, 0)
    assert confidence.shape == right.shape == (32,)
    assert right.all() and confidence.min() > 0.9
    torn = RELIABILITY.bits_of(marker, photos, RELIABILITY.ATTACKS.index("collage=0.1"))
    assert torn is None or torn[0].mean() < confidence.mean()


def test_a_run_writes_the_table_and_the_diagram(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    (tmp_path / "photos").mkdir()
    for number in range(8):  # the last is of the validation split
        Image.fromarray(smooth_picture(150, 160, seed=number)).save(tmp_path / "photos" / f"{number}.png")
    paths = ["--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "bits")]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *paths, "--workers", "1", "--attacks", "identity", "hflip"])
    assert RELIABILITY.main() == 0
    with (tmp_path / "bits.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["count"]) for row in rows) == 64
    assert all(float(row["right_low"]) <= float(row["right"]) <= float(row["right_high"]) for row in rows)
    shown = capsys.readouterr().out
    assert shown.startswith((tmp_path / "bits.csv").read_text())
    assert shown.endswith("64 bits, mark reported in 2 of 2 views of 1 photos\n")
    with Image.open(tmp_path / "bits.png") as plot:
        assert plot.height > 500


def test_a_folder_without_photos_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--photos", str(tmp_path), "--out", str(tmp_path / "bits")])
    assert RELIABILITY.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "found 0" in line
