"""Files that end too early: what is there is shown for reading, and never taken for a whole file."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.wam.pictures.pictures import deep_colours, described_exif, interlaced, png16, saved
from tests.wam.pictures.test_animation import animated
from tests.wam.synthetic import smooth_picture
from wam.errors import ImageError
from wam.pictures.containers import items
from wam.pictures.cut_short import completions
from wam.pictures.files import read_image
from wam.pictures.formats import heif_works
from wam.pictures.reader import decode, read_what_is_there
from wam.pipeline.read import open_pictures

PICTURE = smooth_picture(200, 300)
COMPLETED: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 90}),
    "progressive jpeg": ("JPEG", {"quality": 90, "progressive": True}),
    "png": ("PNG", {}),
    "lossy webp": ("WEBP", {"quality": 90}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {"interlace": 0}),
    "bmp": ("BMP", {}),
    "raw tiff": ("TIFF", {}),
    "heic": ("HEIF", {"quality": 90}),
    "avif": ("AVIF", {"quality": 90}),
    "avif in tiles": ("AVIF", {"quality": 90, "tile_rows": 1, "tile_cols": 1}),
    "avif, grey, fine": ("AVIF", {"quality": 98, "subsampling": "4:4:4"}),
}


@pytest.mark.parametrize("share", [0.999, 0.9, 0.5])
@pytest.mark.parametrize("name", COMPLETED)
def test_what_is_there_is_shown(name: str, share: float) -> None:
    format, options = COMPLETED[name]
    if format == "HEIF" and not heif_works():
        pytest.skip("needs the extra [heic]")
    content = saved(Image.fromarray(PICTURE), format, **options)
    cut = content[: int(len(content) * share)]
    with pytest.raises(ImageError, match="cut short"):
        read_image(cut)
    (picture,) = open_pictures(cut)
    assert picture.cut_short
    right = np.abs(picture.pixels.astype(int) - read_image(content).pixels).mean(axis=(1, 2)) < 12
    there = int(200 * share * 0.8)
    assert (right[-there:] if format == "BMP" else right[:there]).all()  # which starts at the bottom


@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
def test_metadata_and_transparency_that_are_cut_hide_no_picture(format: str) -> None:
    if format == "HEIF" and not heif_works():
        pytest.skip("needs the extra [heic]")
    noise = np.random.default_rng(2).integers(0, 40, PICTURE.shape, dtype=np.uint8)
    pixels = np.dstack([PICTURE // 2 + noise, np.full(PICTURE.shape[:2], 200, np.uint8)])
    content = saved(Image.fromarray(pixels), format, quality=80, exif=described_exif(), xmp=b"<x/>" * 3000)
    found, places = items.read(content), items.extents(content)
    assert found is not None and len(places) >= 3
    ((picture_start, _),) = places[found.primary]
    for number, ((start, size),) in places.items():
        cut = content[: start + size // 2]
        if len(cut) <= picture_start:
            with pytest.raises(ImageError, match="cut short"):
                open_pictures(cut)
        else:
            (picture,) = open_pictures(cut)
            assert picture.cut_short and picture.pixels.shape == PICTURE.shape, number


def test_why_a_cut_file_is_not_shown() -> None:
    content = saved(Image.fromarray(PICTURE), "AVIF", quality=80)
    for size in (12, 40, 200, content.index(b"mdat") + 4):
        with pytest.raises(ImageError, match="an AVIF file that is cut short before its pixels"):
            open_pictures(content[:size])


@pytest.mark.parametrize("make", [lambda: interlaced(smooth_picture(64, 90)), lambda: png16(deep_colours(bands=4))])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_png_of_every_kind(make: Any, share: float) -> None:
    content = make()
    whole = read_image(content)
    (picture,) = open_pictures(content[: int(len(content) * share)])
    assert picture.mode == whole.mode and picture.pixels.shape == whole.pixels.shape
    assert (picture.pixels[0, ::8] == whole.pixels[0, ::8]).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_any_cut_is_read_or_refused_in_one_line(format: str) -> None:
    content = saved(Image.fromarray(smooth_picture(40, 56)), format)
    outcomes = set()
    for size in range(0, len(content), max(1, len(content) // 60)):
        try:
            picture, cut = read_what_is_there(content[:size], lambda one: decode(one, name="x"))
            assert cut and picture.pixels.shape == (40, 56, 3)
            outcomes.add("read")
        except ImageError as error:
            assert str(error).isprintable() and str(error).startswith("x: expected ")
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_an_animation_is_read_up_to_where_it_ends(format: str) -> None:
    content = animated(format)
    cut = content[: int(len(content) * 0.8)]
    with pytest.raises(ImageError):
        open_pictures(content[:20], frames=True)
    pictures = open_pictures(cut, frames=True)
    assert 0 < len(pictures) <= 3 and all(picture.cut_short for picture in pictures)


def test_a_whole_file_is_not_called_cut() -> None:
    assert not open_pictures(saved(Image.fromarray(PICTURE), "JPEG"))[0].cut_short


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF", b"BM", b"II*\0", b"text"]
)
def test_too_little_is_nothing(content: bytes) -> None:
    assert list(completions(content)) == []


def test_a_bomb_is_not_unpacked() -> None:
    header = saved(Image.new("L", (1, 1)), "PNG")[:33]
    huge = header[:16] + (60_000).to_bytes(4, "big") * 2 + header[24:]
    assert list(completions(huge + b"\0\0\xff\xffIDAT" + bytes(100))) == []


def test_more_rows_than_any_picture_has_are_not_counted_out() -> None:
    header = saved(Image.new("L", (1, 1)), "PNG")[:33]
    huge = header[:20] + (2**31 - 1).to_bytes(4, "big") + header[24:]
    tracemalloc.start()
    try:
        assert list(completions(huge + b"\0\0\xff\xffIDAT" + bytes(100))) == []
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def chunked(size: int, kind: bytes) -> bytes:
    whole = saved(Image.fromarray(PICTURE), "WEBP", lossless=True)
    return whole + kind + size.to_bytes(4, "little") + bytes(100)


def raw_tiff(size: int) -> bytes:
    whole = saved(Image.new("L", (40, 40)), "TIFF")
    return whole.replace((1600).to_bytes(4, "little"), size.to_bytes(4, "little"))


STATED = {
    "a box": lambda size: b"\0\0\0\x18ftypavif" + bytes(12) + size.to_bytes(4, "big") + b"mdat" + bytes(100),
    "a chunk of pixels": lambda size: chunked(size, b"VP8L"),
    "another chunk": lambda size: chunked(size, b"what"),
    "a strip": raw_tiff,
    "a GIF": lambda size: (
        b"GIF89a" + min(size >> 12, 0xFFFF).to_bytes(2, "little") * 2 + bytes([0, 0, 0, 0x2C, *bytes(9), 2, 9])
    ),
    "rows": lambda size: rows_of(size),
}


def rows_of(size: int) -> bytes:
    header = saved(Image.new("L", (1, 1)), "PNG")[:33]
    side = int(size**0.5).to_bytes(4, "big")
    data = zlib.compress(bytes(100))
    return header[:16] + side * 2 + header[24:] + len(data + bytes(9)).to_bytes(4, "big") + b"IDAT" + data


@pytest.mark.parametrize("size", [0x0500_0000, 0x2FFF_FFFF])
@pytest.mark.parametrize("name", STATED)
def test_what_states_much_more_than_there_is_is_not_filled_up(name: str, size: int) -> None:
    content = STATED[name](size)
    tracemalloc.start()
    try:
        list(completions(content))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
