"""``wam watch --server``: what a service does to the pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from wam.cli import common, terminal
from wam.cli.by_server import AT_ONCE, asked, client_of, marked_by, say_failed, side_by_side
from wam.cli.embed_options import mark_options
from wam.cli.embed_plan import open_manifest
from wam.cli.lines import warn
from wam.cli.watch_here import FOUND, cut_short, earlier_marks, items_of
from wam.cli.watched import Work
from wam.errors import WamError, show_name
from wam.models.effort import Effort
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from wam.jobs.plan import Fields, Item, Source
    from wam.pictures.storage import Location
    from wam.pipeline.contract import DetectObject, EmbedObject


@contextmanager
def marking_by_server(
    server: str, out: Location, fields: Callable[[Source], Fields], options: dict[str, Any], *, new_link: bool,
    follow_links: bool, workers: int | None, as_json: bool,
) -> Iterator[Work]:  # fmt: skip
    """Marking, with the manifest of the output folder. What was cut off is sent again: the service gives the same
    picture for the same record the same link."""
    from wam.cli.print_embed import marked_lines
    from wam.jobs.journal import Journal

    client = client_of(server)
    model = str(asked(client)["model"])
    with open_manifest(str(out), follow_links=follow_links) as manifest:
        assert manifest is not None
        journal = Journal(model, manifest, mark_options(key=None, **options))
        known, item_of = earlier_marks(manifest), items_of(out, fields, follow_links=follow_links)

        def mark(item: Item) -> EmbedObject:
            if item.problem is not None:
                raise ValueError(item.problem)
            return marked_by(client, item, journal, Counter(), new_link=new_link)

        def do(sources: Sequence[Source]) -> Iterator[tuple[Source, Exception | None]]:
            with closing(side_by_side(mark, map(item_of, sources), workers or AT_ONCE)) as outcomes:
                for item, outcome in outcomes:
                    if isinstance(outcome, Exception):
                        yield item.source, outcome
                        continue
                    manifest.done.pop(item.source.name, None)  # the next of that name is new
                    if as_json:
                        common.print_json(outcome)
                    else:
                        typer.echo("\n".join(marked_lines(outcome, terminal.width(), folder=True)))
                    yield item.source, None

        def fail(source: Source, error: Exception) -> None:
            said = say_failed(item_of(source), error, journal)
            if as_json:
                common.print_json(said)
            manifest.done.pop(source.name, None)

        yield Work(known, do, fail, "marked")


@contextmanager
def reading_by_server(server: str, out: Path, *, frames: bool, workers: int | None, as_json: bool) -> Iterator[Work]:
    """Reading, with a report in the output folder that earlier runs have begun."""
    from wam.cli.print_detect import print_marks
    from wam.jobs.detect_report import DetectReport
    from wam.pictures.storage import fetch
    from wam.pipeline.contract import detect_object

    client = client_of(server)
    about, how = asked(client), {**asdict(Effort()), "frames": frames}
    model = str(about["model"])
    try:
        settings = {"server": client.shown, "view": about["view"], "model": model, **how}
        report: DetectReport = DetectReport(out / FOUND, settings, resume=True, keys=(None,))
    except WamError as error:
        common.fail(error)

    def known(source: Source, state: str) -> bool:
        return report.earlier(source) is not None

    def read(source: Source) -> DetectObject:
        content, name = fetch(source.location)
        said = client.detect(content, name, how)
        halved = cut_short(source, said["reason"])
        if halved is not None:
            raise halved
        return said

    def say(source: Source, said: DetectObject) -> None:
        report.add_said(source, said)
        if said["reason"] is not None:
            warn(f"{show_name(said['image'])}: {said['reason']}")
        if as_json:
            common.print_json(said)
        elif said["error"] is None:
            print_marks(show_name(said["image"]), said, folder=True)

    def do(sources: Sequence[Source]) -> Iterator[tuple[Source, Exception | None]]:
        with closing(side_by_side(read, sources, workers or AT_ONCE)) as outcomes:
            for source, outcome in outcomes:
                if isinstance(outcome, Exception):
                    yield source, outcome
                else:
                    say(source, outcome)
                    yield source, None

    def fail(source: Source, error: Exception) -> None:
        name = str(source.location)
        line = error_line(name, error)
        common.report(line)
        say(source, detect_object(None, image=name, model=model, error=line))

    yield Work(known, do, fail, "read")
