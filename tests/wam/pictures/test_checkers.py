"""Others' programs find nothing wrong with our files that they did not find in their sources: exiftool, libvips and
each format's own checker. Each is skipped where it is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wam.pictures import made
from tests.wam.pictures.test_animation import animated
from tests.wam.pictures.test_rare_parts import FORMATS, KEPT, again

SUFFIXES = {"HEIF": "heic", "JPEG": "jpg", "TIFF": "tif"}
CHECKERS: dict[str, tuple[tuple[str, ...], str]] = {  # a command, and the package of Debian that has it
    "PNG": (("pngcheck", "-q"), "pngcheck"),
    "JPEG": (("jpeginfo", "-c"), "jpeginfo"),
    "TIFF": (("tiffinfo",), "libtiff-tools"),
    "WEBP": (("webpinfo", "-quiet"), "webp"),
    "AVIF": (("avifdec", "--info"), "libavif-bin"),
    "HEIF": (("heif-info",), "libheif-examples"),
}
TOLERATED = {
    "Invalid value for IFD0 tag 0x0103 Compression",  # deflate, of the supplement to TIFF 6.0, which all readers know
    "Non-standard format (undef) for IFD0 0x83bb IPTC-NAA",  # as longs, bytes would change places in other byte orders
}
WORDS = ("warning", "error", "invalid", "corrupt")

SOURCES: dict[str, tuple[str, Callable[[], bytes]]] = {
    **{f"plain {format}": (format, lambda format=format: made.plain(format)) for format in FORMATS},
    **{name: (format, make) for name, (format, make, _) in KEPT.items()},
    **{f"animated {format}": (format, lambda format=format: animated(format)) for format in ("GIF", "WEBP", "PNG")},
    "all that cameras and agencies write": ("JPEG", made.rich_jpeg),
}
FROM_JPEG = {f"JPEG saved as {format}": format for format in FORMATS if format != "JPEG"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Path, Path]]:
    """By name the format, the source, and what became of it."""
    folder = tmp_path_factory.mktemp("checked")
    found = {}
    contents = {name: (format, make(), format) for name, (format, make) in SOURCES.items()}
    contents |= {name: ("JPEG", made.rich_jpeg(), target) for name, target in FROM_JPEG.items()}
    for number, (name, (format, content, target)) in enumerate(contents.items()):
        source, output = (folder / f"{number}-{end}.{SUFFIXES.get(one, one.lower())}"
                          for end, one in (("before", format), ("after", target)))  # fmt: skip
        source.write_bytes(content)
        output.write_bytes(again(content, target)[0])
        found[name] = (target, source, output)
    return found


def need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed ({package})")


def run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace")
    return done.returncode, done.stdout + done.stderr


def test_exiftool_warns_of_nothing_new(files: dict[str, tuple[str, Path, Path]]) -> None:
    need("exiftool", "libimage-exiftool-perl")
    folder = next(iter(files.values()))[1].parent
    _, said = run("exiftool", "-j", "-a", "-g4", "-validate", "-warning", "-error", folder)
    listed = {Path(one["SourceFile"]).name: complaints(one) for one in json.loads(said[: said.rindex("]") + 1])}
    worse = {name: listed[output.name] - listed[source.name] for name, (_, source, output) in files.items()}
    assert {name: new for name, new in worse.items() if new - TOLERATED} == {}


def complaints(found: dict[str, object]) -> set[str]:
    """Warnings and errors anywhere in what exiftool says of a file, whatever its format, but for minor ones."""
    texts: set[str] = set()
    for key, value in found.items():
        if isinstance(value, dict):
            texts |= complaints(value)
        elif key.startswith(("Warning", "Error")):
            said = map(str, value if isinstance(value, list) else [value])
            texts |= {one.replace("TIFF ", "").replace("JPEG ", "") for one in said if "[minor]" not in one}
    return texts


@pytest.mark.parametrize("name", [*SOURCES, *FROM_JPEG])
def test_libvips_opens_it(files: dict[str, tuple[str, Path, Path]], name: str, tmp_path: Path) -> None:
    need("vips", "libvips-tools")
    format, source, output = files[name]
    status, said = run("vips", "copy", output, tmp_path / "copy.v")
    if status:  # not each build reads each format, and no file that its source was refused as
        assert format == "BMP" or run("vips", "copy", source, tmp_path / "source.v")[0], said
        return
    header = run("vipsheader", output)
    assert header[0] == 0 and "56x40" in header[1]


@pytest.mark.parametrize("name", [*SOURCES, *FROM_JPEG])
def test_the_formats_own_checker_finds_nothing_new(files: dict[str, tuple[str, Path, Path]], name: str) -> None:
    format, source, output = files[name]
    if format not in CHECKERS:
        pytest.skip(f"no checker of {format} is known")
    command, package = CHECKERS[format]
    need(command[0], package)
    status, said = run(*command, output)
    before, told = run(*command, source) if name in SOURCES else (0, "")
    assert status == 0 or before == status, said
    new = lines(said, output) - lines(told, source)
    assert {line for line in new if any(word in line.lower() for word in WORDS)} == set()


def lines(said: str, path: Path) -> set[str]:
    return {line.replace(str(path), "FILE").strip() for line in said.splitlines()}
