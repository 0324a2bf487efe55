"""What ``wam detect`` says of each file, and of a whole folder when it is done."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import typer

from wam.cli import common
from wam.cli.lines import warn
from wam.cli.print_search import explain
from wam.errors import show_name
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from wam.jobs.outcome import DetectOutcome
    from wam.pipeline.read import AnyReading, Findings
    from wam.watermarker import Watermarker


@dataclass
class Counts:
    """How many files carry marks, carry none or could not be read, and how many marks there are in all."""

    marked: int = 0
    unmarked: int = 0
    failed: int = 0
    marks: int = 0
    verified: int = 0  # files with a mark whose record is known, and that does not seem to be copied from another
    unread: int = 0  # pictures of kinds that are not read

    def add(self, outcome: DetectOutcome) -> None:
        """One more file."""
        self.failed += outcome.findings is None
        self.marked += bool(outcome.readings)
        self.unmarked += outcome.findings is not None and not outcome.readings
        self.marks += len(outcome.readings)
        self.verified += any(reading.status == "verified" and not reading.transplanted for reading in outcome.readings)


def report_all(
    outcomes: Generator[DetectOutcome],
    count: int,
    marker: Watermarker,
    *,
    summary: bool,
    unread: int = 0,
    as_json: bool,
    verbose: bool,
    debug: bool,
) -> Counts:
    """Prints each of ``count`` outcomes, and a ``summary`` of all; returns what was found. ``unread``: files beside
    them that are of kinds which are not read."""
    counts = Counts(unread=unread)
    started = monotonic()
    with common.progress("detecting", count) as advance, closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None and debug:
                raise outcome.error
            counts.add(outcome)
            _report(outcome, marker.name, as_json=as_json)
            if verbose and outcome.findings is not None:
                for line in explain(str(outcome.source.location), outcome.findings, marker.keys):
                    typer.echo(line, err=True)
            advance()
    if summary:
        typer.echo(_summary(counts, monotonic() - started), err=True)
    return counts


def _summary(counts: Counts, seconds: float) -> str:
    """How many files of a folder carry marks, and how fast they were read.

    >>> _summary(Counts(marked=3, marks=5, unmarked=1), 2.0)
    '3 with watermarks (5 in all), 1 without, 0 not read in 2.0 s, 2.0/s'
    """
    files = counts.marked + counts.unmarked
    text = f"{counts.marked} with watermarks ({counts.marks} in all), {counts.unmarked} without, "
    text += f"{counts.unread} of other kinds, " if counts.unread else ""
    return f"{text}{counts.failed} not read in {seconds:.1f} s, {files / max(seconds, 1e-3):.1f}/s"


def _report(outcome: DetectOutcome, model: str, *, as_json: bool) -> None:
    message = None
    if outcome.error is not None:
        message = error_line(str(outcome.source.location), outcome.error)
        common.report(message)
    elif outcome.findings is not None and outcome.findings.reason is not None:
        warn(f"{show_name(str(outcome.source.location))}: {outcome.findings.reason}")
    if as_json:
        common.print_json(outcome.to_dict(model=model, message=message))
    elif outcome.findings is not None:
        _print_table(show_name(str(outcome.source.location)), outcome.findings)


def _print_table(name: str, findings: Findings) -> None:
    """A line, and a table where there is something to tell."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    readings, label = findings.readings, _label_line(findings)
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


def _label_line(findings: Findings) -> str:
    """What the label in the metadata says and whether a watermark says the same; nothing without a label."""
    if findings.label is None:
        return ""
    said = findings.label.producer or findings.label.source_type.rpartition("/")[2]
    verdict = {
        True: "the watermark agrees",
        False: "NO WATERMARK AGREES (was it marked with a key?)",
        None: "it names no watermark",
    }
    return f"; label of {show_name(said)}: {verdict[findings.label_agrees]}"


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
