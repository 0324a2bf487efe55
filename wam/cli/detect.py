"""``wam detect``: every watermark of a picture, with its region and its record."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import typer

from wam.cli import common
from wam.cli.by_server import ServerOption, asked, client_of, detect_by_server, refuse_with_server
from wam.cli.choices import Device, Engine, FailUnless, Precision
from wam.cli.detect_options import (
    CandidatesOption,
    FailUnlessOption,
    LogOption,
    MaskDir,
    Overlay,
    OverlayDir,
    Quick,
    Seconds,
    SimilarOption,
    Thorough,
    Verbose,
)
from wam.cli.detect_out import OnlyFoundOption, OutOption, ResumeOption, check_outs, opened
from wam.cli.detect_pictures import draw_read, draw_said, plan_pictures
from wam.cli.print_detect import Counts, report_all
from wam.cli.progress import STAGE_LINE
from wam.errors import OptionsError
from wam.models.catalogue import DEFAULT
from wam.models.effort import Effort
from wam.packages import require_for

if TYPE_CHECKING:
    from payload.registry import Registry
    from wam.jobs.detect_report import DetectReport
    from wam.jobs.engines.local import Draw

    require_for("wam detect")
    from wam.jobs.engines.ray_pool import Cluster
    from wam.jobs.listing import Listing
    from wam.jobs.outcome import DetectOutcome
    from wam.jobs.plan import Source
    from wam.watermarker import Watermarker


def detect(
    images: common.Images,
    as_json: common.JsonOption = False,
    overlay: Overlay = None,
    overlay_dir: OverlayDir = None,
    mask_dir: MaskDir = None,
    follow_links: common.FollowOption = False,
    thorough: Thorough = False,
    quick: Quick = False,
    seconds: Seconds = None,
    verbose: Verbose = False,
    fail_unless: FailUnlessOption = None,
    only_found: OnlyFoundOption = False,
    out: OutOption = None,
    resume: ResumeOption = False,
    all_frames: common.FramesOption = False,
    frames: common.OldFramesOption = None,
    registry: common.RegistriesOption = None,
    similar: SimilarOption = None,
    candidates: CandidatesOption = False,
    log_look_ups: LogOption = False,
    key_file: common.KeyOption = None,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    precision: common.PrecisionOption = Precision.AUTO,
    workers: common.WorkersOption = None,
    engine: common.EngineOption = Engine.LOCAL,
    address: common.AddressOption = None,
    server: ServerOption = None,
    debug: common.DebugOption = False,
) -> None:
    """List each watermark of each picture: its record, its region, how sure it is.

    Status: verified (its record is known), unverified (a record that anyone
    can have written), withdrawn (the registry no longer names its record),
    unregistered (a valid word without a record here), unreadable (a mark
    whose word is not certain).

    --json: an object per picture with image, width, height, model, error,
    schema, label and watermarks, an empty list where there is none; the
    documentation (docs/json.md) explains their fields. --similar adds
    similar, the registered pictures that look most alike, --candidates
    to each watermark the records that it could be of.

    Exit status 0: every picture carries at least one (with --fail-unless
    verified: a verified one). 1: some picture carries none. 2: some picture
    could not be read, or usage.

    Example: wam detect composite.jpg --overlay found.png

    A folder: wam detect photos --out found.jsonl --out found.html --resume
    """
    require_for("wam detect")
    from wam.jobs.engines.ray_pool import Cluster
    from wam.jobs.listing import Listing

    common.check_engine(engine, address)
    all_frames = common.take_frames(all_frames, frames)
    try:
        effort = Effort(thorough=thorough, quick=quick, seconds=seconds)
    except OptionsError as error:
        common.fail(f"--{error}")
    if similar is not None:
        require_for("wam detect --similar" if server is None else "wam detect")
    check_outs(out or [], resume=resume)
    if server is not None:
        refuse_with_server(
            verbose=verbose, registry=registry, log_look_ups=log_look_ups, key_file=key_file, model=model != DEFAULT,
            engine=engine is not Engine.LOCAL,
        )  # fmt: skip
    more = {} if similar is None else {"similar": similar}  # reports without it are gone on with
    if candidates:
        more["candidates"] = True
    listing = Listing(images, without=[folder for folder in (overlay_dir, mask_dir) if folder is not None])
    draw = None
    if (overlay, overlay_dir, mask_dir) != (None, None, None):
        draw = plan_pictures(listing.whole(), overlay, overlay_dir, mask_dir, engine, follow_links=follow_links)
    if overlay is not None:
        common.refuse_inputs([overlay], common.own_files(registry, key_file, model), "choose another")
    if server is not None:
        client = client_of(server)
        about, counts = asked(client), Counts()
        how = {**asdict(effort), "frames": all_frames, **more}
        settings = {"server": client.shown, "view": about["view"], "model": about["model"], **how}
        with opened(out or [], settings, keys=(None,), resume=resume, only_found=only_found) as report:
            left_places: list[int] = []
            detect_by_server(
                client, _left(listing, report, counts, left_places if draw else None),
                how, model=str(about["model"]), listing=listing, counts=counts, report=report,
                draw=draw and partial(draw_said, draw, left_places, all_frames),
                masks=mask_dir is not None, workers=workers, only_found=only_found, as_json=as_json, debug=debug,
            )  # fmt: skip
        _exit(counts, fail_unless)
        return
    load = common.marker_loader(model, device, [*common.read_keys(key_file), None], precision=precision)
    marker = common.loaded(load)
    records = common.open_registries(registry)
    settings = {"model": marker.name, **asdict(effort), "frames": all_frames, **more}
    counts = Counts()
    with opened(out or [], settings, keys=marker.keys, resume=resume, only_found=only_found) as report:
        places: list[int] = []  # of the pictures that are left to be read, for those who draw them
        cluster = Cluster(common.single_threaded(load), address, workers) if engine is Engine.RAY else None
        single = listing.is_single()
        left = _left(listing, report, counts, places if draw else None)
        outcomes = _outcomes(
            marker, cluster, records, left, effort=effort, frames=all_frames, similar=similar or 0, workers=workers,
            draw=draw and partial(draw_read, draw, places), single=single,
        )  # fmt: skip
        if log_look_ups:
            outcomes = _logged(outcomes, records, candidates=candidates)
        report_all(
            outcomes, marker, listing=listing, total=1 if single else listing.total, counts=counts, report=report,
            only_found=only_found, candidates=candidates, as_json=as_json, verbose=verbose, debug=debug,
        )  # fmt: skip
    _exit(counts, fail_unless)


def _outcomes(
    marker: Watermarker,
    cluster: Cluster | None,
    records: Sequence[Registry],
    sources: Iterable[Source],
    *,
    effort: Effort,
    frames: bool,
    similar: int,
    workers: int | None,
    draw: Draw | None,
    single: bool,
) -> Generator[DetectOutcome]:
    """The work itself, on the engine that was chosen."""
    from wam.jobs.engines.local import detect_locally

    if cluster is not None:
        from wam.jobs.engines.ray_data import detect_on_cluster

        return detect_on_cluster(cluster, records, sources, effort=effort, frames=frames, similar=similar)
    start = STAGE_LINE.listen if single else common.one_thread
    return detect_locally(
        marker,
        records,
        sources,
        effort=effort,
        frames=frames,
        similar=similar,
        workers=workers,
        draw=draw,
        start_worker=start,
    )


def _logged(
    outcomes: Generator[DetectOutcome], records: Sequence[Registry], *, candidates: bool
) -> Generator[DetectOutcome]:
    """The outcomes, each after its records were entered in the audit log: none is named that could not be.
    ``candidates`` are listed, too."""
    from wam.pipeline.read import Reading

    named = {registry.name: registry for registry in records}
    with closing(outcomes):
        for outcome in outcomes:
            for reading in outcome.readings:
                if isinstance(reading, Reading) and reading.entry is not None and reading.registry is not None:
                    named[reading.registry].log_look_up(reading.entry.word, generation=reading.entry.generation)
            listed = [(one.registry, one.entry) for one in outcome.alike]
            listed += [(one.registry, one.entry) for one in outcome.candidates] if candidates else []
            for name, entry in listed:
                named[name].log_look_up(entry.word, generation=entry.generation)
            yield outcome


def _left(listing: Listing, report: DetectReport | None, counts: Counts, places: list[int] | None) -> Iterator[Source]:
    """The pictures that are to be read, and their ``places`` among all; what is known of the others is counted."""
    for place, source in enumerate(listing):
        earlier = None if report is None or source.problem is not None else report.earlier(source)
        if earlier is None:
            if places is not None:
                places.append(place)
            yield source
        else:
            counts.add_earlier(earlier)


def _exit(counts: Counts, fail_unless: FailUnless | None) -> None:
    """Ends as grep does: 0 found in every file, 1 not in some, 2 some could not be read."""
    if counts.failed:
        raise typer.Exit(2)
    if (counts.marked if fail_unless is None else counts.verified) != counts.marked + counts.unmarked:
        raise typer.Exit(1)
