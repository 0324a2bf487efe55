"""Mutated files of every format: read or refused in one line, never a crash, a hang or a part of an output.

``make nightly`` runs 10,000 of them (WAM_FUZZ_FILES). A failure names its seed and leaves the file that did it.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.wam.pictures.pictures import SRGB, XMP, described_exif, marked, profile, sample, saved
from tests.wam.pictures.test_animation import animated
from tests.wam.pictures.test_formats_table import VARIANTS
from wam.errors import ImageError
from wam.pictures.animation import Animation, encode_animation, read_animation
from wam.pictures.cut_short import png_chunk
from wam.pictures.files import read_image, write_bytes
from wam.pictures.formats import heif_works
from wam.pictures.metadata import png_chunks
from wam.provenance.aigc_label import mark_label, read_label
from wam.provenance.label_packet import labelled
from wam.signal.mark_grid import SMALLEST_SIDE

FILES = int(os.environ.get("WAM_FUZZ_FILES", "10000"))
CHUNK = 50
SLOWEST = 10.0  # seconds for one file of at most ``PIXELS``, on a busy machine
PIXELS = 200_000
LABEL = mark_label(None, owner="acme", link="wm:7Q3F-K2ND", message="01" * 16)

RICH: dict[str, Callable[[], bytes]] = {
    "jpeg rich": lambda: saved(sample("RGB"), "JPEG", exif=described_exif(), icc_profile=SRGB, xmp=XMP, dpi=(72, 72)),
    "png rich": lambda: saved(sample("RGBA"), "PNG", exif=described_exif(), icc_profile=profile("Display P3")),
    "webp rich": lambda: saved(sample("RGB"), "WEBP", exif=described_exif(), icc_profile=profile("linear"), xmp=XMP),
    "tiff rich": lambda: saved(sample("RGB"), "TIFF", exif=described_exif(), icc_profile=SRGB),
    "gif animated": lambda: animated("GIF", alpha=True),
    "webp animated": lambda: animated("WEBP"),
    "png animated": lambda: animated("PNG", alpha=True),
    "avif animated": lambda: animated("AVIF"),
}


def originals() -> list[bytes]:
    makers = {name: make for name, make in VARIANTS.items() if heif_works() or not name.startswith("heic")}
    return [make() for make in (makers | RICH).values()]


def spoil(data: bytes, random: np.random.Generator) -> bytes:
    """A few changed bytes."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 4) if changed else 0):
        changed[int(random.integers(len(changed)))] = int(random.choice([0, 1, 127, 128, 255, random.integers(256)]))
    return bytes(changed)


def mutate_png(content: bytes, random: np.random.Generator) -> bytes:
    """A PNG whose chunks end where they say and whose check sums are right, down to that of the packed rows: what is
    changed in them reaches the decoders of chunks, rows and pixels."""
    chunks = list(png_chunks(content))
    for _ in range(random.integers(1, 3)):
        place = int(random.integers(len(chunks)))
        kind, data = chunks[place]
        what = random.integers(8)
        if what == 0:
            del chunks[place]
        elif what == 1:
            chunks.insert(int(random.integers(len(chunks))), (kind, data))
        elif kind == b"IHDR" and what < 7:  # most of what could be there is no picture
            continue
        elif kind == b"IDAT" and what < 7:
            rows = b"".join(data for kind, data in chunks if kind == b"IDAT")
            chunks = [one for index, one in enumerate(chunks) if one[0] != b"IDAT" or index == place]
            place = next(index for index, one in enumerate(chunks) if one[0] == b"IDAT")
            with suppress(zlib.error):
                chunks[place] = (kind, zlib.compress(spoil(zlib.decompress(rows), random)))
        else:
            chunks[place] = (kind, spoil(data, random))
        if not chunks:
            break
    return content[:8] + b"".join(png_chunk(kind, data) for kind, data in chunks)


def mutate(content: bytes, random: np.random.Generator) -> bytes:
    """A few changed bytes, more often near the start; or a cut, a hole, a doubled part, another file's part."""
    if content[:4] == b"\x89PNG" and random.integers(4):
        return mutate_png(content, random)
    data = bytearray(content)
    for _ in range(random.integers(1, 8)):
        end = 1 + len(data) // int(random.integers(1, 20))
        data[int(random.integers(end)) - 1] = int(random.choice([0, 1, 127, 128, 255, random.integers(256)]))
    kind = random.integers(10)
    start, end = sorted(int(place) for place in random.integers(len(data) + 1, size=2))
    if kind == 0:
        data = data[:end]
    elif kind == 1:
        del data[start : min(end, start + 64)]
    elif kind == 2:
        data[start:start] = data[start : min(end, start + 64)]
    elif kind == 3:
        data[start:end] = bytes(end - start)
    return bytes(data)


def take(content: bytes, folder: Path) -> str:
    """What the tool does with a file: "read" when an output was written, else "refused"."""
    target = folder / "out"
    try:
        animation = read_animation(content, max_pixels=PIXELS)
        first = animation.pictures[0]
        if len(animation.pictures) == 1:
            assert (read_image(content, max_pixels=PIXELS).pixels == first.pixels).all()
        read_label(first.metadata)
        write_bytes(target, _encoded(animation))
    except ImageError as error:
        message = str(error)
        assert message.isprintable() and ": expected " in message and ", found " in message
        assert list(folder.iterdir()) == []
        return "refused"
    again = read_animation(target)
    assert (again.pictures[0].width, again.pictures[0].height) == (first.width, first.height)
    target.unlink()
    return "read"


def _encoded(animation: Animation) -> bytes:
    first = animation.pictures[0]
    pixels = [marked(p) if min(first.width, first.height) >= SMALLEST_SIDE else p.pixels for p in animation.pictures]
    like, _ = labelled(animation, LABEL, format=first.format, name=first.name)
    return encode_animation(pixels, like=like, format=first.format)[0]


def run(count: int, seed: int, folder: Path) -> set[str]:
    files, random, outcomes = originals(), np.random.default_rng(seed), set()
    for number in range(count):
        content = mutate(files[number % len(files)], random)
        culprit = folder.parent / f"{folder.name}.culprit"
        culprit.write_bytes(content)
        start = time.perf_counter()
        outcomes.add(take(content, folder))
        assert time.perf_counter() - start < SLOWEST, culprit
        culprit.unlink()
    return outcomes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outputs").mkdir()
    return tmp_path / "outputs"


@pytest.mark.parametrize("seed", range(6))
def test_mutated_files(seed: int, folder: Path) -> None:
    assert run(CHUNK, seed, folder) == {"read", "refused"}


def test_mutants_of_png_reach_the_decoder_behind_the_check_sums() -> None:
    files, random = [one for one in originals() if one[:4] == b"\x89PNG"], np.random.default_rng(0)
    read = 0
    for number in range(120):
        with suppress(ImageError):
            read_animation(mutate(files[number % len(files)], random), max_pixels=PIXELS)
            read += 1
    assert read > 40  # 4 of them when bytes were changed anywhere


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 100 + -(-FILES // CHUNK)))
def test_many_mutated_files(seed: int, folder: Path) -> None:
    assert run(CHUNK, seed, folder) == {"read", "refused"}
