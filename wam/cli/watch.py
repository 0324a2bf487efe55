"""``wam watch``: a folder whose pictures are marked, or read, as they arrive."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wam.cli import common, panels
from wam.cli.choices import Device, Mode
from wam.cli.embed_options import (
    Asset,
    AssetFrom,
    Backslashes,
    Encrypt,
    LabelOption,
    ModeOption,
    NewLink,
    Owner,
    Psnr,
    Quality,
    StrengthOption,
    Time,
    User,
    amount_of,
    mark_options,
)
from wam.cli.embed_plan import open_manifest, record_fields
from wam.cli.lines import note, warn
from wam.errors import ImageError, WamError, show_name
from wam.models.catalogue import DEFAULT
from wam.models.effort import Effort
from wam.packages import require_for
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from payload.registry import Registry
    from wam.jobs.detect_report import DetectReport
    from wam.jobs.modes import MarkMode
    from wam.jobs.plan import Fields, Source
    from wam.pictures.storage import Location
    from wam.watermarker import Watermarker

BATCH = 256  # files of one run
FAILED = "failed"  # below the folder that is watched
FOUND = "found.jsonl"  # below the folder that is written to

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="IN", help="Folder that pictures are put into, with those below it.", parser=common.local_path
    ),
]
OutFolder = Annotated[
    str,
    typer.Argument(metavar="OUT", help="Folder for marked pictures under the same names, or with --read the report."),
]
Read = Annotated[
    bool,
    typer.Option(
        "--read",
        rich_help_panel=panels.READING,
        help=f"Read the pictures instead of marking them: a line for each in OUT/{FOUND}.",
    ),
]
FailedOption = Annotated[
    Path | None,
    typer.Option(
        "--failed",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="Where pictures go that cannot be used, with the reason beside them. Default: IN/failed.",
        parser=common.local_path,
    ),
]
DoneOption = Annotated[
    Path | None,
    typer.Option(
        "--done",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="Where the pictures of IN go when they are done; without it they stay.",
        parser=common.local_path,
    ),
]
Every = Annotated[
    float,
    typer.Option(
        "--every",
        metavar="S",
        min=0.05,
        max=86400,
        rich_help_panel=panels.RUNNING,
        help="Seconds between two looks at IN.",
    ),
]
Settle = Annotated[
    float,
    typer.Option(
        "--settle",
        metavar="S",
        min=0,
        max=86400,
        rich_help_panel=panels.RUNNING,
        help="A picture has arrived when its size and time have been the same for S seconds.",
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience",
        metavar="S",
        min=0,
        max=86400,
        rich_help_panel=panels.RUNNING,
        help="One that cannot be used is tried again when it has been the same for S seconds, and then moved aside.",
    ),
]
Once = Annotated[
    bool,
    typer.Option(
        "--once",
        rich_help_panel=panels.RUNNING,
        help="End when all that is there is done; exit status 1 where some failed.",
    ),
]


def watch(
    folder: Folder,
    out: OutFolder,
    read: Read = False,
    asset: Asset = None,
    asset_from: AssetFrom = None,
    backslashes: Backslashes = False,
    owner: Owner = None,
    user: User = None,
    time: Time = None,
    new_link: NewLink = False,
    failed: FailedOption = None,
    done: DoneOption = None,
    every: Every = 2.0,
    settle: Settle = 5.0,
    patience: Patience = 60.0,
    once: Once = False,
    mode: ModeOption = Mode.LINK,
    encrypt: Encrypt = False,
    strength: StrengthOption = None,
    psnr: Psnr = None,
    quality: Quality = None,
    label: LabelOption = False,
    all_frames: common.FramesOption = False,
    follow_links: common.FollowOption = False,
    registry: common.RegistryOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    workers: common.WorkersOption = None,
    as_json: common.JsonOption = False,
    debug: common.DebugOption = False,
) -> None:
    """Mark pictures as they arrive in a folder, or read them (--read).

    A picture is taken when it is there whole, marked once, and known again after a restart; one that cannot be used
    goes to a folder of its own with the reason. What is not the picture's fault (the registry, a full disk, a drive
    that does not answer) is tried again later.

    Example: wam watch incoming marked --asset-from name --owner acme

    Reading: wam watch incoming found --read
    """
    require_for("wam watch")
    from wam.pictures.storage import locate

    aside = failed or folder / FAILED
    place = locate(out)
    _check_folders(folder, place, aside, done)
    common.make_folder(aside)
    if isinstance(place, Path):
        common.make_folder(place)
    if read:
        given = {
            "--asset": asset, "--asset-from": asset_from, "--owner": owner, "--user": user, "--time": time,
            "--new-link": new_link, "--encrypt": encrypt, "--strength": strength, "--psnr": psnr, "--quality": quality,
            "--label": label, "--mode": mode is not Mode.LINK,
        }  # fmt: skip
        _refuse_with_read([option for option, value in given.items() if value])
        if not isinstance(place, Path):
            common.fail(f"--read: expected a folder of this machine for the report, found {show_name(out)}; name one")
        load = common.marker_loader(model, device, [*common.read_keys(key_file), None])
        opened = _reading(load, place, registry, frames=all_frames, workers=workers, as_json=as_json)
    else:
        amount = amount_of(strength, psnr)
        fields = record_fields(asset, asset_from, owner, user, time, backslashes=backslashes)
        if mode is Mode.RECORD and new_link:
            common.fail("--new-link: expected it without --mode record, found both; a record in the pixels has no link")
        key = next(iter(common.read_keys(key_file)), None)
        options = {
            "mode": mode.value, "strength": amount, "label": label, "frames": all_frames, "encrypt": encrypt,
            "quality": quality,
        }  # fmt: skip
        load = common.marker_loader(model, device, [key])
        opened = _marking(
            load, place, registry, fields, options, key=key, new_link=new_link, follow_links=follow_links,
            workers=workers, as_json=as_json,
        )  # fmt: skip
    with opened as work:
        watched = _Watch(work, folder, aside, done, place, settle=settle, patience=patience, debug=debug)
        note(f"watching {show_name(str(folder))}; Ctrl-C ends it")
        try:
            watched.run(every, once=once)
        except KeyboardInterrupt:
            note("ended")
        finally:
            typer.echo(f"{watched.finished} {work.verb}, {watched.failed} moved aside", err=True)
    if once and (watched.failed or watched.arrivals.waiting or watched.away):
        raise typer.Exit(1)


def _check_folders(folder: Path, out: Location, aside: Path, done: Path | None) -> None:
    """Ends the command for folders that would feed on one another."""
    from wam.pictures.storage import is_inside, place_of

    if not folder.is_dir():
        common.fail(f"{show_name(str(folder))}: expected a folder to watch, found none; make it first")
    others = [one for one in (out, aside, done) if one is not None]
    for one in others:
        if place_of(one) == place_of(folder) or is_inside(folder, one):
            name = show_name(str(one))
            common.fail(f"{name}: expected a folder other than IN and those above it, found one of them; name another")
    if len({place_of(one) for one in others}) < len(others):
        common.fail("OUT, --failed and --done: expected different folders, found one twice; name others")


def _refuse_with_read(options: Sequence[str]) -> None:
    if options:
        common.fail(f"--read: expected it without {options[0]}, found both; what is read is not marked")


@dataclass(frozen=True)
class _Work:
    """What is done to pictures: ``known`` says whether an earlier run has done one in this state, ``do`` yields each
    with its error or None, after it was said, but for errors, which ``fail`` says; ``verb`` for the line at the end."""

    known: Callable[[Source, str], bool]
    do: Callable[[Sequence[Source]], Iterator[tuple[Source, Exception | None]]]
    fail: Callable[[Source, Exception], None]
    verb: str


class _Watch:
    """One folder that is watched."""

    def __init__(
        self, work: _Work, folder: Path, aside: Path, done: Path | None, out: Location, *, settle: float,
        patience: float, debug: bool,
    ) -> None:  # fmt: skip
        from wam.jobs.arrivals import Arrivals

        without = [one for one in (aside, done, out) if isinstance(one, Path)]
        self.arrivals = Arrivals(folder, self._known, without=without, settle=settle, patience=patience)
        self.finished = self.failed = 0
        self._work, self._aside, self._done, self._debug = work, aside, done, debug
        self.away = False

    def run(self, every: float, *, once: bool) -> None:
        """Looks and works until it is interrupted, or once all is done; raises ``WamError`` where it cannot go on."""
        while True:
            ready = iter(self._look())
            while some := list(islice(ready, BATCH)):
                self._do(some)
            if once and (self.away or self.arrivals.stuck):
                return
            clock.sleep(every)

    def _known(self, source: Source, state: str) -> bool:
        """Whether an earlier run has done a file; one that it could not move any more is moved now."""
        known = self._work.known(source, state)
        if known and self._done is not None:
            self._move(source, self._done)
        return known

    def _look(self) -> list[Source]:
        """What has arrived; a folder that is away is said once, and waited for."""
        try:
            found = self.arrivals.look()
        except OSError as error:
            if not self.away:
                name, found_instead = show_name(str(self.arrivals.folder)), error.strerror or str(error)
                warn(f"{name}: expected a folder that can be listed, found: {found_instead}; waiting for it")
            self.away = True
            return []
        self.away = False
        return found

    def _do(self, sources: Sequence[Source]) -> None:
        from wam.jobs.arrivals import is_its_own
        from wam.jobs.detect_report import ReportError
        from wam.jobs.manifest import ManifestError

        for source, error in self._work.do(sources):
            if error is None:
                self.finished += 1
                self.arrivals.finish(source)
                if self._done is not None:
                    self._move(source, self._done)
            elif isinstance(error, ManifestError | ReportError) or self._debug:  # nothing can be noted any more
                raise error
            elif not os.path.lexists(source.location):
                continue  # taken away again
            elif not is_its_own(error, source):
                warn(f"{error_line(str(source.location), error)}; it is tried again")
                self.arrivals.put_off(source)
            elif not self.arrivals.may_change(source):
                self.failed += 1
                self._work.fail(source, error)
                self.arrivals.finish(source)
                self._move(source, self._aside, why=error_line(str(source.location), error))

    def _move(self, source: Source, folder: Path, *, why: str | None = None) -> None:
        from wam.jobs.arrivals import move

        try:
            move(source, folder, why=why)
        except WamError as error:
            common.report(error)


@contextmanager
def _marking(
    load: Callable[[], Watermarker], out: Location, registry: str | None, fields: Callable[[Source], Fields],
    options: dict[str, Any], *, key: bytes | None, new_link: bool, follow_links: bool, workers: int | None,
    as_json: bool,
) -> Iterator[_Work]:  # fmt: skip
    """Marking, with the manifest of the output folder and in link mode the registry."""
    from wam.cli.print_embed import report_one
    from wam.jobs.engines.local import embed_locally
    from wam.jobs.journal import Journal
    from wam.jobs.link_mode import LinkMode
    from wam.jobs.outcome import EmbedOutcome
    from wam.jobs.plan import Item, PlanError, refuse_links_out
    from wam.jobs.record_mode import RecordMode
    from wam.pictures.storage import join
    from wam.pipeline.options import key_name

    chosen = mark_options(key=key_name(key), **options)
    records: Registry | None = common.open_registry(registry, create=True) if chosen.mode == "link" else None
    marker = common.loaded(load)
    with open_manifest(str(out), follow_links=follow_links) as manifest:
        assert manifest is not None
        journal = Journal(marker.name, manifest, chosen, same_as=marker.model.description.same_as, key=key)
        run: MarkMode = RecordMode(journal) if records is None else LinkMode(records, journal, new_link=new_link)
        # Lines of earlier runs: of what is done the state is enough, what was begun is taken up again.
        marked = {
            name: line.get("source")
            for name, line in manifest.done.items()
            if line.get("status") in ("marked", "failed")
        }
        for name in marked:
            del manifest.done[name]

        def known(source: Source, state: str) -> bool:
            return marked.pop(source.name, None) == state

        def item_of(source: Source) -> Item:
            target = join(out, source.name)
            try:
                if not follow_links:
                    refuse_links_out([target], [out])
                values = fields(source)
                return Item(source, target, values.record(), timed=bool(values.time))
            except (ValueError, PlanError) as error:
                return Item(source, target, None, problem=str(error))

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

        yield _Work(known, do, fail, "marked")


@contextmanager
def _reading(
    load: Callable[[], Watermarker], out: Path, registry: str | None, *, frames: bool, workers: int | None,
    as_json: bool,
) -> Iterator[_Work]:  # fmt: skip
    """Reading, with a report in the output folder that earlier runs have begun."""
    from wam.cli.print_detect import report_one
    from wam.jobs.detect_report import DetectReport
    from wam.jobs.engines.local import detect_locally
    from wam.jobs.outcome import DetectOutcome
    from wam.pipeline.read import CUT_SHORT

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
                reason = None if outcome.findings is None else outcome.findings.reason
                if reason is not None and CUT_SHORT in reason:  # it may still be on its way
                    name = str(outcome.source.location)
                    yield (
                        outcome.source,
                        ImageError.about(name, expected="a whole file", found=reason, remedy="copy it again"),
                    )
                    continue
                if outcome.error is None:
                    say(outcome)
                yield outcome.source, outcome.error

    yield _Work(known, do, lambda source, error: say(DetectOutcome(source, error=error)), "read")
