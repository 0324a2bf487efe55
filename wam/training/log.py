"""The log of a training run: one CSV row for some dozens of steps, and its curves."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from wam.append_log import append, read
from wam.pictures.atomic_write import save_atomically
from wam.training.losses import known_mean

COLUMNS = ["step", "minutes", "level", "rate", "pattern", "mask", "bits", "correlation", "accuracy", "pictures_per_s"]
COLUMNS += ["left_out"]
COLUMNS += [f"val_{name}" for name in COLUMNS[4:9]]
COLUMNS += ["small", "val_small"]  # correlation of the second extractor, if there is one
CURVES = (
    ("pattern", "val_pattern"),
    ("correlation", "val_correlation"),
    ("accuracy", "val_accuracy"),
    ("level", "mask"),
)


class Window:
    """The steps since the last row."""

    def __init__(self) -> None:
        self.reports: list[Mapping[str, float]] = []
        self.taken = 0
        self.started = time.monotonic()

    def add(self, report: Mapping[str, float], *, taken: bool) -> None:
        """One step's losses, and whether its gradient was followed."""
        self.reports.append(report)
        self.taken += taken

    def row(self, *, batch: int) -> dict[str, float]:
        """Means, pictures per second at ``batch`` pictures a step, and how many batches were left out."""
        row = {key: round(value, 4) for key, value in known_mean(self.reports).items()}
        row["pictures_per_s"] = round(len(self.reports) * batch / (time.monotonic() - self.started), 1)
        return row | {"left_out": len(self.reports) - self.taken}


def write_row(path: Path, row: Mapping[str, float]) -> None:
    """Appends to the CSV log, with its header first; a log of an older version gets today's columns."""
    rows = read_rows(path)
    if not rows or list(rows[0]) != COLUMNS:
        text = _text(rows, header=True)
        save_atomically(path, lambda temporary: temporary.write_bytes(text.encode()))
    append(path, _text([row]))


def read_rows(path: Path) -> list[dict[str, str]]:
    """All rows as text, without one that a crash cut off; empty where there was nothing to log."""
    return list(csv.DictReader(io.StringIO(read(path), newline="")))


def plot(log: Path, target: Path) -> None:
    """Training curves from the CSV log."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = read_rows(log)
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), constrained_layout=True)
    for axis, names in zip(axes.flat, CURVES, strict=True):
        for name in names:
            points = [(int(r["step"]), float(r[name])) for r in rows if r.get(name)]
            if points:
                axis.plot(*zip(*points, strict=True), label=name)
        axis.set_xlabel("step")
        axis.legend()
    try:
        figure.savefig(target, dpi=90)
    finally:
        plt.close(figure)


def _text(rows: Sequence[Mapping[str, object]], *, header: bool = False) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
