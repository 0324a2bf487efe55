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


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", ["embed", "detect"])
def test_a_broken_file_is_one_line_and_nothing_is_written(run: Run, command: str, name: str) -> None:
    Path(name).write_bytes(BROKEN[name]())
    result = run(command, name, *(MARK if command == "embed" else ()), "--json")
    assert result.exit_code == {"embed": 1, "detect": 2}[command]
    line = error_line(result)
    assert line.startswith(f"{name}: expected ") and ", found " in line
    assert objects(result)[0]["error"] == line
    assert files() == [name]


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
