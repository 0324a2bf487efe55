"""What ``wam detect`` says of each file, and of a whole folder when it is done."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING, Any

import typer

from wam.cli import common
from wam.cli.print_search import explain
from wam.errors import show_name

if TYPE_CHECKING:
    from wam.jobs.outcome import DetectOutcome
    from wam.pipeline.read import AnyReading
    from wam.watermarker import Watermarker


def report_all(
    outcomes: Generator[DetectOutcome],
    count: int,
    marker: Watermarker,
    *,
    summary: bool,
    as_json: bool,
    verbose: bool,
    debug: bool,
) -> bool:
    """Prints each of ``count`` outcomes, and a ``summary`` of all; True when each file carries a mark."""
    counts: Counter[str] = Counter()
    started = monotonic()
    with common.progress("detecting", count) as advance, closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None and debug:
                raise outcome.error
            _count(counts, outcome)
            _report(outcome, marker.name, as_json=as_json)
            if verbose and outcome.error is None:
                for line in explain(outcome, marker.keys):
                    typer.echo(line, err=True)
            advance()
    if summary:
        typer.echo(_summary(counts, monotonic() - started), err=True)
    return counts["marked"] == count


def _count(counts: Counter[str], outcome: DetectOutcome) -> None:
    kind = "failed" if outcome.error is not None else "marked" if outcome.readings else "unmarked"
    counts[kind] += 1
    counts["marks"] += len(outcome.readings)


def _summary(counts: Counter[str], seconds: float) -> str:
    """How many files of a folder carry marks, and how fast they were read.

    >>> _summary(Counter({"marked": 3, "marks": 5, "unmarked": 1}), 2.0)
    '3 with watermarks (5 in all), 1 without, 0 not read in 2.0 s, 2.0/s'
    """
    files = counts["marked"] + counts["unmarked"]
    text = f"{counts['marked']} with watermarks ({counts['marks']} in all), {counts['unmarked']} without, "
    return f"{text}{counts['failed']} not read in {seconds:.1f} s, {files / max(seconds, 1e-3):.1f}/s"


def _report(outcome: DetectOutcome, model: str, *, as_json: bool) -> None:
    message = None
    if outcome.error is not None:
        message = common.about(outcome.source.location, outcome.error)
        common.report(message)
    if as_json:
        common.print_json(_object(outcome, model, message))
    elif message is None:
        _print_table(outcome)


def _object(outcome: DetectOutcome, model: str, error: str | None) -> dict[str, Any]:
    """The contract's object for one image."""
    return {
        "image": os.fspath(outcome.source.location),
        "width": outcome.width,
        "height": outcome.height,
        "model": model,
        "watermarks": [reading.to_dict() for reading in outcome.readings],
        "error": error,
        "label": outcome.label and {**outcome.label.to_dict(), "agrees": outcome.label_agrees},
    }


def _print_table(outcome: DetectOutcome) -> None:
    """A line, and a table where there is something to tell."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    name, readings = show_name(str(outcome.source.location)), outcome.readings
    label = _label_line(outcome)
    if not readings:
        typer.echo(f"{name}: no watermark{label}")
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    typer.echo(f"{name}: {len(readings)} watermark{'s' if len(readings) > 1 else ''}{label}")
    columns = ("status", "link", "asset", "owner", "user", "ingested", "region x,y wxh", "area", "chance")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for reading in readings:
        table.add_row(*(Text(cell) for cell in _cells(reading)))
    console.print(table)


def _label_line(outcome: DetectOutcome) -> str:
    """What the label in the metadata says and whether a watermark says the same; nothing without a label."""
    if outcome.label is None:
        return ""
    said = outcome.label.producer or outcome.label.source_type.rpartition("/")[2]
    verdict = {
        True: "the watermark agrees",
        False: "NO WATERMARK AGREES (was it marked with a key?)",
        None: "it names no watermark",
    }
    return f"; label of {show_name(said)}: {verdict[outcome.label_agrees]}"


def _cells(reading: AnyReading) -> list[str]:
    record = reading.record.to_dict() if reading.record else {}
    x, y, width, height = reading.region.bbox
    status = reading.status + (" (transplanted?)" if reading.transplanted else "")
    fields = [str(record.get(field) or "-") for field in ("asset", "owner", "user", "ingested_at")]
    return [
        status, show_mark(reading), *fields, f"{x},{y} {width}x{height}",
        f"{reading.region.area:.0%}", f"1e{reading.log10_p:.0f}",
    ]  # fmt: skip


def show_mark(reading: AnyReading) -> str:
    """The short link, or how much of a record there is."""
    from wam.pipeline.record_marks import FoundRecord

    if isinstance(reading, FoundRecord):
        return f"record, {reading.reading.read} of {reading.reading.embedded or '?'} marks"
    return reading.link or "-"
