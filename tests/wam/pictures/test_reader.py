"""File content that is damaged, hostile or of another kind: read whole, or refused in one line."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.wam.pictures.pictures import (
    HEIGHT,
    SRGB,
    WIDTH,
    deep_colours,
    described_exif,
    opened,
    sample,
    saved,
    tiff16,
    with_valid_sums,
)
from tests.wam.pictures.test_animation import animated
from wam.errors import ImageError
from wam.pictures.animation import read_animation
from wam.pictures.files import encode_image, read_image


def test_phone_picture_with_a_second_one_inside_is_a_jpeg() -> None:
    content = saved(sample("RGB"), "MPO", save_all=True, append_images=[sample("RGB")])
    picture = read_image(content)
    assert picture.format == "JPEG"
    content, lost = encode_image(picture.pixels, like=picture, format="JPEG")
    assert lost == () and opened(content).n_frames == 2


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_truncated_file_is_refused(tmp_path: Path, format: str, share: float) -> None:
    content = saved(sample("RGB"), format)
    path = tmp_path / "cut.png"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ImageError) as error:
        read_image(path)
    assert str(error.value).isprintable()
    assert str(error.value).startswith(f"{path}: expected ")


def png_that_speaks_of_its_end() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "chunks: IHDR IDAT IEND")
    return saved(sample("RGB"), "PNG", pnginfo=info)


@pytest.mark.parametrize("missing", [12, 8, 4, 1])
@pytest.mark.parametrize("make", [lambda: saved(sample("RGB"), "PNG"), png_that_speaks_of_its_end])
def test_png_without_its_whole_end_is_refused(make: Callable[[], bytes], missing: int) -> None:
    with pytest.raises(ImageError, match=r"PNG file that is damaged, cut short .*\(no IEND chunk\)"):
        read_image(make()[:-missing])


def test_animated_png_without_its_end_is_refused() -> None:
    content = animated("PNG")
    with pytest.raises(ImageError, match=r"PNG file that is damaged, cut short .*\(no IEND chunk\)"):
        read_animation(content[:-12])
    assert len(read_animation(content).pictures) == 3


@pytest.mark.parametrize("more", [b"x", bytes(64), saved(sample("L"), "PNG")], ids=["byte", "zeros", "another"])
def test_what_follows_the_end_of_a_png_is_not_looked_at(more: bytes) -> None:
    content = png_that_speaks_of_its_end()
    assert (read_image(content + more).pixels == read_image(content).pixels).all()


def huge_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    plain = saved(sample("RGB"), "PNG")
    return plain[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + plain[33:]


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    "zeros": (bytes(4096), "only zero bytes"),
    "text": (b"this is not a picture\n" * 20, "no picture data"),
    "100000x100000": (huge_png(100_000, 100_000), "10,000,000,000"),
    "11000x11000": (huge_png(11_000, 11_000), "11000x11000"),
    "0x0": (huge_png(0, 0), "PNG"),
    "header only": (saved(sample("RGB"), "PNG")[:33], "PNG"),
    "two marker bytes": (b"\xff\xd8", "JPEG"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(100), "HEI[CF] file"),
    "animated gif": (
        saved(sample("P"), "GIF", save_all=True, append_images=[sample("L")]),
        r"several pages \(GIF\)",
    ),
    "animated png": (
        saved(sample("RGB"), "PNG", save_all=True, append_images=[sample("RGB").rotate(90)]),
        r"several pages \(PNG\)",
    ),
    "animated webp": (
        saved(sample("RGB"), "WEBP", save_all=True, append_images=[sample("RGB").rotate(90)]),
        r"several pages \(WEBP\)",
    ),
    "two pages": (
        saved(sample("RGB"), "TIFF", save_all=True, append_images=[sample("RGB")]),
        r"several pages \(TIFF\)",
    ),
    "float": (saved(sample("F"), "TIFF"), "F stored as F;32F"),
    "16-bit planes": (tiff16(deep_colours(), prefix=b"II", planar=True), "in separate planes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, found = BROKEN[name]
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=f"^{path}: expected .*{found}") as error:
        read_image(path)
    assert str(error.value).isprintable()


def test_without_its_plugin_heic_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    with pytest.raises(ImageError, match=r"found an HEIC file and no plugin for it, run: pip install pillow-heif"):
        read_image(b"\0\0\0\x18ftypheic" + bytes(100))


def test_large_picture_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(sample("RGB"), "BMP")
    assert read_image(content, max_pixels=WIDTH * HEIGHT).width == WIDTH
    monkeypatch.setattr(Image.Image, "load", lambda picture: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=f"at most 2,239 pixels, found {WIDTH}x{HEIGHT}, use a smaller copy"):
        read_image(content, max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_pillow_does_not_warn_of_large_pictures(monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    content = saved(sample("RGB"), format)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    assert read_image(content).width == WIDTH


def test_threads_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [saved(sample("RGB"), format) for format in ("PNG", "TIFF", "GIF", "WEBP")] * 8
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(read_image, contents))
    expected = [read_image(content).pixels for content in contents[:4]] * 8
    assert all((a.pixels == b).all() for a, b in zip(pictures, expected, strict=True))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
def test_mutated_files_are_read_or_refused(format: str) -> None:
    random = np.random.default_rng(zlib.crc32(format.encode()))
    options = {} if format == "GIF" else {"exif": described_exif(), "icc_profile": SRGB}
    original = saved(sample("RGB"), format, **options)
    outcomes = set()
    for _ in range(50):
        mutated = bytearray(original)
        for _ in range(random.integers(1, 8)):  # more often near the start, where headers are
            end = 1 + len(mutated) // random.integers(1, 20)
            mutated[random.integers(end) - 1] = random.integers(256)
        content = bytes(mutated)
        outcomes.add(_outcome(with_valid_sums(content) if format == "PNG" else content))
    assert outcomes == {"read", "refused"}


def _outcome(content: bytes) -> str:
    try:
        picture = read_image(content)
        if picture.width * picture.height < 100_000:
            encode_image(picture.pixels, like=picture, format=picture.format)
    except ImageError as error:
        assert str(error).isprintable()
        return "refused"
    return "read"
