"""``wam detect``: every watermark of a picture, with its region and its record."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wam.cli import common
from wam.cli.explain import explain
from wam.errors import WamError, show_name

if TYPE_CHECKING:
    from wam.images import Picture
    from wam.jobs.local import Draw
    from wam.jobs.outcome import DetectOutcome
    from wam.jobs.plan import Source
    from wam.jobs.reading import AnyReading


Overlay = Annotated[
    Path | None,
    typer.Option(
        "--overlay",
        metavar="FILE",
        help="Write the picture with each watermark outlined, numbered and named, in the format of FILE's extension; "
        "one input only.",
    ),
]
OverlayDir = Annotated[
    Path | None,
    typer.Option(
        "--overlay-dir",
        metavar="DIR",
        help="The same for several inputs: DIR/NAME.overlay.png each, the tree of an input folder mirrored.",
    ),
]
MaskDir = Annotated[
    Path | None,
    typer.Option(
        "--mask-dir",
        metavar="DIR",
        help="Write each watermark's mask, white where it is, of the picture's size: DIR/NAME.mask1.png and so on, "
        "numbered as in the results.",
    ),
]
Thorough = Annotated[
    bool,
    typer.Option(
        "--thorough",
        help="Search every resolution, window and angle of view even when a mark was found: slower, and finds "
        "small or faint marks beside others.",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say on standard error how each result was reached, and what was tried."),
]


def detect(
    images: common.Images,
    as_json: common.JsonOption = False,
    overlay: Overlay = None,
    overlay_dir: OverlayDir = None,
    mask_dir: MaskDir = None,
    thorough: Thorough = False,
    verbose: Verbose = False,
    frames: common.FramesOption = None,
    registry: common.RegistryOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = common.DEFAULT_MODEL,
    device: common.DeviceOption = "auto",
    precision: common.PrecisionOption = "auto",
    workers: common.WorkersOption = None,
    engine: common.EngineOption = "local",
    address: common.AddressOption = None,
    debug: common.DebugOption = False,
) -> None:
    """List each watermark of each picture: its record, its region, how sure it is.

    Status: verified (its record is known), unverified (a record that anyone
    can have written), withdrawn (the registry no longer names its record),
    unregistered (a valid word without a record here), unreadable (a mark
    whose word is not certain).

    --json: an object per picture with image, width, height, model, error,
    label and watermarks, an empty list where there is none; the README
    explains their fields.

    Exit status 0: every picture carries at least one. 1: some picture carries
    none, or could not be read. 2: usage.
    """
    from wam.jobs.cluster import Cluster, detect_on_cluster
    from wam.jobs.local import detect_locally

    common.check_engine(engine, address)
    all_frames = common.take_frames(frames)
    sources = _sources(images, overlay_dir, mask_dir)
    draw = _plan_pictures(sources, overlay, overlay_dir, mask_dir, engine)
    load = common.marker_loader(model, device, key_file, reading=True, precision=precision)
    marker = common.loaded(load)
    records = common.open_registry_for_reading(registry)
    if engine == "ray":
        cluster = Cluster(load, address, workers)
        outcomes = detect_on_cluster(cluster, records, sources, thorough=thorough, frames=all_frames)
    else:
        outcomes = detect_locally(
            marker, records, sources, thorough=thorough, frames=all_frames, workers=workers, draw=draw
        )
    counts: Counter[str] = Counter()
    started = monotonic()
    with common.progress("detecting", len(sources)) as advance, closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None and debug:
                raise outcome.error
            _count(counts, outcome)
            _report(outcome, marker.name, as_json=as_json)
            if verbose and outcome.error is None:
                for line in explain(outcome, marker.keys):
                    typer.echo(line, err=True)
            advance()
    if any(Path(image).is_dir() for image in images):
        typer.echo(_summary(counts, monotonic() - started), err=True)
    if counts["marked"] < len(sources):
        raise typer.Exit(1)


def _sources(images: list[str], *outputs: Path | None) -> list[Source]:
    from wam.jobs.plan import find_sources

    try:
        return find_sources(images, without=[folder for folder in outputs if folder is not None])
    except WamError as error:
        common.fail(error)


def _plan_pictures(
    sources: list[Source], overlay: Path | None, overlay_dir: Path | None, mask_dir: Path | None, engine: str
) -> Draw | None:
    """Writes what pictures were asked for, when it is called; names that would do harm end the command now."""
    from wam.jobs.plan import refuse_clashes, refuse_inputs

    if (overlay, overlay_dir, mask_dir) == (None, None, None):
        return None
    if engine == "ray":
        common.fail("--engine ray: expected no overlays and masks, found some; write them with the local engine")
    if overlay is not None and len(sources) != 1:
        common.fail(f"--overlay: expected one input, found {len(sources)}; use --overlay-dir")
    _check_format(overlay)
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
    planned = {id(source): places for source, *places in zip(sources, overlays, masks, strict=True)}
    return lambda source, picture, readings: _write_pictures(picture, readings, *planned[id(source)])


def _check_format(overlay: Path | None) -> None:
    """Ends the command for an overlay whose extension is no format that is written."""
    from wam.images import format_of

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


def _count(counts: Counter[str], outcome: DetectOutcome) -> None:
    kind = "failed" if outcome.error is not None else "marked" if outcome.readings else "unmarked"
    counts[kind] += 1
    counts["marks"] += len(outcome.readings)


def _summary(counts: Counter[str], seconds: float) -> str:
    """How many files of a folder carry marks, and how fast they were read.

    >>> _summary(Counter({"marked": 3, "marks": 5, "unmarked": 1}), 2.0)
    '3 with watermarks (5 in all), 1 without, 0 not read in 2.0 s, 2.0/s'
    """
    files = counts["marked"] + counts["unmarked"]
    text = f"{counts['marked']} with watermarks ({counts['marks']} in all), {counts['unmarked']} without, "
    return f"{text}{counts['failed']} not read in {seconds:.1f} s, {files / max(seconds, 1e-3):.1f}/s"


def _report(outcome: DetectOutcome, model: str, *, as_json: bool) -> None:
    message = None
    if outcome.error is not None:
        message = common.about(outcome.source.location, outcome.error)
        common.report(message)
    if as_json:
        common.print_json(_object(outcome, model, message))
    elif message is None:
        _print_table(outcome)


def _object(outcome: DetectOutcome, model: str, error: str | None) -> dict[str, Any]:
    """The contract's object for one image."""
    return {
        "image": os.fspath(outcome.source.location),
        "width": outcome.width,
        "height": outcome.height,
        "model": model,
        "watermarks": [reading.to_dict() for reading in outcome.readings],
        "error": error,
        "label": outcome.label and {**outcome.label.to_dict(), "agrees": outcome.label_agrees},
    }


def _print_table(outcome: DetectOutcome) -> None:
    """A line, and a table where there is something to tell."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    name, readings = show_name(str(outcome.source.location)), outcome.readings
    label = _label_line(outcome)
    if not readings:
        typer.echo(f"{name}: no watermark{label}")
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    typer.echo(f"{name}: {len(readings)} watermark{'s' if len(readings) > 1 else ''}{label}")
    columns = ("status", "link", "asset", "owner", "user", "ingested", "region x,y wxh", "area", "chance")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for reading in readings:
        table.add_row(*(Text(cell) for cell in _cells(reading)))
    console.print(table)


def _label_line(outcome: DetectOutcome) -> str:
    """What the label in the metadata says and whether a watermark says the same; nothing without a label."""
    if outcome.label is None:
        return ""
    said = outcome.label.producer or outcome.label.source_type.rpartition("/")[2]
    verdict = {
        True: "the watermark agrees",
        False: "NO WATERMARK AGREES (was it marked with a key?)",
        None: "it names no watermark",
    }
    return f"; label of {show_name(said)}: {verdict[outcome.label_agrees]}"


def _cells(reading: AnyReading) -> list[str]:
    record = reading.record.to_dict() if reading.record else {}
    x, y, width, height = reading.region.bbox
    status = reading.status + (" (transplanted?)" if reading.transplanted else "")
    fields = [str(record.get(field) or "-") for field in ("asset", "owner", "user", "ingested_at")]
    return [
        status, _name(reading), *fields, f"{x},{y} {width}x{height}",
        f"{reading.region.area:.0%}", f"1e{reading.log10_p:.0f}",
    ]  # fmt: skip


def _name(reading: AnyReading) -> str:
    """The short link, or how much of a record there is."""
    from wam.recordmode import FoundRecord

    if isinstance(reading, FoundRecord):
        return f"record, {reading.reading.read} of {reading.reading.embedded or '?'} marks"
    return reading.link or "-"


def _write_pictures(picture: Picture, readings: list[AnyReading], overlay: Path | None, mask: Path | None) -> None:
    """Overlay and masks, each written whole or not at all."""
    from wam.images import write_picture

    for place in (overlay, mask):
        if place is not None and place.parent.name:
            place.parent.mkdir(parents=True, exist_ok=True)
    if overlay is not None:
        from wam.overlay import overlay as draw

        captions = [_caption(reading) for reading in readings]
        write_picture(overlay, draw(picture.pixels, [reading.region for reading in readings], captions))
    if mask is not None:
        from PIL import Image

        for number, reading in enumerate(readings, start=1):
            pixels = Image.fromarray(reading.mask.astype("uint8") * 255)
            write_picture(mask.with_name(f"{mask.name}.mask{number}.png"), pixels)


def _caption(reading: AnyReading) -> str:
    """A line each for the record, the link, and how sure both are, as far as there is such."""
    record = reading.record
    lines = [f"{record.asset} · {record.owner}" if record else "", _name(reading)]
    status = f"{reading.status}{' (transplanted?)' if reading.transplanted else ''}, chance 1e{reading.log10_p:.0f}"
    return "\n".join(show_name(line) for line in [*lines, status] if line not in ("", "-"))
