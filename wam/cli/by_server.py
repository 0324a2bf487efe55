"""``--server``: the same commands, with the work done by a service."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from wam.cli import common, panels, terminal
from wam.cli.lines import warn
from wam.cli.progress import progress
from wam.errors import WamError, show_name
from wam.networks.strength import fields as amount_fields
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from wam.jobs.listing import Listing
    from wam.jobs.plan import Item, Source
    from wam.pipeline.contract import DetectObject, EmbedObject
    from wam.pipeline.options import MarkOptions
    from wam.service.client import Client

AT_ONCE = 2  # pictures that are with the service, unless --workers says otherwise

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        rich_help_panel=panels.RUNNING,
        help="Have wam serve at this URL do it, with its model and registry; $WAM_API_KEY is the key that it asks for.",
    ),
]
Given = TypeVar("Given")
Done = TypeVar("Done")


def refuse_with_server(**given: object) -> None:
    """Ends the command for options that say what a service decides itself, or that need the work to be done here."""
    for option, value in given.items():
        if value:
            name = option.replace("_", "-")
            common.fail(f"--server: expected it without --{name}, found both; the service decides, or leave it out")


def client_of(url: str) -> Client:
    """The service at a URL; or one error line and exit status 2."""
    from wam.service.client import Client

    try:
        return Client(url)
    except WamError as error:
        common.fail(f"--{error}")


def _model_of(client: Client) -> str:
    """The service's model: whoever cannot be asked for it cannot be asked for anything, which ends the command."""
    try:
        return client.model()
    except WamError as error:
        common.fail(error)


def detect_by_server(
    client: Client, listing: Listing, query: dict[str, Any], *, workers: int | None, only_found: bool, as_json: bool,
    debug: bool,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Prints what the service reads in each picture; how many carry marks, verified ones, none, or were not read."""
    from wam.cli.print_detect import print_marks
    from wam.pictures.storage import fetch
    from wam.pipeline.contract import detect_object

    def read(source: Source) -> DetectObject:
        if source.problem is not None:
            raise source.problem
        content, name = fetch(source.location)
        return client.detect(content, name, query)

    model = _model_of(client)
    marked = verified = unmarked = failed = marks = 0
    started = monotonic()
    with progress("detecting", listing.total) as advance:
        for source, outcome in _side_by_side(read, listing, workers or AT_ONCE):
            name = str(source.location)
            if isinstance(outcome, Exception):
                if debug:
                    raise outcome
                failed += 1
                line = error_line(name, outcome)
                common.report(line)
                if as_json:
                    common.print_json(detect_object(None, image=name, model=model, error=line))
                advance(None, listing.total)
                continue
            found = outcome["watermarks"]
            marked, unmarked, marks = marked + bool(found), unmarked + (not found), marks + len(found)
            verified += any(mark["status"] == "verified" and not mark["transplanted"] for mark in found)
            if outcome["reason"] is not None:
                warn(f"{show_name(name)}: {outcome['reason']}")
            if found or not only_found:
                if as_json:
                    common.print_json(outcome)
                else:
                    print_marks(show_name(name), outcome, folder=listing.has_folder)
            advance(None, listing.total)
    common.say_unread(listing.unread)
    if listing.has_folder:
        seconds = monotonic() - started
        text = f"{marked} with watermarks ({marks} in all), {unmarked} without, {failed} not read in {seconds:.1f} s"
        typer.echo(text, err=True)
    return marked, verified, unmarked, failed


def embed_by_server(
    client: Client, items: Sequence[Item], options: MarkOptions, *, workers: int | None, folder: bool, as_json: bool,
    to_stdout: bool, debug: bool, make_folders: bool,
) -> bool:  # fmt: skip
    """Has the service mark each picture, writes what comes back and prints it; True when none of them failed."""
    from wam.cli.print_embed import marked_lines
    from wam.pictures.files import format_of
    from wam.pictures.storage import fetch, write_content
    from wam.pipeline.contract import failed_object

    def mark(item: Item) -> EmbedObject:
        if item.problem is not None or item.record is None:
            raise ValueError(item.problem)
        content, name = fetch(item.source.location)
        target = os.fspath(item.target)
        suffix = PurePosixPath(target).suffix.lower()
        if suffix not in ("", ".wm"):
            format_of(target)  # refused before it is sent
        record = item.record.to_dict()
        fields = {
            "asset": record["asset"], "owner": record["owner"], "user": record["user"], "time": record["ingested_at"],
            "mode": options.mode, "label": options.label, "frames": options.frames, **amount_fields(options.strength),
            "quality": options.quality, "format": None if suffix in ("", ".wm") else suffix[1:],
        }  # fmt: skip
        said, marked = client.embed(content, name, fields)
        write_content(item.target, marked, make_folders=make_folders)
        return {**said, "image": str(item.source.location), "output": target}

    model = _model_of(client)
    count = failed = 0
    started = monotonic()
    with progress("embedding", len(items)) as advance:
        for item, outcome in _side_by_side(mark, items, workers or AT_ONCE):
            name = str(item.source.location)
            if isinstance(outcome, Exception):
                if debug:
                    raise outcome
                failed += 1
                line = error_line(name, outcome)
                common.report(line)
                if as_json:
                    said = failed_object(
                        image=name, mode=options.mode, record=item.record, model=model, error=outcome, message=line
                    )
                    common.print_json(said, err=to_stdout)
            else:
                count += 1
                if as_json:
                    common.print_json(outcome, err=to_stdout)
                else:
                    typer.echo("\n".join(marked_lines(outcome, terminal.width(), folder=folder)), err=to_stdout)
            advance()
    if folder:
        typer.echo(f"{count} marked, 0 skipped, {failed} failed in {monotonic() - started:.1f} s", err=True)
    return not failed


def _side_by_side(
    work: Callable[[Given], Done], given: Iterable[Given], count: int
) -> Iterator[tuple[Given, Done | Exception]]:
    """What ``work`` makes of each, or its error, in order; so many are under way at once."""

    def attempt(one: Given) -> Done | Exception:
        try:
            return work(one)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count, "wam-client") as pool:
        waiting: deque[tuple[Given, Any]] = deque()
        try:
            for one in given:
                waiting.append((one, pool.submit(attempt, one)))
                if len(waiting) > count:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
