"""Files: what is read and refused, what a failed write leaves, and how names are made."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.wam.pictures.pictures import HEIGHT, WIDTH, colours, sample, saved
from wam.errors import ImageError
from wam.pictures import atomic_write, files
from wam.pictures.files import (
    Picture,
    default_output,
    encode_image,
    expand_inputs,
    format_of,
    read_content,
    read_image,
    require_size,
    write_bytes,
)
from wam.pictures.formats import SUFFIXES


def test_content_wins_over_the_name(tmp_path: Path) -> None:
    path = tmp_path / "wrong.png"
    path.write_bytes(saved(sample("RGB"), "JPEG"))
    assert read_image(path).format == "JPEG"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(saved(sample("RGB"), "PNG")))
    monkeypatch.setattr(sys, "stdin", stream)
    picture = read_image("-")
    assert (picture.name, picture.width, picture.height) == ("standard input", WIDTH, HEIGHT)


def test_open_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(sample("RGB"), "PNG"))
    with open(tmp_path / "a.png", "rb") as stream:
        assert read_image(stream).name == str(tmp_path / "a.png")


def test_endless_file_is_refused() -> None:
    assert read_content(io.BytesIO(bytes(1000)), max_bytes=1000) == (bytes(1000), "picture")
    with pytest.raises(ImageError, match="at most 1,000 bytes, found more"):
        read_content(io.BytesIO(bytes(1001)), max_bytes=1000)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (31, 200), (200, 31)])
def test_small_picture_is_read_and_refused_where_a_size_is_required(size: tuple[int, int]) -> None:
    picture = read_image(saved(Image.new("RGB", size), "PNG"))
    assert (picture.width, picture.height) == size
    with pytest.raises(ImageError, match=f"at least 32x32 pixels, found {size[0]}x{size[1]}, use a larger copy"):
        require_size(picture, 32)
    require_size(picture, min(size))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file") as error:
        read_image(tmp_path / "two\nlines.png")
    assert str(error.value).isprintable()
    assert str(error.value).startswith(f"{tmp_path}/two\\nlines.png: ")


def test_undecodable_name_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as error:
        read_image(tmp_path / os.fsdecode(b"\xff.png"))
    assert "\\xff.png" in str(error.value)
    assert str(error.value).isprintable()


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="found a folder"):
        read_image(tmp_path)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "open", deny, raising=False)
    with pytest.raises(ImageError, match="Permission denied"):
        read_image(tmp_path / "a.png")


def test_null_character_in_a_name() -> None:
    with pytest.raises(ImageError, match=r"^a\\x00.png: "):
        read_image("a\0.png")


def no_change() -> Picture:
    return read_image(saved(sample("RGB"), "PNG"))


@pytest.mark.parametrize(("suffix", "format"), SUFFIXES.items())
def test_extension_decides_the_format(tmp_path: Path, suffix: str, format: str) -> None:
    path = tmp_path / f"out{suffix.upper()}"
    assert format_of(path) == format
    write_bytes(path, encode_image(no_change().pixels, like=no_change(), format=format)[0])
    assert read_image(path).format == format
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.xyz", "out"])
def test_unknown_extension_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match=rf"^{name}: expected an output name ending in \.png, .* choose one of these$"):
        format_of(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixels": colours(height=33)}, r"expected \(40, 56, 3\) uint8"),
        ({"pixels": colours() / 255}, "found .* float64"),
        ({"format": "XYZ"}, "found XYZ"),
        ({"quality": 0}, "quality from 1 to 100"),
    ],
)
def test_wrong_arguments(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"pixels": colours(), "like": no_change(), "format": "PNG"} | change
    with pytest.raises(ValueError, match=message):
        encode_image(**arguments)


def fail_with(error: BaseException) -> Callable[..., None]:
    def fail(*args: object, **options: object) -> None:
        raise error

    return fail


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(("error", "raised"), [(FULL, ImageError), (KeyboardInterrupt(), KeyboardInterrupt)])
def test_failed_write_leaves_everything_as_it_was(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: BaseException,
    raised: type[BaseException],
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, step, fail_with(error))
    with pytest.raises(raised):
        write_bytes(path, b"after")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"before"


def test_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.png"
    monkeypatch.setattr(Path, "write_bytes", fail_with(FULL))
    with pytest.raises(ImageError, match=f"^{path}: .*No space left on device, "):
        write_bytes(path, b"content")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
def test_place_that_takes_no_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(atomic_write, "open", fail_with(OSError(code, os.strerror(code))), raising=False)
    with pytest.raises(ImageError, match=f"can be written, found {os.strerror(code)}, choose another place$"):
        write_bytes(tmp_path / "out.png", b"content")
    assert not list(tmp_path.iterdir())


NAMES = ["two words.png", "new\nline.png", "-dash.png", "quote'\".png", os.fsdecode(b"\xff\xfe.png"), "\u202eagnp.png"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_read_written_and_shown_on_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(saved(sample("RGB"), "PNG"))
    picture = read_image(tmp_path / name)
    output = default_output(tmp_path / name)
    write_bytes(output, encode_image(picture.pixels, like=picture, format=picture.format, name=str(output))[0])
    assert (read_image(output).pixels == picture.pixels).all()
    assert set(expand_inputs([tmp_path])) == {tmp_path / name, output}
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ImageError, match="found an empty file") as error:
        read_image(tmp_path / name)
    assert str(error.value).isprintable()


def test_long_thin_picture_is_read_and_marked_or_refused() -> None:
    thin = read_image(saved(Image.new("RGB", (1, 100_000)), "PNG"))
    assert (thin.width, thin.height) == (1, 100_000)
    with pytest.raises(ImageError, match="found 1x100000, use a larger copy"):
        require_size(thin, 32)
    long = read_image(saved(Image.new("RGB", (100_000, 32)), "PNG"))
    require_size(long, 32)
    with pytest.raises(ImageError, match=r"fits JPEG, found 100000x32 .* write a \.png$"):
        encode_image(long.pixels, like=long, format="JPEG")


def test_missing_output_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file or directory"):
        write_bytes(tmp_path / "none" / "out.png", b"")


def test_output_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out.png").mkdir()
    with pytest.raises(ImageError, match="directory"):
        write_bytes(tmp_path / "out.png", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_folder_is_expanded_in_order(tmp_path: Path) -> None:
    names = [
        "b.png",
        "a.JPG",
        "deep/er/c.webp",
        "notes.txt",
        ".hidden.png",
        ".cache/d.png",
        "new\nline.png",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    expected = ["a.JPG", "b.png", "deep/er/c.webp", "new\nline.png"]
    assert expand_inputs([str(tmp_path), "-", "x.txt"]) == [
        *(tmp_path / name for name in expected),
        "-",
        Path("x.txt"),
    ]


def test_symlink_loops_end(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    assert expand_inputs([tmp_path]) == [tmp_path / "in" / "a.png", tmp_path / "self.png"]
    with pytest.raises(ImageError, match="symbolic links"):
        read_image(tmp_path / "self.png")


def test_linked_folder_is_followed_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").touch()
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "one").symlink_to(tmp_path / "real")
    (tmp_path / "album" / "two").symlink_to(tmp_path / "real")
    assert expand_inputs([tmp_path / "album"]) == [tmp_path / "album" / "one" / "a.png"]


def test_empty_folder_gets_its_own_error(tmp_path: Path) -> None:
    (inputs,) = expand_inputs([tmp_path])
    with pytest.raises(ImageError, match="found a folder with none"):
        read_image(inputs)


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("in.png", None, "in.wm.png"),
        ("a/b.c.JPG", None, "a/b.c.wm.JPG"),
        ("scan", "TIFF", "scan.wm.tif"),
        ("photo.dat", "JPEG", "photo.dat.wm.jpg"),
        ("photo.png", "JPEG", "photo.wm.png"),
    ],
)
def test_default_output(name: str, format: str | None, expected: str) -> None:
    assert default_output(name, format=format) == Path(expected)
