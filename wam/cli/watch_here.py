"""What ``wam watch`` does to pictures on this machine: mark them, or read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wam.cli import common
from wam.cli.embed_options import mark_options
from wam.cli.embed_plan import open_manifest
from wam.cli.watched import Work
from wam.errors import ImageError, WamError
from wam.models.effort import Effort
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from payload.registry import Registry
    from wam.jobs.detect_report import DetectReport
    from wam.jobs.manifest import Manifest
    from wam.jobs.modes import MarkMode
    from wam.jobs.plan import Fields, Item, Source
    from wam.pictures.storage import Location
    from wam.watermarker import Watermarker

FOUND = "found.jsonl"  # below the folder that is written to


def earlier_marks(manifest: Manifest) -> Callable[[Source, str], bool]:
    """Whether an earlier run has marked a file in this state, or moved it aside. Of its lines no more is kept; what was
    begun is taken up again."""
    marked = {
        name: line.get("source") for name, line in manifest.done.items() if line.get("status") in ("marked", "failed")
    }
    for name in marked:
        del manifest.done[name]

    def known(source: Source, state: str) -> bool:
        return marked.pop(source.name, None) == state

    return known


def items_of(out: Location, fields: Callable[[Source], Fields], *, follow_links: bool) -> Callable[[Source], Item]:
    """What is made of a file: where it goes, and its record."""
    from wam.jobs.plan import Item, PlanError, refuse_links_out
    from wam.pictures.storage import join

    def item_of(source: Source) -> Item:
        target = join(out, source.name)
        try:
            if not follow_links:
                refuse_links_out([target], [out])
            values = fields(source)
            return Item(source, target, values.record(), timed=bool(values.time))
        except (ValueError, PlanError) as error:
            return Item(source, target, None, problem=str(error))

    return item_of


def cut_short(source: Source, reason: str | None) -> ImageError | None:
    """The error of a file of which not all is there: it may still be on its way."""
    from wam.pipeline.read import CUT_SHORT

    if reason is None or CUT_SHORT not in reason:
        return None
    return ImageError.about(str(source.location), expected="a whole file", found=reason, remedy="copy it again")


@contextmanager
def marking(
    load: Callable[[], Watermarker], out: Location, registry: str | None, fields: Callable[[Source], Fields],
    options: dict[str, Any], *, key: bytes | None, new_link: bool, follow_links: bool, workers: int | None,
    as_json: bool,
) -> Iterator[Work]:  # fmt: skip
    """Marking, with the manifest of the output folder and in link mode the registry."""
    from wam.cli.print_embed import report_one
    from wam.jobs.engines.local import embed_locally
    from wam.jobs.journal import Journal
    from wam.jobs.link_mode import LinkMode
    from wam.jobs.outcome import EmbedOutcome
    from wam.jobs.record_mode import RecordMode
    from wam.pipeline.options import key_name

    chosen = mark_options(key=key_name(key), **options)
    records: Registry | None = common.open_registry(registry, create=True) if chosen.mode == "link" else None
    marker = common.loaded(load)
    with open_manifest(str(out), follow_links=follow_links) as manifest:
        assert manifest is not None
        journal = Journal(marker.name, manifest, chosen, same_as=marker.model.description.same_as, key=key)
        run: MarkMode = RecordMode(journal) if records is None else LinkMode(records, journal, new_link=new_link)
        known, item_of = earlier_marks(manifest), items_of(out, fields, follow_links=follow_links)

        def do(sources: Sequence[Source]) -> Iterator[tuple[Source, Exception | None]]:
            items = [item_of(source) for source in sources]
            outcomes = embed_locally(marker, run, items, workers=workers, start_worker=common.one_thread)
            with closing(outcomes):
                for outcome in outcomes:
                    source = outcome.item.source
                    if outcome.error is None:
                        manifest.done.pop(source.name, None)  # what was begun is done: the next of that name is new
                        report_one(run, outcome, folder=True, as_json=as_json)
                    yield source, outcome.error

        def fail(source: Source, error: Exception) -> None:
            report_one(run, EmbedOutcome(item_of(source), error=error), folder=True, as_json=as_json)
            manifest.done.pop(source.name, None)

        yield Work(known, do, fail, "marked")


@contextmanager
def reading(
    load: Callable[[], Watermarker], out: Path, registry: str | None, *, frames: bool, workers: int | None,
    as_json: bool,
) -> Iterator[Work]:  # fmt: skip
    """Reading, with a report in the output folder that earlier runs have begun."""
    from wam.cli.print_detect import report_one
    from wam.jobs.detect_report import DetectReport
    from wam.jobs.engines.local import detect_locally
    from wam.jobs.outcome import DetectOutcome

    records = common.open_registries(None if registry is None else [registry])
    marker = common.loaded(load)
    effort = Effort()
    settings = {"model": marker.name, **asdict(effort), "frames": frames}
    try:
        report: DetectReport = DetectReport(out / FOUND, settings, resume=True, keys=marker.keys)
    except WamError as error:
        common.fail(error)

    def known(source: Source, state: str) -> bool:
        return report.earlier(source) is not None

    def say(outcome: DetectOutcome) -> None:
        message = None if outcome.error is None else error_line(str(outcome.source.location), outcome.error)
        report.add(outcome, model=marker.name, message=message)
        if message is not None:
            common.report(message)
        report_one(outcome, marker.name, message, folder=True, as_json=as_json)

    def do(sources: Sequence[Source]) -> Iterator[tuple[Source, Exception | None]]:
        outcomes = detect_locally(
            marker, records, sources, effort=effort, frames=frames, workers=workers, start_worker=common.one_thread
        )
        with closing(outcomes):
            for outcome in outcomes:
                halved = cut_short(outcome.source, None if outcome.findings is None else outcome.findings.reason)
                if halved is not None:
                    yield outcome.source, halved
                    continue
                if outcome.error is None:
                    say(outcome)
                yield outcome.source, outcome.error

    yield Work(known, do, lambda source, error: say(DetectOutcome(source, error=error)), "read")
