"""``wam detect``: every watermark of a picture, with its region and its record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wam.cli import common
from wam.errors import show_name

if TYPE_CHECKING:
    from payload.registry import Registry
    from wam.images import Picture
    from wam.jobs import Reading
    from wam.marker import Watermarker


def detect(
    images: common.Images,
    as_json: common.JsonOption = False,
    overlay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the picture with its watermarks outlined; one input only."),
    ] = None,
    overlay_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The same for several inputs: NAME.overlay.png each.")
    ] = None,
    mask_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each mask: NAME.mask1.png, NAME.mask2.png, ...")
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Search every resolution even when a mark was found.")
    ] = False,
    registry: common.RegistryOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = common.DEFAULT_MODEL,
    device: common.DeviceOption = "auto",
    debug: common.DebugOption = False,
) -> None:
    """List each watermark of each picture: its record, its region, how sure it is.

    Exit status 0: every picture carries at least one. 1: some picture carries none, or could not be read.
    """
    from wam.images import expand_inputs

    sources = expand_inputs(images)
    if overlay is not None and len(sources) != 1:
        common.fail(f"--overlay: expected one input, found {len(sources)}; use --overlay-dir")
    stems = {_stem(source) for source in sources}
    for option, folder in (("--overlay-dir", overlay_dir), ("--mask-dir", mask_dir)):
        if folder is not None and len(stems) < len(sources):
            common.fail(
                f"{option}: expected a different name for each input, found the same twice; take them one by one"
            )
    common.refuse_inputs((_overlay_name(source, overlay, overlay_dir) for source in sources), sources, "choose another")
    for folder in (overlay_dir, mask_dir):
        if folder is not None:
            common.make_folder(folder)
    marker = common.load_marker(model, device, key_file, reading=True)
    records = common.open_registry_for_reading(registry)
    complete = True
    for source in common.with_progress(sources, "detecting"):
        try:
            picture, readings = _read(marker, source, records, thorough)
            _write_pictures(picture, readings, _overlay_name(source, overlay, overlay_dir), mask_dir, source)
        except common.EXPECTED_ERRORS as error:
            if debug:
                raise
            complete = False
            message = common.about(source, error)
            common.report(message)
            if as_json:
                common.print_json(_object(source, None, [], marker.name, message))
            continue
        complete = complete and bool(readings)
        if as_json:
            common.print_json(_object(source, picture, readings, marker.name, None))
        else:
            _print_table(source, readings)
    if not complete:
        raise typer.Exit(1)


def _read(
    marker: Watermarker, source: str | Path, registry: Registry | None, thorough: bool
) -> tuple[Picture, list[Reading]]:
    from wam.jobs import detect_file

    return detect_file(marker, source, registry, thorough=thorough)


def _object(
    source: str | Path, picture: Picture | None, readings: list[Reading], model: str, error: str | None
) -> dict[str, Any]:
    """The contract's object for one image."""
    return {
        "image": os.fspath(source),
        "width": picture.width if picture else None,
        "height": picture.height if picture else None,
        "model": model,
        "watermarks": [reading.to_dict() for reading in readings],
        "error": error,
    }


def _print_table(source: str | Path, readings: list[Reading]) -> None:
    """A line, and a table where there is something to tell."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    name = show_name(str(source))
    if not readings:
        typer.echo(f"{name}: no watermark")
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    typer.echo(f"{name}: {len(readings)} watermark{'s' if len(readings) > 1 else ''}")
    columns = ("status", "link", "asset", "owner", "user", "ingested", "region x,y wxh", "area", "chance")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for reading in readings:
        table.add_row(*(Text(cell) for cell in _cells(reading)))
    console.print(table)


def _cells(reading: Reading) -> list[str]:
    record = reading.entry.record.to_dict() if reading.entry else {}
    x, y, width, height = reading.detection.region.bbox
    status = reading.match.status + (" (transplanted?)" if reading.transplanted else "")
    fields = [str(record.get(field) or "-") for field in ("asset", "owner", "user", "ingested_at")]
    return [
        status, reading.link or "-", *fields, f"{x},{y} {width}x{height}",
        f"{reading.detection.region.area:.0%}", f"1e{reading.match.log10_p:.0f}",
    ]  # fmt: skip


def _overlay_name(source: str | Path, overlay: Path | None, overlay_dir: Path | None) -> Path | None:
    if overlay is not None or overlay_dir is None:
        return overlay
    return overlay_dir / f"{_stem(source)}.overlay.png"


def _stem(source: str | Path) -> str:
    return "stdin" if source == "-" else Path(source).stem


def _write_pictures(
    picture: Picture, readings: list[Reading], overlay: Path | None, mask_dir: Path | None, source: str | Path
) -> None:
    """Overlay and masks, each written whole or not at all."""
    from wam.images import write_picture

    if overlay is not None:
        from wam.overlay import overlay as draw

        captions = [_caption(reading) for reading in readings]
        write_picture(overlay, draw(picture.pixels, [reading.detection.region for reading in readings], captions))
    if mask_dir is not None:
        from PIL import Image

        for number, reading in enumerate(readings, start=1):
            mask = Image.fromarray(reading.detection.mask.astype("uint8") * 255)
            write_picture(mask_dir / f"{_stem(source)}.mask{number}.png", mask)


def _caption(reading: Reading) -> str:
    if reading.entry is None:
        return f"{reading.link or 'watermark'} · {reading.match.status}"
    return f"{reading.entry.record.asset} · {reading.entry.record.owner} · {reading.link}"
