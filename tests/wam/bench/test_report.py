"""The files of a run: tables, plots, contact sheet."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wam.bench.doubles import Brightener, light_contender, photos_in
from tests.wam.synthetic import handmade_marker
from wam.bench import plots
from wam.bench.plots import over_strength
from wam.bench.report import cell
from wam.bench.rows import choose_rows
from wam.bench.session import Options, Outcome, make_plan, make_report, run
from wam.bench.sheet import MOST, choose

ROWS = "identity,jpeg=90,jpeg=70,multi=1,multi=2,unmarked"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Outcome:
    images = photos_in(folder / "photos", 1, side=96)
    options = Options(ROWS, images, strengths=(43.0, 46.0), workers=1, command="wam bench --of-the-tests")
    return run(options, light_contender, folder)


def test_every_row_is_in_every_file(outcome: Outcome, folder: Path) -> None:
    names = ["identity", "jpeg=90", "jpeg=70", "multi=1", "multi=2"]
    with open(folder / "report.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["row"] for row in rows] == names * 2
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [line["row"] for line in metrics["attacks"]] == names * 2
    assert [line["strength"] for line in metrics["attacks"]] == [43.0] * 5 + [46.0] * 5
    text = (folder / "report.md").read_text()
    assert all(f"| {name} |" in text for name in names) and "| unmarked |" in text


def test_strength_is_what_was_asked_for(outcome: Outcome) -> None:
    assert [line["psnr_db"] for line in outcome.report.quality] == pytest.approx([43, 46], abs=1)


def test_figures_carry_command_model_images_and_device(outcome: Outcome, folder: Path) -> None:
    text = (folder / "report.md").read_text()
    digest = outcome.plan.parts[0].images.digest
    for fact in ("wam bench --of-the-tests", "handmade@00000000", digest, "CPU"):
        assert fact in text and fact in outcome.report.caption


def test_plots_are_pictures_and_in_the_report(outcome: Outcome, folder: Path) -> None:
    assert outcome.report.plots == [
        "bits-over-strength.png", "robustness-over-psnr.png", "iou-and-bits-over-area.png", "marks-found.png",
        "contact-sheet.png",
    ]  # fmt: skip
    text = (folder / "report.md").read_text()
    for name in outcome.report.plots:
        assert f"![{name}]({name})" in text
        pixels = np.asarray(Image.open(folder / name).convert("L"))
        assert min(pixels.shape) > 200 and pixels.std() > 5


def test_the_same_seed_gives_the_same_files(outcome: Outcome, tmp_path: Path) -> None:
    images = outcome.plan.parts[0].images
    options = Options("crop=0.5,multi=1", images, workers=1)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        run(options, light_contender, tmp_path / folder)
    for name in ("report.md", "report.csv", "metrics.json"):
        assert (tmp_path / "first" / name).read_text() == (tmp_path / "second" / name).read_text()


def test_the_search_is_that_of_the_contenders(outcome: Outcome) -> None:
    search = handmade_marker().model.description.search
    assert search is not None and outcome.report.facts["search"] == search
    images = outcome.plan.parts[0].images
    options = Options("identity", images, peers=(Brightener,))
    assert make_report(options, make_plan(options, light_contender), [], []).facts["search"] == search
    assert "search" not in make_report(options, make_plan(options, Brightener), [], []).facts


def test_no_sweep_no_plot(outcome: Outcome) -> None:
    report = replace(outcome.report, rows=[line for line in outcome.report.rows if line.row != "jpeg=90"])
    assert over_strength(report, outcome.results) is None


def test_a_plot_that_fails_costs_nothing_else(
    folder: Path, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("no paper")

    monkeypatch.setattr(plots, "write_plots", fail)
    found = run(Options("identity", outcome.plan.parts[0].images, limit=1, workers=1), light_contender, tmp_path)
    assert found.report.failures == ["plots: no paper"] and found.report.plots == []
    assert "no paper" in (tmp_path / "report.md").read_text()


def test_the_sheet_shows_the_usual_rows_first() -> None:
    names = [row.name for row in choose(choose_rows("all"))]
    assert names[:3] == ["identity", "jpeg=50", "crop=0.5"] and len(names) == MOST
    assert [row.name for row in choose(choose_rows("hflip,unmarked"))] == ["hflip"]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("bits", 0.98765, "98.8%"),
        ("psnr_db", 41.96, "42.0"),
        ("iou", 0.5, "0.500"),
        ("wrong", 3, "3"),
        ("iou", None, "-"),
    ],
)
def test_cells(name: str, value: object, text: str) -> None:
    assert cell(name, value) == text
