"""What ``wam embed`` marks as what, under which names: all that would do harm ends the command before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from wam.cli import common
from wam.cli.choices import Engine
from wam.cli.lines import note, report
from wam.cli.print_embed import show_few
from wam.errors import WamError, show_name

if TYPE_CHECKING:
    from wam.jobs.manifest import Manifest
    from wam.jobs.plan import Fields, Item, Source

MOST_PROBLEMS = 20  # of a list that are said


@dataclass(frozen=True)
class Places:
    """Where is written: ``output`` a file, ``out_dir`` a folder with a manifest, or ``in_place``; none of them: beside
    the inputs. ``follow_links``: also where a link leads out of the folder."""

    output: str | None = None
    out_dir: str | None = None
    in_place: bool = False
    follow_links: bool = False


def check_options(engine: Engine, address: str | None, out_dir: str | None, resume: bool) -> None:
    """Ends the command for options that need others beside them."""
    common.check_engine(engine, address)
    for option, wanted in (("--resume", resume), ("--engine ray", engine is Engine.RAY)):
        if wanted and out_dir is None:
            common.fail(f"{option}: expected --out-dir with it, whose manifest it needs, found none; add it")


def record_fields(
    asset: str | None,
    asset_from: str | None,
    owner: str | None,
    user: str | None,
    time: str | None,
    *,
    backslashes: bool,
) -> Callable[[Source], Fields]:
    """Gives the record's fields of each file; what is wrong for all of them ends the command."""
    from wam.jobs.asset_list import asset_from_list, asset_from_name
    from wam.jobs.plan import Fields

    if (asset is None) == (asset_from is None):
        found = "neither" if asset is None else "both"
        common.fail(f"asset: expected --asset or --asset-from, found {found}; give one; see wam embed --help")
    fields = Fields(asset, owner, user, time)
    kind, _, name = (asset_from or "").partition(":")
    try:
        if asset is not None:
            fields.record()
        else:  # what the list or the name adds is checked file by file
            Fields("any", "any" if owner is None and kind == "csv" else owner, user, time).record()
        if asset is not None:
            return lambda source: fields
        if asset_from == "name":
            return asset_from_name(fields)
        if kind == "csv" and name:
            return asset_from_list(Path(name), fields, backslashes=backslashes)
    except (WamError, ValueError) as error:
        common.fail(error)
    common.fail(f"--asset-from: expected name or csv:FILE, found {asset_from}; choose one")


def plan_files(images: list[str], places: Places, fields: Callable[[Source], Fields]) -> tuple[list[Item], int]:
    """What becomes of which file, and how many earlier outputs among the inputs are left out; an output that would do
    harm ends the command before anything is written."""
    from wam.jobs.plan import (
        find_sources,
        find_targets,
        leave_out_outputs,
        output_folders,
        plan_records,
        refuse_links_out,
    )
    from wam.pictures.storage import locate

    file, folder = (None if name is None else locate(name) for name in (places.output, places.out_dir))
    try:
        found = find_sources(images, without=[] if folder is None else [folder])
        sources, left_out = leave_out_outputs(found, images)
        targets = find_targets(sources, output=file, out_dir=folder, in_place=places.in_place)
        if file is None and not places.follow_links:
            refuse_links_out(targets, output_folders(images, out_dir=folder, in_place=places.in_place))
        items = plan_records(sources, targets, fields)
    except WamError as error:
        common.fail(error)
    if left_out:
        names = show_few([str(source.location) for source in left_out])
        note(f"skipped {len(left_out)} earlier outputs (.wm.) beside their originals: {names}; name one to mark it too")
    return items, len(left_out)


def folder_of_copies(output: str | None, out_dir: str | None) -> str:
    """The folder that copies are written to, by either option."""
    if (output is None) == (out_dir is None):
        found = "neither" if output is None else "both"
        common.fail(f"--recipients: expected -o DIR or --out-dir DIR with it, found {found}; give one")
    return output or out_dir or ""


def refuse_with_recipients(given: Mapping[str, object]) -> None:
    """Ends the command for options that a list of recipients leaves no place for."""
    for option, value in given.items():
        if value:
            common.fail(f"--recipients: expected it without --{option}, found both; leave one of them out")


def plan_copies(images: list[str], recipients: Path, places: Places, fields: Fields) -> list[Item]:
    """The copies of a picture; whatever is wrong with the list ends the command, with a line for each problem."""
    from wam.jobs.plan import find_sources, refuse_inputs, refuse_links_out
    from wam.jobs.recipients import ListError
    from wam.jobs.recipients import plan_copies as plan
    from wam.pictures.storage import locate

    folder = locate(places.out_dir or "")
    try:
        sources = find_sources(images)
        if len(sources) != 1 or sources[0].location == "-":
            found = "standard input" if len(sources) == 1 else f"{len(sources)} pictures"
            common.fail(f"--recipients: expected one picture in a file, found {found}; take them one by one")
        copies = plan(recipients, sources[0], folder, fields)
        targets = [item.target for item in copies.items]
        refuse_inputs(targets, sources, "choose another folder")
        if not places.follow_links:
            refuse_links_out(targets, [folder])
    except ListError as error:
        _fail_with(error.problems)
    except WamError as error:
        common.fail(error)
    if copies.empty:
        note(f"{show_name(str(recipients))}: {copies.empty} empty lines left out")
    return copies.items


def _fail_with(problems: Sequence[str]) -> NoReturn:
    """Ends the command with a line for each problem, as far as they are not too many."""
    for problem in problems[:MOST_PROBLEMS]:
        report(problem)
    more = len(problems) - MOST_PROBLEMS
    if more > 0:
        note(f"and {more} more problems; nothing was marked")
    raise typer.Exit(2)


def clean_up(items: list[Item]) -> None:
    """Removes what runs that were killed left in the folders that are written to."""
    from wam.pictures.atomic_write import sweep

    for folder in {item.target.parent for item in items if isinstance(item.target, Path)}:
        sweep(folder)


def open_manifest(out_dir: str | None, *, follow_links: bool) -> Manifest | nullcontext[None]:
    """The manifest of the output folder, which is made."""
    from wam.jobs.manifest import Manifest
    from wam.pictures.storage import locate

    if out_dir is None:
        return nullcontext()
    folder = locate(out_dir)
    if isinstance(folder, Path):
        common.make_folder(folder)
    try:
        return Manifest(folder, follow_links=follow_links)
    except WamError as error:
        common.fail(error)
