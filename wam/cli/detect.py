"""``wam detect``: every watermark of a picture, with its region and its record."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from wam.cli import common, panels
from wam.cli.by_server import ServerOption, asked, client_of, detect_by_server, refuse_with_server
from wam.cli.choices import Device, Engine, FailUnless, Precision
from wam.cli.detect_out import OnlyFoundOption, OutOption, ResumeOption, check_outs, opened
from wam.cli.print_detect import Counts, report_all
from wam.cli.progress import STAGE_LINE
from wam.errors import OptionsError, WamError
from wam.models.catalogue import DEFAULT
from wam.models.effort import Effort
from wam.packages import require_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from payload.registry import Registry
    from wam.jobs.detect_report import DetectReport
    from wam.jobs.engines.local import Draw

    require_for("wam detect")
    from wam.jobs.engines.ray_pool import Cluster
    from wam.jobs.listing import Listing
    from wam.jobs.outcome import DetectOutcome
    from wam.jobs.plan import Source
    from wam.pictures.files import Picture
    from wam.pipeline.contract import DetectObject, WatermarkObject
    from wam.pipeline.read import AnyReading
    from wam.region import Region
    from wam.watermarker import Watermarker

    # the place of a source, its picture, and of each mark region, what is said of it and its mask
    DrawMarks = Callable[
        [int, Callable[[], Picture], Sequence[Region], Sequence[WatermarkObject], Iterable[NDArray[np.bool_]]], None
    ]


Overlay = Annotated[
    Path | None,
    typer.Option(
        "--overlay",
        metavar="FILE",
        rich_help_panel=panels.OUTPUT,
        help="Write the picture with each watermark outlined, numbered and named, in the format of FILE's extension; "
        "one input only.",
        parser=common.local_path,
    ),
]
OverlayDir = Annotated[
    Path | None,
    typer.Option(
        "--overlay-dir",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="The same for several inputs: DIR/NAME.overlay.png each, the tree of an input folder mirrored.",
        parser=common.local_path,
    ),
]
MaskDir = Annotated[
    Path | None,
    typer.Option(
        "--mask-dir",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="Write each watermark's mask, white where it is, of the picture's size: DIR/NAME.mask1.png and so on, "
        "numbered as in the results.",
        parser=common.local_path,
    ),
]
Thorough = Annotated[
    bool,
    typer.Option(
        "--thorough",
        rich_help_panel=panels.READING,
        help="Search every resolution, window and angle of view even when a mark was found: slower, and finds "
        "small or faint marks beside others.",
    ),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        rich_help_panel=panels.READING,
        help="Look at the usual resolution only: finds whole copies, turned, cropped or reduced, but no small parts in "
        "larger pictures.",
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        metavar="S",
        rich_help_panel=panels.READING,
        help="Begin no further look at a picture after S seconds; what was found until then is given, and that there "
        "was more to look at is said.",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        rich_help_panel=panels.PRINTING,
        help="Say on standard error how each result was reached, and what was tried.",
    ),
]
LogOption = Annotated[
    bool,
    typer.Option(
        "--log-look-ups",
        rich_help_panel=panels.REGISTRY,
        help="Enter each record that is named in the audit log of its registry, which has to be writable.",
    ),
]
FailUnlessOption = Annotated[
    FailUnless | None,
    typer.Option(
        "--fail-unless",
        rich_help_panel=panels.PRINTING,
        help="verified: exit status 1 unless every picture carries a mark whose record is known here, and which is not "
        "flagged as transplanted.",
    ),
]


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
    documentation (docs/json.md) explains their fields.

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
    check_outs(out or [], resume=resume)
    if server is not None:
        refuse_with_server(
            verbose=verbose, registry=registry, log_look_ups=log_look_ups, key_file=key_file, model=model != DEFAULT,
            engine=engine is not Engine.LOCAL,
        )  # fmt: skip
    listing = Listing(images, without=[folder for folder in (overlay_dir, mask_dir) if folder is not None])
    draw = None
    if (overlay, overlay_dir, mask_dir) != (None, None, None):
        draw = _plan_pictures(listing.whole(), overlay, overlay_dir, mask_dir, engine, follow_links=follow_links)
    if overlay is not None:
        common.refuse_inputs([overlay], common.own_files(registry, key_file, model), "choose another")
    if server is not None:
        client = client_of(server)
        about, counts = asked(client), Counts()
        how = {**asdict(effort), "frames": all_frames}
        settings = {"server": client.shown, "view": about["view"], "model": about["model"], **how}
        with opened(out or [], settings, keys=(None,), resume=resume, only_found=only_found) as report:
            left_places: list[int] = []
            detect_by_server(
                client, _left(listing, report, counts, left_places if draw else None),
                how, model=str(about["model"]), listing=listing, counts=counts, report=report,
                draw=draw and partial(_draw_said, draw, left_places, all_frames),
                masks=mask_dir is not None, workers=workers, only_found=only_found, as_json=as_json, debug=debug,
            )  # fmt: skip
        _exit(counts, fail_unless)
        return
    load = common.marker_loader(model, device, [*common.read_keys(key_file), None], precision=precision)
    marker = common.loaded(load)
    records = common.open_registries(registry)
    settings = {"model": marker.name, **asdict(effort), "frames": all_frames}
    counts = Counts()
    with opened(out or [], settings, keys=marker.keys, resume=resume, only_found=only_found) as report:
        places: list[int] = []  # of the pictures that are left to be read, for those who draw them
        cluster = Cluster(common.single_threaded(load), address, workers) if engine is Engine.RAY else None
        single = listing.is_single()
        left = _left(listing, report, counts, places if draw else None)
        outcomes = _outcomes(
            marker, cluster, records, left, effort=effort, frames=all_frames, workers=workers,
            draw=draw and partial(_draw_read, draw, places), single=single,
        )  # fmt: skip
        if log_look_ups:
            outcomes = _logged(outcomes, records)
        report_all(
            outcomes, marker, listing=listing, total=1 if single else listing.total, counts=counts, report=report,
            only_found=only_found, as_json=as_json, verbose=verbose, debug=debug,
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
    workers: int | None,
    draw: Draw | None,
    single: bool,
) -> Generator[DetectOutcome]:
    """The work itself, on the engine that was chosen."""
    from wam.jobs.engines.local import detect_locally
    from wam.jobs.engines.ray_data import detect_on_cluster

    if cluster is not None:
        return detect_on_cluster(cluster, records, sources, effort=effort, frames=frames)
    start = STAGE_LINE.listen if single else common.one_thread
    return detect_locally(
        marker, records, sources, effort=effort, frames=frames, workers=workers, draw=draw, start_worker=start
    )


def _logged(outcomes: Generator[DetectOutcome], records: Sequence[Registry]) -> Generator[DetectOutcome]:
    """The outcomes, each after its records were entered in the audit log: none is named that could not be."""
    from wam.pipeline.read import Reading

    named = {registry.name: registry for registry in records}
    with closing(outcomes):
        for outcome in outcomes:
            for reading in outcome.readings:
                if isinstance(reading, Reading) and reading.entry is not None and reading.registry is not None:
                    named[reading.registry].log_look_up(reading.entry.word, generation=reading.entry.generation)
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


def _draw_read(draw: DrawMarks, left: list[int], place: int, picture: Picture, readings: Sequence[AnyReading]) -> None:
    """Draws the picture at a place among those that are left."""
    from wam.pipeline.contract import watermark_object

    said = [watermark_object(reading) for reading in readings]
    draw(left[place], lambda: picture, [one.region for one in readings], said, (one.mask for one in readings))


def _draw_said(
    draw: DrawMarks, left: list[int], frames: bool, place: int, content: bytes, name: str, said: DetectObject,
    masks: Sequence[bytes],
) -> None:  # fmt: skip
    """The same of a picture that a service has read."""
    from wam.pipeline.contract import region_of
    from wam.pipeline.read import open_pictures

    marks = said["watermarks"]
    decoded = (_decoded(mask) for mask in masks)
    draw(
        left[place], lambda: open_pictures(content, name=name, frames=frames)[0],
        [region_of(mark["region"]) for mark in marks], marks, decoded,
    )  # fmt: skip


def _decoded(mask: bytes) -> NDArray[np.bool_]:
    """A mask that came as a file."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(mask)) as image:
        return np.asarray(image.convert("L")) > 127


def _exit(counts: Counts, fail_unless: FailUnless | None) -> None:
    """Ends as grep does: 0 found in every file, 1 not in some, 2 some could not be read."""
    if counts.failed:
        raise typer.Exit(2)
    if (counts.marked if fail_unless is None else counts.verified) != counts.marked + counts.unmarked:
        raise typer.Exit(1)


def _plan_pictures(
    sources: list[Source],
    overlay: Path | None,
    overlay_dir: Path | None,
    mask_dir: Path | None,
    engine: Engine,
    *,
    follow_links: bool,
) -> DrawMarks:
    """Writes what pictures were asked for, when it is called; names that would do harm end the command now."""
    from wam.jobs.plan import refuse_clashes, refuse_inputs

    if engine is Engine.RAY:
        common.fail("--engine ray: expected no overlays and masks, found some; write them with the local engine")
    if overlay is not None and len(sources) != 1:
        common.fail(f"--overlay: expected one input, found {len(sources)}; use --overlay-dir")
    _check_format(overlay)
    if overlay is not None:
        common.make_folder(overlay.parent)
    names = _picture_names(sources)
    overlays = [overlay or (overlay_dir and overlay_dir / f"{name}.overlay.png") for name in names]
    masks = [mask_dir and mask_dir / name for name in names]
    try:
        for option, places in (("--overlay-dir", overlays), ("--mask-dir", masks)):
            refuse_clashes([place for place in places if place is not None], option, "take them one by one")
            refuse_inputs(places, sources, "choose another")
    except WamError as error:
        common.fail(error)
    for folder in (overlay_dir, mask_dir):
        if folder is not None:
            common.make_folder(folder)
    inside = (None if overlay is not None or follow_links else overlay_dir, None if follow_links else mask_dir)
    return lambda place, picture, regions, said, drawn: _write_pictures(
        picture, regions, said, drawn, overlays[place], masks[place], inside
    )


def _check_format(overlay: Path | None) -> None:
    """Ends the command for an overlay whose extension is no format that is written."""
    from wam.pictures.files import format_of

    try:
        if overlay is not None:
            format_of(overlay)
    except WamError as error:
        common.fail(error)


def _picture_names(sources: list[Source]) -> list[str]:
    """What overlays and masks are called after: names without extension, with it where that tells them apart."""
    names = ["stdin" if source.location == "-" else source.name for source in sources]
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    shared = Counter(stems)
    return [stem if shared[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]


def _write_pictures(
    picture: Callable[[], Picture],
    regions: Sequence[Region],
    said: Sequence[WatermarkObject],
    masks: Iterable[NDArray[np.bool_]],
    overlay: Path | None,
    mask: Path | None,
    inside: tuple[Path | None, Path | None],
) -> None:
    """Overlay and masks, each written whole or not at all, and ``inside`` the folders of both where such are given."""
    from wam.jobs.plan import refuse_links_out
    from wam.pictures.files import write_picture

    for place, folder in zip((overlay, mask), inside, strict=True):
        if place is not None and folder is not None:
            refuse_links_out([place], [folder])
        if place is not None and place.parent.name:
            place.parent.mkdir(parents=True, exist_ok=True)
    if overlay is not None:
        from wam.pictures.overlay import overlay as draw
        from wam.pipeline.caption import caption

        captions = [caption(one) for one in said]
        write_picture(overlay, draw(picture().pixels, regions, captions))
    if mask is not None:
        from PIL import Image

        for number, one in enumerate(masks, start=1):
            pixels = Image.fromarray(one.astype("uint8") * 255)
            place = mask.with_name(f"{mask.name}.mask{number}.png")
            if inside[1] is not None:
                refuse_links_out([place], [inside[1]])
            write_picture(place, pixels)
