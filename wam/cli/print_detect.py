"""What ``wam detect`` says of each file, and of a whole folder when it is done."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import typer

from wam.cli import common, terminal
from wam.cli.lines import note_keys, warn
from wam.cli.mark_lines import block, cells, picture_line
from wam.cli.print_candidates import HINT, candidates_line, print_candidates
from wam.cli.print_search import explain
from wam.cli.print_similar import line_of, print_similar
from wam.cli.progress import progress
from wam.cli.tables import fits, print_table
from wam.errors import show_name
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from wam.jobs.detect_report import DetectReport, Earlier
    from wam.jobs.listing import Listing
    from wam.jobs.outcome import DetectOutcome
    from wam.pipeline.contract import CredentialsObject, DetectObject, LabelObject, WatermarkObject
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
    before: int = 0  # files that an earlier run has read, counted above too

    def add(self, outcome: DetectOutcome) -> None:
        """One more file."""
        self.failed += outcome.findings is None
        self.marked += bool(outcome.readings)
        self.unmarked += outcome.findings is not None and not outcome.readings
        self.marks += len(outcome.readings)
        self.verified += any(reading.status == "verified" and not reading.transplanted for reading in outcome.readings)

    def add_said(self, said: DetectObject) -> None:
        """One more file that others have read, by the contract's object for it."""
        marks = said["watermarks"]
        self.failed += said["error"] is not None
        self.marked += bool(marks)
        self.unmarked += said["error"] is None and not marks
        self.marks += len(marks)
        self.verified += any(mark["status"] == "verified" and not mark["transplanted"] for mark in marks)

    def add_earlier(self, earlier: Earlier) -> None:
        """One more file that an earlier run has read."""
        self.before += 1
        self.marked += earlier.marks > 0
        self.unmarked += earlier.marks == 0
        self.marks += earlier.marks
        self.verified += earlier.verified


def report_all(
    outcomes: Generator[DetectOutcome],
    marker: Watermarker,
    *,
    listing: Listing,
    total: int | None,
    counts: Counts,
    report: DetectReport | None,
    only_found: bool,
    candidates: bool,
    as_json: bool,
    verbose: bool,
    debug: bool,
) -> None:
    """Prints each outcome of the ``listing``, or ``only_found`` those with marks and errors, and a summary of all where
    there is a folder, with ``candidates`` the records that marks could be of; adds all of them to the ``counts`` of
    what was found before, and to the ``report``.

    ``total``: how many outcomes there will be, None where the end of the listing will tell.
    """
    started = monotonic()
    with progress("detecting", total) as advance, closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None and debug:
                raise outcome.error
            counts.add(outcome)
            message = None if outcome.error is None else error_line(str(outcome.source.location), outcome.error)
            if report is not None:
                report.add(outcome, model=marker.name, message=message, candidates=candidates)
            if message is not None:
                common.report(message)
            if outcome.readings or outcome.alike or message is not None or not only_found:
                report_one(
                    outcome, marker.name, message, folder=listing.has_folder, candidates=candidates, as_json=as_json
                )
            if verbose and outcome.findings is not None:
                for line in explain(str(outcome.source.location), outcome.findings, marker.keys):
                    typer.echo(line, err=True)
            advance(None, None if listing.total is None else listing.total - counts.before)
    common.say_unread(listing.unread)
    counts.unread = listing.unread.count
    if counts.unmarked and not counts.marked and not as_json:
        note_keys(marker)
    if listing.has_folder:
        typer.echo(summary_line(counts, monotonic() - started), err=True)


def summary_line(counts: Counts, seconds: float) -> str:
    """How many files of a folder carry marks, and how fast they were read.

    >>> summary_line(Counts(marked=3, marks=5, unmarked=1), 2.0)
    '3 with watermarks (5 in all), 1 without, 0 not read in 2.0 s, 2.0/s'
    >>> summary_line(Counts(marked=3, marks=5, before=3), 0.0)
    '3 with watermarks (5 in all), 0 without, 0 not read in 0.0 s; 3 of them read before'
    """
    files = counts.marked + counts.unmarked - counts.before
    text = f"{counts.marked} with watermarks ({counts.marks} in all), {counts.unmarked} without, "
    text += f"{counts.unread} of other kinds, " if counts.unread else ""
    text += f"{counts.failed} not read in {seconds:.1f} s"
    text += f", {files / max(seconds, 1e-3):.1f}/s" if files else ""
    return f"{text}; {counts.before} of them read before" if counts.before else text


def report_one(
    outcome: DetectOutcome, model: str, message: str | None, *, folder: bool, as_json: bool, candidates: bool = False
) -> None:
    """Prints one outcome; ``message``: the line on its error, ``folder``: as one of many."""
    if outcome.findings is not None and outcome.findings.reason is not None:
        warn(f"{show_name(str(outcome.source.location))}: {outcome.findings.reason}")
    said = outcome.to_dict(model=model, message=message, candidates=candidates)
    if as_json:
        common.print_json(said)
    elif outcome.findings is not None:
        name, several = show_name(str(outcome.source.location)), outcome.findings.registries > 1
        print_marks(name, said, folder=folder, several=several, hint=bool(outcome.candidates) and not candidates)


def print_marks(name: str, said: DetectObject, *, folder: bool, several: bool = False, hint: bool = False) -> None:
    """A line for a picture of a folder; else its marks, records that they could be of, and what looks alike, each as a
    table, or as blocks where that has no room; ``several`` registries were asked; ``hint`` that there are such records.
    """
    columns, marks, similar = terminal.width(), said["watermarks"], said.get("similar")
    label = _label_line(said["label"]) + _credentials_line(said.get("credentials"))
    label += "".join(f"; CONTRADICTED: {show_name(one)}" for one in said.get("contradictions", ()))
    if folder:
        alike = "" if similar is None else line_of(similar)
        could_be = f"; {HINT}" if hint else candidates_line(marks)
        typer.echo(picture_line(name, marks, columns, several=several) + label + could_be + alike)
        return
    count = f"{len(marks)} watermark{'s' if len(marks) > 1 else ''}" if marks else "no watermark"
    typer.echo(f"{name}: {count}{label}")
    if marks:
        _print_marks(marks, columns, several=several)
        print_candidates(marks, columns, several=several)
    if hint:
        typer.echo(HINT)
    if similar is not None:
        print_similar(similar, columns, several=several)


def _print_marks(marks: Sequence[WatermarkObject], columns: int | None, *, several: bool) -> None:
    rows = [cells(mark, several=several) for mark in marks]
    if columns is None or fits(rows, columns):
        print_table(rows)
        return
    for number, mark in enumerate(marks, start=1):
        typer.echo()
        typer.echo("\n".join(block(number, mark, columns, several=several)))


def _label_line(label: LabelObject | None) -> str:
    """What the label in the metadata says and whether a watermark says the same; nothing without a label."""
    if label is None:
        return ""
    by = label["producer"] or (label["source_type"] or "").rpartition("/")[2]
    said = ", ".join(filter(None, (by, " ".join(filter(None, (label["ai_system"], label["ai_version"]))))))
    verdict = {
        True: "the watermark agrees",
        False: "NO WATERMARK AGREES (was it marked with a key?)",
        None: "it names no watermark",
    }
    against = f", SAYS DIFFERENT THINGS OF {', '.join(label['conflicts'])}" if label["conflicts"] else ""
    return f"; label of {show_name(said)}: {verdict[label['agrees']]}{against}"


def _credentials_line(said: CredentialsObject | None) -> str:
    """The state of the manifest and whether it names the watermark that is there; nothing without one."""
    if said is None or said["state"] == "absent":
        return ""
    verdict = {True: ", names the watermark", False: ", NAMES ANOTHER WATERMARK", None: ""}[said["agrees"]]
    signer = f" by {show_name(said['signer'])}" if said["signer"] else ""
    why = f" ({show_name(said['problems'][0])})" if said["problems"] else ""
    return f"; manifest {said['state']}{signer}{verdict}{why}"
