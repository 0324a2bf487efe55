"""Files that cannot be read or marked: one line each, and nothing is written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import wam
from tests.wam.cli.commands import MARK, Run, draw, error_line, files, objects


def huge_png() -> bytes:
    """A header of 60,000 x 60,000 pixels and nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def truncated(suffix: str) -> bytes:
    content = draw(f"whole{suffix}").read_bytes()
    Path(f"whole{suffix}").unlink()
    return content[: len(content) * 2 // 3]


BROKEN: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "text.png": lambda: b"this is not a picture\n" * 50,
    "truncated.png": lambda: truncated(".png"),
    "truncated.jpg": lambda: truncated(".jpg"),
    "truncated.webp": lambda: truncated(".webp"),
    "huge.png": huge_png,
}


@pytest.mark.parametrize(
    ("command", "name"),
    [("embed", name) for name in BROKEN] + [("detect", name) for name in BROKEN if "truncated" not in name],
)
def test_a_broken_file_is_one_line_and_nothing_is_written(run: Run, command: str, name: str) -> None:
    Path(name).write_bytes(BROKEN[name]())
    result = run(command, name, *(MARK if command == "embed" else ()), "--json")
    assert result.exit_code == {"embed": 1, "detect": 2}[command]
    line = error_line(result)
    assert line.startswith(f"{name}: expected ") and ", found " in line
    assert objects(result)[0]["error"] == line
    assert files() == [name]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_is_there_of_a_file_that_is_cut_short_is_read(run: Run, suffix: str, options: tuple[str, ...]) -> None:
    draw(f"in{suffix}")
    run("embed", f"in{suffix}", *MARK)
    content = Path(f"in.wm{suffix}").read_bytes()
    Path(f"cut{suffix}").write_bytes(content[: int(len(content) * 0.95)])
    result = run("detect", f"cut{suffix}", *options)
    assert result.exit_code == 0
    reason = "the file is cut short: what is there was searched"
    assert result.stderr == f"warning: cut{suffix}: {reason}\n"
    if options:
        (found,) = objects(result)
        assert (found["complete"], found["reason"], found["error"]) == (False, reason, None)
        assert [mark["status"] for mark in found["watermarks"]] == ["verified"]
        (whole,) = objects(run("detect", f"in.wm{suffix}", *options))
        assert (whole["complete"], whole["reason"]) == (True, None)


def test_pictures_of_other_kinds_are_counted_in_folders(run: Run) -> None:
    draw("photos/a.png")
    for name in ("b.psd", "deep/c.CR2", "deep/.d.svg", "e.txt"):
        Path("photos", name).parent.mkdir(exist_ok=True)
        Path("photos", name).write_bytes(b"x")
    embedded = run("embed", "photos", *MARK, "--out-dir", "out")
    said, summary = embedded.stderr.splitlines()
    assert embedded.exit_code == 0 and summary.startswith("1 marked, 2 skipped, 0 failed")
    assert said.startswith(
        "note: passed over 2 of kinds that are not read: photos/b.psd (Photoshop), photos/deep/c.CR2"
    )
    read = run("detect", "photos")
    assert read.stderr.splitlines()[0] == said and ", 2 of other kinds, 0 not read" in read.stderr


@pytest.mark.parametrize("suffix", [".jxl", ".jp2"])
def test_what_is_read_and_not_written_says_what_to_do(run: Run, suffix: str) -> None:
    if suffix == ".jxl":
        pytest.importorskip("pillow_jxl", reason="needs the extra [jxl]")
    draw(f"photos/in{suffix}")
    for options in ((), ("--out-dir", "out")):
        result = run("embed", "photos", *MARK, *options)
        assert result.exit_code == 1 and "which is read, not written, choose -o NAME.png" in error_line(result)
    assert run("embed", f"photos/in{suffix}", *MARK, "-o", "in.png").exit_code == 0
    assert run("detect", "in.png").exit_code == 0


def test_a_picture_of_one_pixel_cannot_be_marked(run: Run) -> None:
    Image.new("RGB", (1, 1)).save("dot.png")
    result = run("embed", "dot.png", *MARK)
    assert result.exit_code == 1
    assert error_line(result).startswith("dot.png: expected a picture of at least 32x32 pixels, found 1x1")
    assert files() == ["dot.png"]


def test_a_picture_of_one_pixel_cannot_be_searched(run: Run) -> None:
    Image.new("RGB", (1, 1)).save("dot.png")
    result = run("detect", "dot.png", "--json")
    assert (result.exit_code, objects(result)[0]["watermarks"]) == (2, [])
    assert error_line(result).startswith("dot.png: expected a picture of at least 32x32 pixels, found 1x1")


@pytest.mark.parametrize("command", ["embed", "detect"])
@pytest.mark.parametrize("name", ["none.png", "folder"])
def test_a_missing_file_and_an_empty_folder(run: Run, command: str, name: str) -> None:
    Path("folder").mkdir()
    result = run(command, name, *(MARK if command == "embed" else ()))
    assert result.exit_code == {"embed": 1, "detect": 2}[command]
    assert error_line(result).startswith(f"{name}: expected ")
    assert files() == []


def test_a_name_with_a_line_break_is_one_line(run: Run) -> None:
    Path("a\nb.png").write_bytes(b"")
    result = run("detect", "a\nb.png", "--json")
    assert error_line(result).startswith("a\\nb.png: ")
    assert objects(result)[0]["image"] == "a\nb.png"  # a program gets the name itself


def test_debug_shows_where_an_error_comes_from(run: Run) -> None:
    result = run("detect", "none.png", "--debug")
    assert isinstance(result.exception, wam.ImageError)
