"""``wam detect --out``: reports of a run, for programs and for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wam.cli import common, panels
from wam.errors import WamError, show_name

if TYPE_CHECKING:
    from wam.jobs.detect_report import DetectReport

LINES = ".jsonl"

OutOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--out",
        metavar="FILE",
        rich_help_panel=panels.OUTPUT,
        help="Write a report: FILE.jsonl (a line for each picture as --json prints it, as soon as it is read), "
        "FILE.csv (a row for each mark) or FILE.html (a page with thumbnails, to be sorted). Several may be given.",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        rich_help_panel=panels.OUTPUT,
        help="Go on with the report --out FILE.jsonl: skip pictures that it has, if they are still so and were read in "
        "the same way; read the rest.",
    ),
]
OnlyFoundOption = Annotated[
    bool,
    typer.Option(
        "--only-found",
        rich_help_panel=panels.PRINTING,
        help="Leave pictures without a watermark out of what is printed, and of CSV and HTML.",
    ),
]


def check_outs(outs: Sequence[Path], *, resume: bool) -> None:
    """Ends the command for reports that cannot be written as asked."""
    if not outs and not resume:
        return  # pages for people draw and measure: nobody else waits for what they need
    from wam.jobs.report_pages import WRITERS
    from wam.pictures.storage import is_url

    known = (LINES, *WRITERS)
    lines = [out for out in outs if out.suffix.lower() == LINES]
    for out in outs:
        name = show_name(str(out))
        if is_url(str(out)) or str(out).partition(":/")[1]:
            common.fail(f"--out: expected a file of this machine, found {name}; write it here and copy it")
        if out.suffix.lower() not in known:
            common.fail(f"--out: expected a name ending in {', '.join(known)}, found {name}; choose one of these")
        if not out.absolute().parent.is_dir():
            common.fail(f"--out: expected a folder to write to, found none for {name}; make it first")
        if out.exists() and not resume:
            common.fail(f"--out: expected a new file, found {name} there; add --resume or choose another")
    if len(lines) > 1 or len({out.absolute() for out in outs}) < len(outs):
        common.fail("--out: expected one report of each kind, found several; leave one out")
    if resume and not lines:
        common.fail("--resume: expected --out FILE.jsonl, which it goes on with, found none; add it")


@contextmanager
def opened(
    outs: Sequence[Path],
    settings: Mapping[str, Any],
    *,
    keys: Sequence[bytes | None],
    resume: bool,
    only_found: bool,
) -> Iterator[DetectReport | None]:
    """The report that pictures are added to, None where none is wanted; pages for people are made of it at the end."""
    if not outs:
        yield None
        return
    from wam.jobs.detect_report import DetectReport
    from wam.jobs.report_pages import only_found as found_rows
    from wam.jobs.report_pages import write_page

    lines = next((out for out in outs if out.suffix.lower() == LINES), None)
    with TemporaryDirectory(prefix="wam-") if lines is None else nullcontext("") as folder:
        try:
            report = DetectReport(lines or Path(folder, "report.jsonl"), settings, resume=resume, keys=keys)
        except WamError as error:
            common.fail(error)
        yield report
        for out in outs:
            if out != lines:
                counted = (
                    out.suffix.lower() != ".csv"
                )  # a page leaves pictures without a mark out, but for their number
                write_page(out, found_rows(report.rows()) if only_found and not counted else report.rows())
