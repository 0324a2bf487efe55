"""The files of a run: tables, plots, contact sheet."""

from __future__ import annotations

import base64
import csv
import json
import re
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wam.bench.doubles import Brightener, light_contender, photos_in
from tests.wam.synthetic import handmade_marker
from wam.bench import plots
from wam.bench.plots import PLOTS, over_strength
from wam.bench.report import cell, markdown
from wam.bench.report_page import page
from wam.bench.rows import choose_rows
from wam.bench.session import Options, Outcome, make_plan, make_report, run
from wam.bench.sheet import MOST, choose
from wam.bench.summary import split_clean

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
    assert all(name in text for name in names) and "| unmarked |" in text


def test_strength_is_what_was_asked_for(outcome: Outcome) -> None:
    assert [line["psnr_db"] for line in outcome.report.quality] == pytest.approx([43, 46], abs=1)


def test_figures_carry_command_model_images_and_device(outcome: Outcome, folder: Path) -> None:
    text = (folder / "report.md").read_text()
    digest = outcome.plan.parts[0].images.digest
    for fact in ("wam bench --of-the-tests", "handmade@00000000", digest, "CPU"):
        assert fact in text and fact in outcome.report.caption


def test_plots_are_pictures_and_in_the_report(outcome: Outcome, folder: Path) -> None:
    assert outcome.report.plots == [
        "margin-over-strength.png", "margin-over-psnr.png", "area.png", "marks-found.png", "contact-sheet.png",
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


def test_rows_where_nothing_fails_are_one_line(outcome: Outcome) -> None:
    text = markdown(outcome.report)
    clean, rest = split_clean(outcome.report.rows)
    assert clean and {line.row for line in rest} | {name for rows in clean for name in rows.names} == {
        "identity", "jpeg=90", "jpeg=70", "multi=1", "multi=2",
    }  # fmt: skip
    attacks = text.partition("## Attacks")[2].partition("## Quality")[0]
    for rows in clean:
        assert f"{rows.group}, {rows}: {', '.join(rows.names)}\n" in attacks
    for line in rest:
        assert f"| {line.group} | {line.row} |" in attacks
    assert attacks.count("| handmade") == len(rest)


def test_the_page_is_one_file_with_everything(outcome: Outcome, folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)|@import|https?://", text)
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text and "width=device-width" in text
    plots = [base64.b64decode(code) for code in re.findall(r"base64,([^\"]+)", text)]
    assert plots == [(folder / name).read_bytes() for name in outcome.report.plots]
    cells = re.findall(r"<td>([^<]*)</td>", text)
    for line in outcome.report.rows:
        assert cells.count(line.row) == 2  # once for each strength, clean or not
    assert "<details><summary>handmade@00000000 43 dB, none, 1 row: every word right" in text
    for fact in outcome.report.facts.values():
        assert escape(fact) in text


def test_the_page_of_a_report_that_failed_says_so_safely(outcome: Outcome) -> None:
    failed = replace(outcome.report, failures=["<b>.png: expected a picture"], groups=[], rows=[], plots=[])
    text = page(failed, {})
    assert "<li>&lt;b&gt;.png: expected a picture</li>" in text and "<h2>Attacks</h2>" not in text


def test_without_margins_bits_are_drawn(outcome: Outcome) -> None:
    """Results of 0.2.0, and of methods that have no threshold."""
    lines = [replace(line, margin_db=None, lowest_db=None) for line in outcome.report.rows]
    groups = [replace(line, margin_db=None, lowest_db=None) for line in outcome.report.groups]
    old = replace(outcome.report, rows=lines, groups=groups)
    drawn = {name for name, draw in PLOTS.items() if draw(old, outcome.results) is not None}
    assert drawn == {"bits-over-strength", "robustness-over-psnr", "area", "marks-found"}


def test_margins_are_drawn_down_to_the_least_sure_mark(outcome: Outcome) -> None:
    figure = over_strength(outcome.report, outcome.results)
    assert figure is not None
    (axes,) = figure.axes
    curves = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    assert len(curves) == 2 and len(axes.collections) == 2
    wanted = {line.row: line.margin_db for line in outcome.report.rows if line.strength == 43.0}
    assert list(curves[0].get_ydata()) == [wanted["jpeg=70"], wanted["jpeg=90"]]
    assert min(wanted.values()) > 0


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
        ("margin_db", 61.234, "61.2"),
    ],
)
def test_cells(name: str, value: object, text: str) -> None:
    assert cell(name, value) == text


def test_figures_without_a_package_say_so_in_every_table(outcome: Outcome) -> None:
    lines = [{**line, "cvvdp_jod": None, "lowest_cvvdp": None} for line in outcome.report.quality]
    without = replace(outcome.report, quality=lines, absent=("cvvdp_jod",), plots=[])
    assert without.quality and markdown(without).count("| not installed |") == 2 * len(lines)
    assert page(without, {}).count("not installed") == 2 * len(lines)


def test_a_run_measures_the_quality_again_that_lacks_a_figure(tmp_path: Path) -> None:
    options = Options("identity", photos_in(tmp_path / "photos", 1, side=64), workers=1)
    run(options, Brightener, tmp_path)
    file = tmp_path / "results.jsonl"
    whole = [json.loads(line) for line in file.read_text().splitlines()]
    for each in whole:
        each["values"].pop("ciede2000", None)  # as an earlier version wrote it
    file.write_text("".join(json.dumps(each) + "\n" for each in whole))
    (line,) = run(options, Brightener, tmp_path).report.quality
    assert line["ciede2000"] > 0 and len(file.read_text().splitlines()) == 2
