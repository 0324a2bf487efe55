"""The table of formats in docs/formats.md, cell by cell, and every variant of every format through the tool."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.wam.pictures.pictures import (
    SRGB,
    XMP,
    colours,
    deep_colours,
    described_exif,
    header,
    interlaced,
    marked,
    opened,
    png16,
    ramp,
    sample,
    saved,
    tiff16,
)
from wam.errors import ImageError
from wam.pictures.animation import encode_animation, read_animation
from wam.pictures.files import Picture, encode_image, read_image
from wam.pictures.formats import heif_works

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"
FORMATS = {"PNG": "PNG", "JPEG": "JPEG", "WebP": "WEBP", "AVIF": "AVIF", "HEIC": "HEIF", "TIFF": "TIFF", "BMP": "BMP",
           "GIF": "GIF"}  # fmt: skip


def table() -> dict[str, dict[str, str]]:
    """The page's cells by format and column."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    start = next(index for index, line in enumerate(lines) if line.startswith("| saved as"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start : start + 2 + len(FORMATS)]]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


def resave(content: bytes, format: str) -> tuple[Picture, bytes, tuple[str, ...]]:
    picture = read_image(content)
    again, lost = encode_image(marked(picture), like=picture, format=format)
    return picture, again, lost


def mode_outcome(content: bytes, format: str, mode: str, name: str) -> str:
    _, again, lost = resave(content, format)
    if "colours beyond 255" in lost:
        assert 200 < len(opened(again).convert("RGB").getcolors(1000) or []) <= 255
        return "255 colours"
    if read_image(again).mode == mode:
        assert name not in lost
        return "kept"
    assert read_image(again).mode == "RGB"
    assert mode == "L" or name in lost
    return "as RGB"


def alpha_outcome(format: str) -> str:
    try:
        _, again, lost = resave(saved(sample("RGBA"), "PNG"), format)
    except ImageError as error:
        assert "found transparent parts" in str(error)
        return "refused"
    after = np.array(opened(again).convert("RGBA"))[..., 3].astype(int)
    if "partial transparency" in lost:
        assert set(np.unique(after)) == {0, 255}
        return "on or off"
    if "exact transparency" in lost:
        assert np.abs(after - ramp()).max() < 12
        return "nearly"
    assert (after == ramp()).all()
    return "kept"


def depth_outcome(format: str) -> str:
    picture, again, lost = resave(png16(deep_colours()), format)
    after = read_image(again)
    if after.samples is not None and after.samples.dtype == np.uint16:
        change = marked(picture).astype(int) - picture.pixels
        assert (after.samples == deep_colours() + 257 * change).all()
        assert lost == ()
        return "kept"
    assert "bits beyond 8" in lost
    return "8 bits"


def contents(picture: Any) -> bytes:
    """The file itself: Pillow shows no XMP of a GIF."""
    return picture.fp.getvalue() if picture.format == "GIF" else b""


METADATA: dict[str, tuple[str, dict[str, Any], Callable[[Any], bool]]] = {
    "ICC": ("ICC profile", {"icc_profile": SRGB}, lambda picture: picture.info.get("icc_profile") == SRGB),
    "EXIF": ("EXIF", {"exif": described_exif()}, lambda picture: picture.getexif().get(271) == "Maker"),
    "XMP": (
        "XMP",
        {"xmp": XMP},
        lambda picture: b"adobe:ns:meta" in bytes(str(picture.info).encode()) or b"adobe:ns:meta" in contents(picture),
    ),
    "DPI": ("resolution", {"dpi": (300, 300)}, lambda picture: round(picture.info.get("dpi", (0,))[0]) == 300),
    "text": ("text", {"text": "hello"}, lambda picture: "hello" in str(getattr(picture, "text", ""))),
}


def metadata_outcome(column: str, format: str) -> str:
    name, options, found = METADATA[column]
    info = PngImagePlugin.PngInfo()
    if column == "XMP":
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    if column == "text":
        info.add_text("Title", "hello")
    options = {key: value for key, value in options.items() if key not in ("xmp", "text")}
    _, again, lost = resave(saved(sample("RGB"), "PNG", pnginfo=info, **options), format)
    assert found(header(again)) == (name not in lost)
    return "said" if name in lost else "kept"


def animation_outcome(format: str) -> str:
    frames = [Image.fromarray(np.roll(colours(), shift, axis=1)) for shift in (0, 5)]
    animation = read_animation(saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100))
    try:
        content, _ = encode_animation([p.pixels for p in animation.pictures], like=animation, format=format)
    except ImageError:
        return "refused"
    assert read_animation(content).durations == (100, 100)
    return "kept"


COLUMNS: dict[str, Callable[[str], str]] = {
    "grey": lambda format: mode_outcome(saved(sample("L"), "PNG"), format, "L", "grey"),
    "palette": lambda format: mode_outcome(saved(sample("P"), "PNG"), format, "P", "palette"),
    "CMYK": lambda format: mode_outcome(saved(sample("CMYK"), "TIFF"), format, "CMYK", "CMYK inks"),
    "alpha": alpha_outcome,
    "16 bit": depth_outcome,
    **{column: lambda format, column=column: metadata_outcome(column, format) for column in METADATA},  # type: ignore[misc]
    "animation": animation_outcome,
}


def test_the_readme_has_every_cell() -> None:
    assert list(table()) == list(FORMATS)
    assert all(list(row) == list(COLUMNS) for row in table().values())


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", FORMATS)
def test_the_cell_says_what_happens(name: str, column: str) -> None:
    if name == "HEIC" and not heif_works():
        pytest.skip("pillow-heif is not installed")
    assert table()[name][column] == COLUMNS[column](FORMATS[name])


RGBA16 = deep_colours(bands=4)
VARIANTS: dict[str, Callable[[], bytes]] = {
    "jpeg baseline": lambda: saved(sample("RGB"), "JPEG", quality=90),
    "jpeg progressive": lambda: saved(sample("RGB"), "JPEG", quality=90, progressive=True),
    "jpeg optimised 4:2:0": lambda: saved(sample("RGB"), "JPEG", quality=90, optimize=True, subsampling=2),
    "jpeg cmyk": lambda: saved(sample("CMYK"), "JPEG", quality=90),
    "jpeg grey": lambda: saved(sample("L"), "JPEG", quality=90),
    "png grey": lambda: saved(sample("L"), "PNG"),
    "png grey alpha": lambda: saved(sample("LA"), "PNG"),
    "png rgb": lambda: saved(sample("RGB"), "PNG"),
    "png alpha": lambda: saved(sample("RGBA"), "PNG"),
    "png palette": lambda: saved(sample("P"), "PNG"),
    "png bilevel": lambda: saved(sample("1"), "PNG"),
    "png interlaced": lambda: interlaced(colours()),
    "png interlaced alpha": lambda: interlaced(np.dstack([colours(), ramp()])),
    "png 16": lambda: png16(deep_colours()),
    "png 16 alpha": lambda: png16(RGBA16),
    "png 16 interlaced": lambda: interlaced(deep_colours()),
    "webp lossy": lambda: saved(sample("RGB"), "WEBP", quality=90),
    "webp lossless": lambda: saved(sample("RGB"), "WEBP", lossless=True),
    "webp alpha": lambda: saved(sample("RGBA"), "WEBP", quality=90),
    "avif": lambda: saved(sample("RGB"), "AVIF", quality=90),
    "avif alpha": lambda: saved(sample("RGBA"), "AVIF", quality=90),
    "tiff": lambda: saved(sample("RGB"), "TIFF"),
    "tiff lzw": lambda: saved(sample("RGB"), "TIFF", compression="tiff_lzw"),
    "tiff big-endian": lambda: tiff16(colours(), prefix=b"MM"),
    "tiff tiled": lambda: tiff16(colours(), prefix=b"II", tile=16),
    "tiff 16": lambda: tiff16(deep_colours(), prefix=b"II"),
    "tiff 16 tiled": lambda: tiff16(RGBA16, prefix=b"MM", tile=16),
    "tiff cmyk": lambda: saved(sample("CMYK"), "TIFF"),
    "bmp": lambda: saved(sample("RGB"), "BMP"),
    "bmp palette": lambda: saved(sample("P"), "BMP"),
    "gif": lambda: saved(sample("P"), "GIF"),
    "gif grey": lambda: saved(sample("L"), "GIF"),
    "heic": lambda: saved(sample("RGB"), "HEIF", quality=90),
    "heic alpha": lambda: saved(sample("RGBA"), "HEIF", quality=90),
}
MEAN_ERROR = {"jpeg": 2.5, "webp": 2.5, "avif": 2.5, "heic": 2.5, "gif": 3.0}  # 8-bit levels, those of a lossy codec


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_marked_in_its_own_format(name: str) -> None:
    if name.startswith("heic") and not heif_works():
        pytest.skip("pillow-heif is not installed")
    content = VARIANTS[name]()
    picture = read_image(content)
    wanted = marked(picture)
    again, _ = encode_image(wanted, like=picture, format=picture.format)
    after = read_image(again)
    assert after.format == picture.format == FORMATS[{"webp": "WebP"}.get(name.split()[0], name.split()[0].upper())]
    assert re.sub("^(P|1)$", "", after.mode) in (picture.mode, "", *(["RGB", "L"] if picture.mode in "P1" else []))
    seen = slice(None) if after.alpha is None else after.alpha > 0
    error = np.abs(after.pixels.astype(int) - wanted)[seen]
    assert error.mean() <= MEAN_ERROR.get(name.split()[0], 0)
    assert (picture.alpha is None) == (after.alpha is None)


def test_heic_keeps_what_it_says_of_itself() -> None:
    if not heif_works():
        pytest.skip("pillow-heif is not installed")
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Maker"
    for chroma in ("4:2:0", "4:2:2", "4:4:4"):
        content = saved(sample("RGB"), "HEIF", quality=90, exif=exif, xmp=XMP, icc_profile=SRGB, subsampling=chroma)
        picture, again, lost = resave(content, "HEIF")
        assert (picture.width, picture.height) == (40, 56)  # turned upright by its decoder
        assert read_image(again).settings.subsampling == picture.settings.subsampling == chroma
        after = opened(again)
        assert (after.size, after.getexif()[271], after.info["icc_profile"]) == ((40, 56), "Maker", SRGB)
        assert after.getexif().get(274, 1) == 1
        assert b"adobe:ns:meta" in after.info["xmp"]
        assert lost == ()
