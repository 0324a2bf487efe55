"""The contact sheet: original, marked, attacked, predicted mask and amplified difference, for a few rows."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from wam.bench.contenders import Contender
from wam.bench.judge import judge
from wam.bench.plan import Part
from wam.bench.rows import Row
from wam.bench.view import View
from wam.bench.views import Stage
from wam.bench.words import WordBook
from wam.pictures.files import write_bytes
from wam.signal.filters import to_pixels

AMPLIFIED = 10  # times the difference is shown
PREFERRED = ("identity", "jpeg=50", "crop=0.5", "rotate=10", "collage=0.25", "collage=0.1", "composite=3", "multi=3")
MOST = 6  # rows of the sheet
SIDE = 512  # pixels: longest side of a panel
TITLES = ("original", "marked", "attacked", "predicted mask", f"difference x{AMPLIFIED}")
COLOURS = np.array(
    [[230, 60, 60], [60, 130, 230], [60, 180, 90], [240, 170, 40], [150, 80, 200], [60, 190, 190], [220, 110, 180]]
)


def choose(rows: Sequence[Row]) -> list[Row]:
    """The rows to show: the usual ones where they were measured, then whatever was."""
    plain = [row for row in rows if row.null is None]
    usual = [row for name in PREFERRED for row in plain if row.name == name]
    return [*usual, *(row for row in plain if row not in usual)][:MOST]


def write_sheet(path: Path, contender: Contender, part: Part, *, seed: int, caption: str) -> None:
    """One line of panels for some of the rows, each on another of the photos that were measured."""
    from matplotlib.figure import Figure

    images, rows = part.images, choose(part.rows)
    stage = Stage(images, contender, WordBook.of(seed), seed=seed, strength=None)
    figure = Figure(figsize=(2.3 * len(TITLES), 1.75 * len(rows) + 0.6), layout="constrained")
    cells = figure.subplots(len(rows), len(TITLES), squeeze=False)
    for index, row in enumerate(rows):
        number = images.readable(index % part.count())
        panels, words = _panels(stage, row, number)
        for axes, panel in zip(cells[index], panels, strict=True):
            axes.imshow(panel)
            axes.set(xticks=[], yticks=[])
        cells[index][0].set_ylabel(row.name, fontsize=8)
        cells[index][3].set_xlabel(words, fontsize=7)
    for axes, title in zip(cells[0], TITLES, strict=True):
        axes.set_title(title, fontsize=9)
    figure.supxlabel(textwrap.fill(caption, 150), fontsize=6, color="dimgrey")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _panels(stage: Stage, row: Row, number: int) -> tuple[list[npt.NDArray[np.uint8]], str]:
    original, marked = stage.images.photo(number), stage.marked(number)
    view = stage.view(row, number)
    readings = stage.contender.read(view.image)
    score = judge(view, readings, stage.book, decides=stage.contender.decides)
    difference = ((marked - original) * AMPLIFIED + 0.5).clamp(0, 1)
    painted = _paint(view, [reading.mask for reading in readings if reading.plain])
    panels = [*map(_array, (original, marked, view.image)), painted, _array(difference)]
    named = sum(mark.record for mark in score.marks)
    return panels, f"{score.detections} found, {named} of {len(score.marks)} records right"


def _paint(view: View, masks: Sequence[npt.NDArray[np.bool_] | None]) -> npt.NDArray[np.uint8]:
    """The picture in faint grey with each mask in a colour."""
    grey = (view.image[0].mean(0).numpy() * 80 + 150)[..., None].repeat(3, axis=2)
    for index, mask in enumerate(masks):
        if mask is not None:
            grey[mask] = 0.35 * grey[mask] + 0.65 * COLOURS[index % len(COLOURS)]
    return _small(grey.astype(np.uint8))


def _array(batch: Tensor) -> npt.NDArray[np.uint8]:
    return _small(to_pixels(batch[0].clamp(0, 1).cpu()))


def _small(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).reduce(max(1, round(max(image.shape[:2]) / SIDE))))
