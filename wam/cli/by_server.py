"""``--server``: the same commands, with the work done by a service."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from wam.cli import common, panels, terminal
from wam.cli.garbage import collect_as_usual
from wam.cli.lines import warn
from wam.cli.progress import progress
from wam.errors import WamError, mask_secrets, show_name
from wam.networks.strength import fields as amount_fields
from wam.pipeline.error_line import error_line
from wam.provenance.disclosure import form_fields as label_fields

if TYPE_CHECKING:
    from wam.cli.print_detect import Counts
    from wam.jobs.detect_report import DetectReport
    from wam.jobs.journal import Journal
    from wam.jobs.listing import Listing
    from wam.jobs.plan import Item, Source
    from wam.pipeline.contract import DetectObject, EmbedObject
    from wam.service.client import Client

    DrawSaid = Callable[[int, bytes, str, DetectObject, Sequence[bytes]], None]

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

    collect_as_usual(keep=True)  # no model is loaded here
    try:
        return Client(url)
    except WamError as error:
        common.fail(f"--{error}")


def asked(client: Client) -> dict[str, Any]:
    """What the service says of itself: whoever cannot be asked for it cannot be asked for anything, which ends the
    command."""
    try:
        return client.about()
    except WamError as error:
        common.fail(error)


def detect_by_server(
    client: Client, sources: Iterable[Source], query: dict[str, Any], *, model: str, listing: Listing, counts: Counts,
    report: DetectReport | None, draw: DrawSaid | None, masks: bool, workers: int | None, only_found: bool,
    as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Prints what the service reads in each of the ``sources`` of a ``listing``, and adds it to ``counts`` and
    ``report``; ``draw`` is given the place of each among the sources, its content and its name, what was read, and with
    ``masks`` each mark's."""
    from wam.cli.print_detect import print_marks, summary_line
    from wam.pictures.storage import fetch
    from wam.pipeline.contract import detect_object

    def read(given: tuple[int, Source]) -> DetectObject:
        place, source = given
        if source.problem is not None:
            raise source.problem
        content, name = fetch(source.location)
        found, drawn = client.masks(content, name, query) if masks else (client.detect(content, name, query), [])
        if draw is not None:
            draw(place, content, name, found, drawn)
        return found

    started = monotonic()
    with progress("detecting", listing.total) as advance:
        for (_, source), outcome in side_by_side(read, enumerate(sources), workers or AT_ONCE):
            name = str(source.location)
            if isinstance(outcome, Exception):
                if debug:
                    raise outcome
                line = error_line(name, outcome)
                said = detect_object(None, image=name, model=model, error=line)
                common.report(line)
            else:
                said = outcome
            counts.add_said(said)
            if report is not None:
                report.add_said(source, said)
            if said["reason"] is not None:
                warn(f"{show_name(name)}: {said['reason']}")
            found = bool(said["watermarks"] or said.get("similar", {}).get("pictures"))
            if as_json and (found or said["error"] is not None or not only_found):
                common.print_json(said)
            elif said["error"] is None and (found or not only_found):
                print_marks(show_name(name), said, folder=listing.has_folder)
            advance(None, None if listing.total is None else listing.total - counts.before)
    common.say_unread(listing.unread)
    counts.unread = listing.unread.count
    if listing.has_folder:
        typer.echo(summary_line(counts, monotonic() - started), err=True)


def embed_by_server(
    client: Client, items: Sequence[Item], journal: Journal, *, new_link: bool, source_type: str | None = None,
    workers: int | None, left_out: int, summary: bool, resume: bool, as_json: bool, to_stdout: bool, debug: bool,
) -> bool:  # fmt: skip
    """Has the service mark each picture, writes what comes back, enters it in the ``journal`` and prints it; True when
    none of them failed. ``resume`` skips what the journal knows as done."""
    from wam.cli.print_embed import all_there, marked_lines, say_done_before, summary_line
    from wam.pipeline.contract import earlier_object

    counts: Counter[str] = Counter()
    written: list[Path] = []
    started = monotonic()

    def mark(item: Item) -> tuple[str, EmbedObject]:
        if item.problem is not None or item.record is None:
            raise ValueError(item.problem)
        earlier = journal.finished(item) if resume else None
        if earlier is not None:
            return "done before", earlier_object(earlier)
        return "marked", marked_by(client, item, journal, counts, new_link=new_link, source_type=source_type)

    try:
        with progress("embedding", len(items)) as advance:
            for item, outcome in side_by_side(mark, items, workers or AT_ONCE):
                if isinstance(outcome, Exception):
                    if debug:
                        raise outcome
                    kind, said = "failed", say_failed(item, outcome, journal)
                else:
                    kind, said = outcome
                    if kind == "marked" and isinstance(item.target, Path):
                        written.append(item.target)
                counts[kind] += 1
                if as_json:
                    common.print_json(said, err=to_stdout)
                elif kind == "marked":
                    typer.echo("\n".join(marked_lines(said, terminal.width(), folder=summary)), err=to_stdout)
                elif kind == "done before":
                    say_done_before(said)
                advance()
        counts["failed"] += not all_there(journal, written)
    finally:  # after Ctrl-C, too
        counts["marked"] = journal.noted
        if summary:
            typer.echo(summary_line(counts, left_out, monotonic() - started, resume=resume), err=True)
    return not counts["failed"]


def say_failed(item: Item, error: Exception, journal: Journal) -> EmbedObject:
    """Prints why a picture was not marked, and enters that; the object for it."""
    from wam.pipeline.contract import failed_object

    name = str(item.source.location)
    line = error_line(name, error)
    said = failed_object(
        image=name, mode=journal.options.mode, record=item.record, model=journal.model, error=error, message=line
    )
    journal.fail(item, said)
    common.report(line)
    return said


def marked_by(
    client: Client,
    item: Item,
    journal: Journal,
    counts: Counter[str],
    *,
    new_link: bool,
    source_type: str | None = None,
) -> EmbedObject:
    """Has one picture marked, writes it and enters it."""
    from wam.pictures.files import format_of
    from wam.pictures.storage import digest_of, exists, fetch, write_content

    content, name = fetch(item.source.location)
    target, options = os.fspath(item.target), journal.options
    suffix = PurePosixPath(target).suffix.lower()
    if suffix not in ("", ".wm"):
        format_of(target)  # refused before it is sent
    assert item.record is not None
    record = item.record.to_dict()
    fields = {
        "asset": record["asset"], "owner": record["owner"], "user": record["user"],
        "time": record["ingested_at"] if item.timed else None, "mode": options.mode, **label_fields(options.disclosure),
        "frames": options.frames, **amount_fields(options.strength), "quality": options.quality,
        "format": None if suffix in ("", ".wm") else suffix[1:], "new_link": new_link,
    }  # fmt: skip
    if options.c2pa:
        fields |= {"c2pa": "true", **({} if source_type is None else {"source_type": source_type})}
    said, marked = client.embed(content, name, fields)
    replaced = item.target != item.source.location and exists(item.target)
    write_content(item.target, marked, make_folders=journal.manifest is not None)
    notes = [*(said["notes"] or []), *journal.notes(item, replaced=replaced)]
    said = {**said, "image": mask_secrets(str(item.source.location)), "output": mask_secrets(target), "notes": notes}
    journal.enter(item, said, sha256=digest_of(marked))
    counts["replaced"] += replaced
    return said


def side_by_side(
    work: Callable[[Given], Done], given: Iterable[Given], count: int
) -> Generator[tuple[Given, Done | Exception]]:
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
