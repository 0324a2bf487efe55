"""Pictures that ``wam detect`` writes: overlays with the marks outlined, and masks."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from wam.cli import common
from wam.cli.choices import Engine
from wam.errors import WamError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wam.jobs.plan import Source
    from wam.pictures.files import Picture
    from wam.pipeline.contract import DetectObject, WatermarkObject
    from wam.pipeline.read import AnyReading
    from wam.region import Region

    # the place of a source, its picture, and of each mark region, what is said of it and its mask
    DrawMarks = Callable[
        [int, Callable[[], Picture], Sequence[Region], Sequence[WatermarkObject], Iterable[NDArray[np.bool_]]], None
    ]


def plan_pictures(
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


def draw_read(draw: DrawMarks, left: list[int], place: int, picture: Picture, readings: Sequence[AnyReading]) -> None:
    """Draws the picture at a place among those that are left."""
    from wam.pipeline.contract import watermark_object

    said = [watermark_object(reading) for reading in readings]
    draw(left[place], lambda: picture, [one.region for one in readings], said, (one.mask for one in readings))


def draw_said(
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
