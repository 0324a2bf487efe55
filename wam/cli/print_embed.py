"""What ``wam embed`` says of each file, and of a whole folder when it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING, Any

import typer

from wam.cli import common, terminal
from wam.cli.progress import progress
from wam.errors import show_name

if TYPE_CHECKING:
    from wam.jobs.journal import Journal
    from wam.jobs.modes import MarkMode
    from wam.jobs.outcome import EmbedOutcome, EmbedResult
    from wam.jobs.plan import Item

MANIFEST_ONLY = ("path", "status", "at", "sha256", "source", "settings")  # of a line, beside the contract's object
FEW = 3  # names that a note lists


def note(message: str) -> None:
    """One line on standard error of what is no error."""
    typer.echo(f"note: {show_name(message)}", err=True)


def show_few(names: Sequence[str]) -> str:
    """The first names, and how many there are beyond."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def note_changes(journal: Journal, items: Sequence[Item]) -> None:
    """Says before anything is done which files are marked again for their settings."""
    changed = Counter(changes for item in items if item.problem is None and (changes := journal.changes(item)))
    for changes, count in changed.items():
        files = "1 file was" if count == 1 else f"{count} files were"
        note(f"{files} marked otherwise ({', '.join(changes)}) and will be marked again")


def report_all(
    run: MarkMode,
    outcomes: Generator[EmbedOutcome],
    items: Sequence[Item],
    left_out: int,
    *,
    summary: bool,
    resume: bool,
    as_json: bool,
    debug: bool,
) -> bool:
    """Prints each outcome, and a ``summary`` of all; True when none of them is an error.

    Workers are done with their files when this returns. ``left_out``: inputs that were not taken.
    """
    counts: Counter[str] = Counter()
    started = monotonic()
    try:
        with progress("embedding", len(items)) as advance, closing(outcomes):
            for outcome in outcomes:
                if outcome.error is not None and debug:
                    raise outcome.error
                counts[_kind(outcome)] += 1
                counts["replaced"] += outcome.result is not None and outcome.result.replaced
                _report(run, outcome, folder=summary, as_json=as_json)
                advance()
    finally:  # after Ctrl-C, too
        counts["marked"] = run.journal.noted  # with those that were under way when it was interrupted
        if summary:
            typer.echo(_summary(counts, left_out, monotonic() - started, resume=resume), err=True)
    return not counts["failed"]


def _kind(outcome: EmbedOutcome) -> str:
    if outcome.error is not None:
        return "failed"
    return "done before" if outcome.result is None else "marked"


def _summary(counts: Counter[str], left_out: int, seconds: float, *, resume: bool) -> str:
    """How many files became what, and how fast.

    >>> _summary(Counter({"marked": 3, "replaced": 1}), 2, 2.0, resume=False)
    '3 marked, 2 skipped, 0 failed in 2.0 s, 1.5/s; 1 took the place of an earlier output (--resume keeps what is done)'
    """
    skipped = counts["done before"] + left_out
    text = f"{counts['marked']} marked, {skipped} skipped, {counts['failed']} failed in {seconds:.1f} s"
    if counts["marked"]:
        text += f", {counts['marked'] / max(seconds, 1e-3):.1f}/s"
    if counts["replaced"]:
        hint = "" if resume else " (--resume keeps what is done)"
        text += f"; {counts['replaced']} took the place of an earlier output{hint}"
    return text


def _report(run: MarkMode, outcome: EmbedOutcome, *, folder: bool, as_json: bool) -> None:
    values: Mapping[str, Any]
    if outcome.error is not None:
        message = common.about(outcome.item.source.location, outcome.error)
        common.report(message)
        values = run.fail(outcome.item, outcome.error, message)
    elif outcome.result is not None:
        values = outcome.result.to_dict()
    else:
        values = {name: value for name, value in (outcome.earlier or {}).items() if name not in MANIFEST_ONLY}
    if as_json:
        common.print_json(values)
    elif outcome.result is not None:
        typer.echo("\n".join(marked_lines(outcome.result, terminal.width(), folder=folder)))
    elif outcome.error is None:
        content = values["link"] or "record"
        typer.echo(f"{show_name(str(values['image']))} -> {show_name(str(values['output']))}  {content}  done before")


def marked_lines(result: EmbedResult, columns: int | None, *, folder: bool) -> list[str]:
    """What became of one file: a line, or in a narrow terminal lines ``key: value``, of a folder's file a short line;
    the link is never cut."""
    report = result.report
    quality = f"{report.psnr_db:.1f} dB  SSIM {report.ssim:.3f}"
    names = f"{show_name(result.image)} -> {show_name(result.output)}"
    notes = [f"not kept: {', '.join(report.lost)}"] if report.lost else []
    notes += [*report.notes, *result.notes]
    if columns is None or not terminal.is_narrow(columns):
        said = "".join(f"  ({note})" for note in notes)
        return [f"{names}  {_content(result)}  {quality}  self-check passed{said}"]
    if folder:
        line = f"{_content(result)}  {show_name(result.output)}" + "".join(f"  ({note})" for note in notes)
        return [terminal.shortened(line, columns)]
    key = "link" if report.marks is None else "mark"
    rows = [("marked", names), (key, _content(result)), ("quality", quality), ("self-check", "passed")]
    return terminal.block([*rows, *(("note", note) for note in notes)], None)


def _content(result: EmbedResult) -> str:
    """What was put in, for people."""
    marks = result.report.marks
    if marks is None:
        return result.report.link or "-"
    return f"record in {len(result.report.words)} marks, {marks.read} read back, {marks.needed} needed"
