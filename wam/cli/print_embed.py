"""What ``wam embed`` says of each file, and of a whole folder when it is done."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import typer

from wam.cli import common, terminal
from wam.cli.lines import note
from wam.cli.progress import progress
from wam.errors import show_name
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from wam.jobs.journal import Journal
    from wam.jobs.modes import MarkMode
    from wam.jobs.outcome import EmbedOutcome
    from wam.jobs.plan import Item

FEW = 3  # names that a note lists


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
    to_stdout: bool = False,
) -> bool:
    """Prints each outcome, and a ``summary`` of all; True when none of them is an error.

    Workers are done with their files when this returns. ``left_out``: inputs that were not taken; ``to_stdout``: the
    picture goes to standard output, so that all that is said goes to standard error.
    """
    counts: Counter[str] = Counter()
    written: list[Path] = []
    started = monotonic()
    try:
        with progress("embedding", len(items)) as advance, closing(outcomes):
            for outcome in outcomes:
                if outcome.error is not None and debug:
                    raise outcome.error
                counts[_kind(outcome)] += 1
                counts["replaced"] += outcome.result is not None and outcome.result.replaced
                report_one(run, outcome, folder=summary, as_json=as_json, to_stdout=to_stdout)
                if outcome.result is not None and isinstance(outcome.item.target, Path):
                    written.append(outcome.item.target)
                advance()
        counts["failed"] += not all_there(run.journal, written)
    finally:  # after Ctrl-C, too
        counts["marked"] = run.journal.noted  # with those that were under way when it was interrupted
        if summary:
            typer.echo(summary_line(counts, left_out, monotonic() - started, resume=resume), err=True)
    return not counts["failed"]


def all_there(journal: Journal, written: Sequence[Path]) -> bool:
    """Whether the outputs, and the manifest, are still where they were written; says so where they are not."""
    from wam.jobs.manifest import ManifestError

    gone = [show_name(str(place)) for place in written if not os.path.lexists(place)]
    if gone:
        common.report(
            f"{gone[0]}: expected the output to stay, found {len(gone)} of {len(written)} outputs gone: "
            f"{show_few(gone)}; mark them again"
        )
    try:
        if journal.manifest is not None:
            journal.manifest.require_place()
    except ManifestError as error:
        common.report(error)
        return False
    return not gone


def _kind(outcome: EmbedOutcome) -> str:
    if outcome.error is not None:
        return "failed"
    return "done before" if outcome.result is None else "marked"


def summary_line(counts: Counter[str], left_out: int, seconds: float, *, resume: bool) -> str:
    """How many files became what, and how fast.

    >>> summary_line(Counter({"marked": 3, "replaced": 1}), 2, 2.0, resume=False)
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


def report_one(run: MarkMode, outcome: EmbedOutcome, *, folder: bool, as_json: bool, to_stdout: bool = False) -> None:
    """Prints one outcome, and notes an error in the manifest; ``folder``: as one of many."""
    from wam.pipeline.contract import earlier_object

    values: Mapping[str, Any]
    if outcome.error is not None:
        message = error_line(str(outcome.item.source.location), outcome.error)
        common.report(message)
        values = run.fail(outcome.item, outcome.error, message)
    elif outcome.result is not None:
        values = outcome.result.to_dict()
    else:
        values = earlier_object(outcome.earlier or {})
    if as_json:
        common.print_json(values, err=to_stdout)
    elif outcome.result is not None:
        lines = marked_lines(values, terminal.width(), folder=folder)
        typer.echo("\n".join(lines), err=to_stdout)
    elif outcome.error is None:
        say_done_before(values)


def say_done_before(said: Mapping[str, Any]) -> None:
    """The line of a file that an earlier run has marked."""
    names = f"{show_name(str(said['image']))} -> {show_name(str(said['output']))}"
    typer.echo(f"{names}  {said['link'] or 'record'}  done before")


def marked_lines(said: Mapping[str, Any], columns: int | None, *, folder: bool) -> list[str]:
    """What became of one file: a line, or in a narrow terminal lines ``key: value``, of a folder's file a short line;
    the link is never cut."""
    quality = f"{said['psnr_db']:.1f} dB  SSIM {said['ssim']:.3f}"
    names = f"{show_name(said['image'])} -> {show_name(said['output'])}"
    notes = [f"not kept: {', '.join(said['lost'])}"] if said["lost"] else []
    notes += said["notes"]
    if columns is None or not terminal.is_narrow(columns):
        noted = "".join(f"  ({note})" for note in notes)
        return [f"{names}  {_content(said)}  {quality}  self-check passed{noted}"]
    if folder:
        line = f"{_content(said)}  {show_name(said['output'])}" + "".join(f"  ({note})" for note in notes)
        return [terminal.shortened(line, columns)]
    key = "link" if said["link"] else "mark"
    rows = [("marked", names), (key, _content(said)), ("quality", quality), ("self-check", "passed")]
    return terminal.block([*rows, *(("note", note) for note in notes)], None)


def _content(said: Mapping[str, Any]) -> str:
    """What was put in, for people."""
    marks = said.get("marks")
    if marks is None:
        return said["link"] or "-"
    return f"record in {marks['embedded']} marks, {marks['read']} read back, {marks['needed']} needed"
