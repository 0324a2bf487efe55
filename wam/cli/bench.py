"""``wam bench``: measure quality, robustness, localisation, false positives and cost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wam.cli import common, panels
from wam.cli.choices import Cost, Device
from wam.cli.fitted_table import fitted_table
from wam.cli.garbage import collect_as_usual
from wam.cli.progress import progress
from wam.models.catalogue import DEFAULT
from wam.packages import require_for

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from wam.bench.photos import ImageSet
    from wam.bench.results import Result
    from wam.bench.session import Outcome
    from wam.bench.summary import Line
    from wam.networks.strength import Amount


def bench(
    attacks: Annotated[
        str | None,
        typer.Option(
            metavar="all|wam|adversary|NAME[,NAME...]",
            help="Rows to measure: all (the whole protocol), wam (the WAM paper's), a group (valuemetric, geometric, "
            "splicing, combined, multi), adversary (removing and forging, with the price), unmarked, or names "
            "such as jpeg=80,rotate=10,multi=3; + joins steps, as in "
            "jpeg=80+crop=0.5. Default: all, or none with --negatives or --visibility.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos to mark. Default: six that come with the package.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=panels.OUTPUT,
            metavar="DIR",
            help="Write report.html, report.md, report.csv, metrics.json, results.jsonl and plots.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N photos.")] = None,
    seed: Annotated[int, typer.Option(help="Of words, places and noise.")] = 0,
    visibility: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=panels.OUTPUT,
            metavar="DIR",
            help="Write what the marks look like: each picture's smoothest part before and after, the worst first, "
            "with ColorVideoVDP and FLIP, as visibility.html, visibility.csv, contact-sheet.jpg and the marked files.",
        ),
    ] = None,
    strength: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DB[,...]",
            help="gentle, normal, strong or a PSNR in dB to mark at; several give robustness against PSNR.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Also measure invisible-watermark, blind-watermark or one of their methods."),
    ] = None,
    negatives: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Unmarked pictures: count false alarms, and try a wrong key.")
    ] = None,
    cost: Annotated[
        Cost | None,
        typer.Option(
            help="Speed and memory: short is 256 and 1024 px one by one, full adds 4096 px and batches of 8. "
            "Default: short with --attacks all, else none.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            metavar="PX",
            help="Reduce photos to this short side. Default: 512 for the packaged, else none.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", rich_help_panel=panels.RUNNING, help="Processes. Default: one per core."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,  # the spelling of 0.2.0
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            rich_help_panel=panels.PRINTING,
            help="One JSON object per photo on standard output, instead of the table.",
        ),
    ] = False,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    debug: common.DebugOption = False,
) -> None:
    """Measure a model: PSNR, marks found, bits, words, records, masks, under the attacks of the protocol.

    Interrupted runs with --out go on where they stopped. Exit status 1: some photo or attack failed, and is named.

    Example: wam bench --attacks wam --limit 2 --out report
    """
    rows = attacks if attacks is not None else "" if negatives or visibility else "all"
    chosen_cost = cost or ("short" if rows == "all" else "none")
    require_for("wam bench")
    measures = bool(rows or negatives or chosen_cost != "none")  # more than what marks look like
    if out is not None and not measures:
        common.fail(
            "--out: expected something to measure, found --visibility alone, which has its own folder; name --attacks"
        )
    if out is not None:
        require_for("wam bench --out")
    if chosen_cost != "none":
        require_for("wam bench --cost")
    from functools import partial

    import torch

    from wam.bench.contenders import build_marker
    from wam.bench.peers import choose_peers
    from wam.bench.session import Options, run
    from wam.bench.visibility import look_at_all
    from wam.bench.visibility_page import write_files
    from wam.cli.print_visibility import print_visibility
    from wam.models.zoo import choose_device

    collect_as_usual(keep=True)  # what is measured is measured as Python usually runs
    torch.set_num_threads(1)  # as in each worker: sums depend on it, and any number of workers gives the same table
    if jobs is not None:
        common.hint("--jobs", "--workers")
        workers = workers or jobs
    strengths = _strengths(strength)
    peers = choose_peers(against or [])
    chosen = choose_device(device)
    options = Options(
        attacks=rows,
        images=_image_set(images, size),
        negatives=None if negatives is None else _image_set(negatives, size),
        strengths=strengths,
        seed=seed,
        limit=limit,
        cost=chosen_cost,
        workers=workers,
        device=chosen,
        model=model,
        command="wam bench " + " ".join(sys.argv[2:]),
        peers=peers,
    )
    for folder in (out, visibility):
        if folder is not None:
            common.make_folder(folder)
    build = partial(build_marker, model, chosen)
    console = _console()
    results: list[Result] = []
    failures: list[str] = []
    if measures:
        with progress("measuring", None) as advance:
            outcome = run(options, build, out, progress=advance)
        results += outcome.results
        failures += outcome.report.failures
        if not as_json:
            _print_tables(console, outcome, out)
    if visibility is not None:
        with progress("looking", None) as advance:
            report = look_at_all(options, build, visibility, progress=advance)
        files = write_files(visibility, report)
        results += [look.result for look in report.looks] + report.failed
        failures += report.failures
        if not as_json:
            if measures:
                console.print()
            print_visibility(console, report, visibility, files)
    if as_json:
        _print_json(results)
    for line in failures:
        common.report(line)
    if failures:
        raise typer.Exit(1)


def _strengths(text: str | None) -> tuple[Amount, ...]:
    from wam.networks.strength import parsed

    if text is None:
        return ()
    try:
        return tuple(dict.fromkeys(parsed(part.strip()) for part in text.split(",")))
    except ValueError as error:
        common.fail(f"--strength: expected names or dB such as gentle,normal or 38,42,46, found {text}; {error}")


def _image_set(folder: Path | None, size: int | None) -> ImageSet:
    from wam.bench.photos import PACKAGED_SIZE, ImageSet

    if folder is None:
        return ImageSet.packaged(size=size or PACKAGED_SIZE)
    return ImageSet.of([str(folder)], size=size)


def _console() -> Console:
    """Standard output, of a fixed width where it is no terminal."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=160)


def _print_json(results: list[Result]) -> None:
    """One object for each photo, in the order of the set: its quality and what became of it in each row."""
    photos: dict[str, dict[str, Any]] = {}
    for result in sorted(results, key=lambda result: result.number):
        one = photos.setdefault(result.key.photo, {"image": result.key.photo, "results": [], "error": None})
        values = result.to_dict()
        values.pop("photo")
        values.pop("number")
        one["results"].append(values)
        if result.error is not None:
            one["error"] = "; ".join(filter(None, [one["error"], f"{result.key.row}: {result.error}"]))
    for one in photos.values():
        common.print_json(one)


def _print_tables(console: Console, outcome: Outcome, out: Path | None) -> None:
    """Groups, then attacks, a line for those of a group where nothing failed, then what should not have been found."""
    from wam.bench.adversary_lines import ADVERSARY_LEGEND, adversary_table
    from wam.bench.perception import how_to_install
    from wam.bench.report import LEGEND, entrant, quality_text
    from wam.bench.summary import split_clean

    report = outcome.report
    several = len({entrant(line) for line in report.rows}) > 1
    clean, rest = split_clean(report.rows)
    for lines, first in ((report.groups, "group"), (report.kinds, "kind"), (rest, "attack")):
        if lines:
            console.print(_line_table(lines, first, several=several, columns=console.width))
            console.print()
    for rows in clean:
        name = f"{entrant(rows)}, {rows.group}" if several else rows.group
        console.print(f"{name}, {rows}", highlight=False)
    if clean:
        console.print()
    if report.adversaries:
        heads, cells = adversary_table(report.adversaries)
        cells_by_head = [dict(zip(heads, row, strict=True)) for row in cells]
        spared = [name for name in ("seconds", "SSIM", "queries", "silent", "contender") if name in heads]
        columns = console.width
        console.print(
            fitted_table({n: n for n in heads}, cells_by_head, spared=spared, texts=heads[:2], columns=columns)
        )
        console.print(ADVERSARY_LEGEND, style="dim", highlight=False)
    if report.rows:
        console.print(LEGEND, style="dim", highlight=False)
    for quality in report.quality:
        console.print(quality_text(quality), highlight=False)
    if report.quality and report.absent:
        console.print(how_to_install(report.absent), highlight=False, markup=False)
    for null in report.nulls:
        if null.pictures:
            pictures = f"{null.pictures} picture{'' if null.pictures == 1 else 's'}"
            interval = f"{null.rate:.2%}, 95% interval {null.low:.2%} to {null.high:.2%}"
            console.print(
                f"{null.contender} {null.row}: {null.alarms} false alarms in {pictures} ({interval})",
                highlight=False,
            )
    for cost in report.costs:
        if cost.error is None:
            memory = "memory unknown" if cost.peak_mb is None else f"{cost.peak_mb:.0f} MB"
            console.print(
                f"{cost}: {cost.images_per_second:.3g} images/s, {memory}",
                highlight=False,
            )
    facts = report.facts
    console.print(f"{facts['models']} · {facts['images']} · {facts['device']} · seed {facts['seed']}", highlight=False)
    written = f"{out}: report.html, report.md, report.csv, metrics.json, results.jsonl, {len(report.plots)} plots"
    console.print(written if out else "--out DIR keeps this, with plots and every photo's figures", highlight=False)


# Columns that a narrow terminal does without, the first first: a name that is cut short names nothing.
_SPARED = ("psnr_db", "photos", "lowest_db", "worst", "margin_db", "iou", "group", "bits", "words")


def _line_table(lines: list[Line], first: str, *, several: bool, columns: int) -> Table:
    """Lines as a table of at most so many columns, whole cells, as long as the most important ones fit."""
    from wam.bench.report import COLUMNS, cell, entrant

    names = {"contender": "contender"} if several else {}
    names |= {"group": "group", "attack": "attack"} if first == "attack" else {"group": first}
    heads = {**names, **COLUMNS}
    own: dict[str, Callable[[Line], str]] = {
        "contender": entrant,
        "group": lambda line: line.group,
        "attack": lambda line: line.row,
    }
    rows = [
        {name: own[name](line) if name in own else cell(name, getattr(line, name)) for name in heads} for line in lines
    ]
    spared = [name for name in _SPARED if first == "attack" or name != "group"]
    return fitted_table(heads, rows, spared=spared, texts=own, columns=columns)
