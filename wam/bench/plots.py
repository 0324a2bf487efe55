"""Plots of a report: over strength, over quality, over marked area, over the number of marks.

Where everything is read, bit accuracy is a flat line at 1: the evidence for a mark still tells how far from the
threshold it was.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wam.bench.report import Report, entrant
from wam.bench.results import Result
from wam.bench.rows import choose_rows
from wam.bench.summary import Line, mark_margin
from wam.networks.strength import shown
from wam.pictures.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4  # of small plots
CELL = (3.1, 2.4)  # inches
AREA_EDGES = (0.0, 0.03, 0.06, 0.09, 0.13, 0.2, 0.3, 0.5, 0.8, 1.0)  # of the bins over marked area
MARKED_GROUPS = ("none", "splicing", "multi")  # groups whose masks show a part of the picture or all of it

Draw = Callable[[Report, Sequence[Result]], "Figure | None"]


def write_plots(folder: Path, report: Report, results: Sequence[Result]) -> list[str]:
    """Every plot that the results have points for; returns the names of the files."""
    names = []
    for name, draw in PLOTS.items():
        figure = draw(report, results)
        if figure is not None:
            _save(folder / f"{name}.png", figure, report.caption)
            names.append(f"{name}.png")
    return names


@dataclass(frozen=True)
class Measure:
    """What is drawn upwards: a field of ``Line`` and what the axis says; ``lowest``: the field of the least sure mark;
    ``bounds`` of the axis, None as it comes; ``level`` that is marked."""

    field: str
    label: str
    lowest: str | None = None
    bounds: tuple[float, float] | None = None
    level: float | None = None

    def of(self, line: Line) -> float | None:
        """Its value of one line."""
        value: float | None = getattr(line, self.field)
        return value


MARGIN = Measure("margin_db", "evidence, dB over threshold", lowest="lowest_db", level=0.0)
BITS = Measure("bits", "bit accuracy", bounds=(0.45, 1.02))


def over_strength(report: Report, results: Sequence[Result], measure: Measure = MARGIN) -> Figure | None:
    """A measure against the attack's strength, a small plot for each attack that has two strengths or more; the margin
    with all that lies between the mean and the least sure mark."""
    sweeps: dict[str, dict[str, list[tuple[float, Line]]]] = {}
    for line in report.rows:
        (row,) = choose_rows(line.row)
        if row.swept and measure.of(line) is not None:
            name, strength = row.swept
            sweeps.setdefault(name, {}).setdefault(entrant(line), []).append((strength, line))
    sweeps = {name: curves for name, curves in sweeps.items() if max(map(len, curves.values())) > 1}
    if not sweeps:
        return None
    figure, cells = _grid(len(sweeps))
    for axes, (name, curves) in zip(cells, sweeps.items(), strict=True):
        for label, points in curves.items():
            _curve(axes, sorted(points, key=lambda point: point[0]), measure, label)
        axes.set_title(name, fontsize=9)
        _bound(axes, measure)
        axes.locator_params(axis="x", nbins=4)
    _label(cells, "strength", measure.label)
    return figure


def over_quality(report: Report, results: Sequence[Result], measure: Measure = MARGIN) -> Figure | None:
    """The mean of a measure in each group against the mean PSNR, a point for each contender and strength."""
    points: dict[str, dict[str, list[tuple[float, Line]]]] = {}
    for line in report.groups:
        if line.psnr_db is not None and measure.of(line) is not None and line.group != "none":
            points.setdefault(line.group, {}).setdefault(line.contender, []).append((line.psnr_db, line))
    if not points or len({entrant(line) for line in report.groups}) < 2:
        return None
    figure, cells = _grid(len(points))
    for axes, (group, curves) in zip(cells, points.items(), strict=True):
        for label, lines in curves.items():
            _curve(axes, sorted(lines, key=lambda point: point[0]), measure, label)
        axes.set_title(group, fontsize=9)
        _bound(axes, measure)
    _label(cells, "PSNR, dB", measure.label)
    return figure


def _curve(axes: Axes, points: Sequence[tuple[float, Line]], measure: Measure, label: str) -> None:
    places, lines = [place for place, _ in points], [line for _, line in points]
    values = [measure.of(line) or 0.0 for line in lines]
    (curve,) = axes.plot(places, values, "o-", markersize=3, label=label)
    if measure.lowest is not None:
        lowest = [getattr(line, measure.lowest) for line in lines]
        axes.fill_between(places, lowest, values, color=curve.get_color(), alpha=0.18, linewidth=0)


def _bound(axes: Axes, measure: Measure) -> None:
    if measure.level is not None:
        axes.axhline(measure.level, color="black", linewidth=0.8, linestyle="--")
    if measure.bounds is not None:
        axes.set_ylim(*measure.bounds)


def over_area(report: Report, results: Sequence[Result]) -> Figure | None:
    """IoU and margin of each mark against the share of the picture that it covers, with the mean of each bin; bit
    accuracy in the margin's place where that is not known."""
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
    margins = [mark_margin(mark) for mark in marks]
    known = None not in margins
    second = (MARGIN.label, np.array(margins)) if known else (BITS.label, np.array([mark["bits"] for mark in marks]))
    for axes, name, values, bounds in (
        (cells[0], "IoU (not found: 0)", np.array([mark["iou"] or 0.0 for mark in marks]), (-0.03, 1.05)),
        (cells[1], *second, None if known else (-0.03, 1.05)),
    ):
        axes.plot(areas, values, ".", alpha=0.35, markersize=4)
        bins = np.digitize(areas, AREA_EDGES[1:-1])
        used = sorted(set(bins.tolist()))
        middles = [float(areas[bins == index].mean()) for index in used]
        axes.plot(middles, [float(values[bins == index].mean()) for index in used], "o-", color="black", markersize=3)
        axes.set(xscale="log")
        if bounds is not None:
            axes.set_ylim(*bounds)
        else:
            axes.axhline(0.0, color="black", linewidth=0.8, linestyle="--")
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
            label = name if line.strength is None else f"{name}, {shown(line.strength)}"
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
    "margin-over-strength": over_strength,
    "bits-over-strength": lambda report, results: _where_unknown(over_strength, report, results),
    "margin-over-psnr": over_quality,
    "robustness-over-psnr": lambda report, results: _where_unknown(over_quality, report, results),
    "area": over_area,
    "marks-found": over_count,
}


def _where_unknown(draw: Callable[..., Figure | None], report: Report, results: Sequence[Result]) -> Figure | None:
    """The plot of bit accuracy, where some contender has no margin: other packages, and results of 0.2.0."""
    if all(line.margin_db is not None for line in report.rows if line.bits is not None):
        return None
    return draw(report, results, BITS)


def _grid(count: int, *, cell: tuple[float, float] = CELL) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

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
    import matplotlib

    width = int(figure.get_figwidth() * 16)
    figure.supxlabel(textwrap.fill(caption, width), fontsize=6, color="dimgrey")
    buffer = io.BytesIO()
    with matplotlib.rc_context({"font.size": 8}):
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
