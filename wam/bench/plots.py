"""Plots of a report: over strength, over quality, over marked area, over the number of marks."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wam.bench.report import Report, entrant
from wam.bench.results import Result
from wam.bench.rows import choose_rows
from wam.bench.summary import Line
from wam.pictures.files import write_bytes

COLUMNS = 4  # of small plots
CELL = (3.1, 2.4)  # inches
AREA_EDGES = (0.0, 0.03, 0.06, 0.09, 0.13, 0.2, 0.3, 0.5, 0.8, 1.0)  # of the bins over marked area
MARKED_GROUPS = ("none", "splicing", "multi")  # groups whose masks show a part of the picture or all of it

Draw = Callable[[Report, Sequence[Result]], Figure | None]


def write_plots(folder: Path, report: Report, results: Sequence[Result]) -> list[str]:
    """Every plot that the results have points for; returns the names of the files."""
    names = []
    for name, draw in PLOTS.items():
        figure = draw(report, results)
        if figure is not None:
            _save(folder / f"{name}.png", figure, report.caption)
            names.append(f"{name}.png")
    return names


def over_strength(report: Report, results: Sequence[Result]) -> Figure | None:
    """Bit accuracy against the attack's strength, a small plot for each attack that has two strengths or more."""
    sweeps: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in report.rows:
        (row,) = choose_rows(line.row)
        if row.swept and line.bits is not None:
            name, strength = row.swept
            sweeps.setdefault(name, {}).setdefault(entrant(line), []).append((strength, line.bits))
    sweeps = {name: curves for name, curves in sweeps.items() if max(map(len, curves.values())) > 1}
    if not sweeps:
        return None
    figure, cells = _grid(len(sweeps))
    for axes, (name, curves) in zip(cells, sweeps.items(), strict=True):
        for label, points in curves.items():
            axes.plot(*zip(*sorted(points), strict=True), "o-", markersize=3, label=label)
        axes.set_title(name, fontsize=9)
        axes.set_ylim(0.45, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    _label(cells, "strength", "bit accuracy")
    return figure


def over_quality(report: Report, results: Sequence[Result]) -> Figure | None:
    """Mean bit accuracy of each group against the mean PSNR, a point for each contender and strength."""
    points: dict[str, dict[str, list[Line]]] = {}
    for line in report.groups:
        if line.psnr_db is not None and line.bits is not None and line.group != "none":
            points.setdefault(line.group, {}).setdefault(line.contender, []).append(line)
    if not points or len({entrant(line) for line in report.groups}) < 2:
        return None
    figure, cells = _grid(len(points))
    for axes, (group, curves) in zip(cells, points.items(), strict=True):
        for label, lines in curves.items():
            pairs = sorted((line.psnr_db or 0.0, line.bits or 0.0) for line in lines)
            axes.plot(*zip(*pairs, strict=True), "o-", markersize=4, label=label)
        axes.set_title(group, fontsize=9)
        axes.set_ylim(0.45, 1.02)
    _label(cells, "PSNR, dB", "bit accuracy")
    return figure


def over_area(report: Report, results: Sequence[Result]) -> Figure | None:
    """IoU and bit accuracy of each mark against the share of the picture that it covers, with the mean of each bin."""
    marks = [
        mark
        for result in results
        if result.group in MARKED_GROUPS and result.error is None and result.key.contender == results[0].key.contender
        for mark in result.values["marks"]
        if mark["area"] > 0 and mark["found"] is not None
    ]
    if len({round(mark["area"], 2) for mark in marks}) < 2:
        return None
    figure, cells = _grid(2)
    areas = np.array([mark["area"] for mark in marks])
    for axes, name, values in (
        (cells[0], "IoU (not found: 0)", np.array([mark["iou"] or 0.0 for mark in marks])),
        (cells[1], "bit accuracy", np.array([mark["bits"] for mark in marks])),
    ):
        axes.plot(areas, values, ".", alpha=0.35, markersize=4)
        bins = np.digitize(areas, AREA_EDGES[1:-1])
        used = sorted(set(bins.tolist()))
        middles = [float(areas[bins == index].mean()) for index in used]
        axes.plot(middles, [float(values[bins == index].mean()) for index in used], "o-", color="black", markersize=3)
        axes.set(xscale="log", ylim=(-0.03, 1.05))
        axes.set_ylabel(name, fontsize=8)
        axes.set_xlabel("marked share of the picture", fontsize=8)
        axes.set_xticks([0.03, 0.1, 0.3, 1.0], labels=["3%", "10%", "30%", "100%"])
        axes.minorticks_off()
    return figure


def over_count(report: Report, results: Sequence[Result]) -> Figure | None:
    """Marks found for a picture, against marks embedded in it, for each kind of scene."""
    kinds: dict[str, list[tuple[int, float]]] = {}
    for line in report.rows:
        (row,) = choose_rows(line.row)
        if row.recipe is not None and line.photos:
            name = row.recipe.name
            label = name if line.strength is None else f"{name}, {line.strength:g} dB"
            kinds.setdefault(label, []).append((row.recipe.count, line.found / line.photos))
    if not kinds:
        return None
    figure, cells = _grid(1, cell=(4.6, 3.4))
    most = max(count for points in kinds.values() for count, _ in points)
    cells[0].plot([0, most], [0, most], ":", color="grey", label="all")
    for label, points in kinds.items():
        cells[0].plot(*zip(*sorted(points), strict=True), "o-", markersize=4, label=label)
    cells[0].set(xlabel="marks embedded", ylabel="marks found, mean", xticks=range(most + 1))
    cells[0].legend(fontsize=7)
    return figure


PLOTS: dict[str, Draw] = {
    "bits-over-strength": over_strength,
    "robustness-over-psnr": over_quality,
    "iou-and-bits-over-area": over_area,
    "marks-found": over_count,
}


def _grid(count: int, *, cell: tuple[float, float] = CELL) -> tuple[Figure, list[Axes]]:
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(cell[0] * columns, 4.5), cell[1] * rows + 0.7), layout="constrained")
    cells: Any = figure.subplots(rows, columns, squeeze=False)
    flat = list(cells.flat)
    for axes in flat[count:]:
        axes.remove()
    for axes in flat[:count]:
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=7)
    return figure, flat[:count]


def _label(cells: Sequence[Axes], x: str, y: str) -> None:
    for index, axes in enumerate(cells):
        axes.set_xlabel(x, fontsize=7)
        if index % COLUMNS == 0:
            axes.set_ylabel(y, fontsize=8)
    if len(cells[0].get_legend_handles_labels()[1]) > 1:
        cells[0].legend(fontsize=6)


def _save(path: Path, figure: Figure, caption: str) -> None:
    width = int(figure.get_figwidth() * 16)
    figure.supxlabel(textwrap.fill(caption, width), fontsize=6, color="dimgrey")
    buffer = io.BytesIO()
    with matplotlib.rc_context({"font.size": 8}):
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
