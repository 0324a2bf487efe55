"""What a search costs: CPU seconds, their ratio to one pass of the extractor, memory, and what was found.

    python scripts/search_cost.py --photos ../shared/corpus/eval/photos --pages ../shared/corpus/eval/screenshots \
        --limit 12 --out runs/search_cost.csv

Each picture is searched by a process of its own on one thread. ``E`` is one pass of the extractor over the picture's
own pixels, or over 12 megapixels if it has more, in the same process and precision: the lower of two passes, one before
and one after the search. Cases: photos and pages as they are (unmarked), large ones put together from photos, marked
whole pictures, worn ones, composites, pages, tiny marks, long strips, and pictures that are none. ``memory_mb`` is the
peak above what the process held before. With --limit 12 about 15 minutes.
"""

from __future__ import annotations

import argparse
import csv
import io
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import parse
from wam.bench.parallel import map_forked
from wam.pictures.atomic_write import save_atomically
from wam.signal.filters import rounded, to_pixels
from wam.training.photos import SUFFIXES
from wam.watermarker import Watermarker, load, to_batch

LARGEST = 12_000_000  # pixels of the pass that a search is compared with
WORN = ("jpeg=30", "gaussian_noise=0.08,jpeg=50", "rotate=30,gaussian_blur=5,jpeg=40", "crop=0.2,jpeg=50", "median=7")
COLUMNS = ("case", "picture", "width", "height", "cpu_s", "e_s", "ratio", "passes", "tried", "marks", "found", "extra")
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Case:
    """A picture that is made when its turn comes, and the messages in it; ``name`` of the picture."""

    case: str
    name: str
    make: Callable[[Watermarker], tuple[Pixels, list[str]]]


def unmarked(case: str, path: Path) -> Case:
    """A file as it is."""
    return Case(case, path.name, lambda _: (opened(path), []))


def opened(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def marked(marker: Watermarker, pixels: Pixels, seed: int) -> tuple[Pixels, str]:
    """A picture with a random message."""
    bits = "".join(np.random.default_rng([11, seed]).choice(["0", "1"], 32))
    return np.asarray(marker.embed(pixels, bits).image), bits


def attacked(pixels: Pixels, chain: str, seed: int) -> Pixels:
    batch = to_batch(pixels)
    return to_pixels(rounded(parse(chain)(batch, seed=seed, originals=batch).images.clamp(0, 1))[0])


def resized(pixels: Pixels, short_side: int) -> Image.Image:
    image = Image.fromarray(pixels)
    factor = short_side / min(image.size)
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def mosaic(photos: list[Path], width: int, height: int) -> Pixels:
    """Photos at their own size, side by side in rows, as many as it takes."""
    page = Image.new("RGB", (width, height))
    x = y = row = number = 0
    while y < height:
        tile = Image.fromarray(opened(photos[number % len(photos)]))
        page.paste(tile, (x, y))
        x, row, number = x + tile.width, max(row, tile.height), number + 1
        if x >= width:
            x, y, row = 0, y + row, 0
    return np.asarray(page)


def pasted(
    marker: Watermarker, ground: Image.Image, photos: list[Path], places: list[tuple[int, int, int, float]], seed: int
) -> tuple[Pixels, list[str]]:
    """A page with a marked photo at each place: x, y, short side in pixels, and a turn in degrees."""
    words = []
    for number, (x, y, side, angle) in enumerate(places):
        pixels, bits = marked(marker, opened(photos[number % len(photos)]), 100 * seed + number)
        piece = resized(pixels, side)
        shape = Image.new("L", piece.size, 255).rotate(angle, expand=True)
        ground.paste(piece.rotate(angle, Image.Resampling.BICUBIC, expand=True), (x, y), shape)
        words.append(bits)
    buffer = io.BytesIO()
    ground.save(buffer, "JPEG", quality=85)
    return np.asarray(Image.open(buffer).convert("RGB")), words


def text_page(width: int, height: int) -> Image.Image:
    """Rows of dark strokes on white, as text is."""
    generator = np.random.default_rng(3)
    page = np.full((height, width, 3), 252, np.uint8)
    for top in range(40, height - 20, 16):
        for left in range(40, width - 40, 9):
            if generator.random() < 0.75:
                page[top : top + int(generator.integers(4, 10)), left : left + int(generator.integers(2, 7))] = 40
    return Image.fromarray(page)


def odd_pictures() -> Iterator[tuple[str, Pixels]]:
    """Pictures that are none, a megapixel each, and twelve megapixels of a texture that repeats."""
    y, x = np.mgrid[:1000, :1000]
    generator = np.random.default_rng(5)
    yield "noise", generator.integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    yield "one colour", np.full((1000, 1000, 3), 130, np.uint8)
    for name, grey in (
        ("checkerboard", (x // 16 + y // 16) % 2 * 255),
        ("halftone", 127 + 60 * (np.sin(x * 1.1 + y * 0.4) + np.sin(y * 1.1 - x * 0.4))),
        ("moire", 127 + 120 * np.sin((x**2 + y**2) / 900)),
    ):
        yield name, np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    tile = generator.integers(0, 256, (50, 50, 3), dtype=np.uint8)
    yield "repeating texture, 12 MP", np.tile(tile, (60, 80, 1))


def cases(photos: list[Path], pages: list[Path], limit: int) -> Iterator[Case]:
    """All of them, in the order of the table."""
    yield from (unmarked("unmarked photo", path) for path in photos[:limit])
    yield from (unmarked("unmarked page", path) for path in pages[:limit])
    for width, height in ((4000, 3000), (6000, 4000)):
        name = f"{width * height // 1_000_000} MP of photos"
        yield Case("unmarked, large", name, lambda _, size=(width, height): (mosaic(photos, *size), []))  # type: ignore[misc]
    for number, path in enumerate(photos[:limit]):

        def whole(marker: Watermarker, path: Path = path, number: int = number) -> tuple[Pixels, list[str]]:
            pixels, bits = marked(marker, opened(path), number)
            return pixels, [bits]

        def worn(marker: Watermarker, path: Path = path, number: int = number) -> tuple[Pixels, list[str]]:
            pixels, bits = marked(marker, opened(path), number)
            return attacked(pixels, WORN[number % len(WORN)], number), [bits]

        yield Case("marked whole", path.name, whole)
        yield Case(f"worn: {WORN[number % len(WORN)]}", path.name, worn)
    four = [(60, 40, 420, 0.0), (900, 80, 420, 12.0), (80, 640, 380, -7.0), (950, 700, 400, 90.0)]
    page = [(700, 120, 500, 0.0), (640, 760, 200, 0.0), (960, 760, 200, 0.0), (1290, 760, 200, 0.0)]
    tiny = [(25 + 295 * (n % 8), 20 + 262 * (n // 8), 190, 0.0) for n in range(48)]
    for number in range(max(1, limit // 4)):
        own = photos[number * 4 :] + photos

        def composite(marker: Watermarker, own: list[Path] = own, number: int = number) -> tuple[Pixels, list[str]]:
            ground = Image.fromarray(opened(own[5])).resize((1640, 1220), Image.Resampling.LANCZOS)
            return pasted(marker, ground, own, four, number)

        def news(marker: Watermarker, own: list[Path] = own, number: int = number) -> tuple[Pixels, list[str]]:
            return pasted(marker, text_page(1920, 1080), own, page, 50 + number)

        yield Case("composite of four, 2 MP", f"{number}", composite)
        yield Case("page: 500 px, 3 of 200 px", f"{number}", news)
    yield Case(
        "48 tiny marks", "2400x1600", lambda marker: pasted(marker, Image.new("RGB", (2400, 1600)), photos, tiny, 90)
    )
    yield Case("strip", "400x65500", lambda _: (mosaic(photos, 65_500, 400), []))
    for name, pixels in odd_pictures():
        yield Case("no picture", name, lambda _, pixels=pixels: (pixels, []))  # type: ignore[misc]


def measured(marker: Watermarker, case: Case) -> dict[str, Any]:
    """One row of the table."""
    pixels, words = case.make(marker)
    height, width = pixels.shape[:2]
    view = to_batch(pixels)
    factor = min(1.0, (LARGEST / (height * width)) ** 0.5)
    if factor < 1:
        size = (round(height * factor), round(width * factor))
        view = torch.nn.functional.interpolate(view, size=size, mode="bilinear", antialias=True)
    marker.detect(np.zeros((64, 64, 3), np.uint8))  # what is made once
    before = one_pass(marker, view)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found, summary = marker.detect_and_explain(pixels)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    each = min(before, one_pass(marker, view))
    right = sum(any(differ(word, one.bits) <= 2 for one in found) for word in words)
    extra = sum(all(differ(word, one.bits) > 3 for word in words) for one in found)
    passes, tried = (0, 0) if summary is None else (len(summary.views), summary.tried)
    values = (case.case, case.name, width, height, round(seconds, 3), round(each, 3), round(seconds / each, 2), passes)
    row = dict(zip(COLUMNS, (*values, tried, len(words), right, extra), strict=True))
    return {**row, "memory_mb": round((peak - held) / 1024)}


def measured_at(shared: tuple[Watermarker, list[Case]], number: int) -> dict[str, Any]:
    marker, every = shared
    return measured(marker, every[number])


def one_pass(marker: Watermarker, view: torch.Tensor) -> float:
    """CPU seconds of the extractor over a picture (1, 3, H, W)."""
    with torch.inference_mode():
        start = time.process_time()
        marker.model.extract(view)
        return time.process_time() - start


def differ(one: str, other: str) -> int:
    """Bits in which two messages differ."""
    return sum(a != b for a, b in zip(one, other, strict=True))


def files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SystemExit(f"error: {folder}: expected pictures, found none; give another folder")
    return found


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each case: median and worst ratio, seconds, memory, and marks found."""
    yield "| case | pictures | E, median / worst | CPU s, median / worst | MB above start | found | extra |"
    yield "|---|---|---|---|---|---|---|"
    for case in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == case]
        ratio, seconds = ([row[name] for row in own] for name in ("ratio", "cpu_s"))
        found = f"{sum(row['found'] for row in own)} of {sum(row['marks'] for row in own)}"
        memory, extra = max(row["memory_mb"] for row in own), sum(row["extra"] for row in own)
        yield (
            f"| {case} | {len(own)} | {np.median(ratio):.2f} / {max(ratio):.2f} | {np.median(seconds):.2f} / "
            f"{max(seconds):.2f} | {memory} | {found} | {extra} |"
        )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", type=Path, required=True)
    options.add_argument("--pages", type=Path, required=True)
    options.add_argument("--limit", type=int, default=12, help="photos and pages; every so many of a folder are taken")
    options.add_argument("--model", default="lattice32")
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    photos, pages = (found[:: max(1, len(found) // given.limit)] for found in (files(given.photos), files(given.pages)))
    marker = load(given.model, device="cpu")
    torch.set_num_threads(1)  # before processes are forked
    shared = marker, list(cases(photos, pages, given.limit))
    rows: list[dict[str, Any]] = []
    for number in range(len(shared[1])):  # a process each, whose memory is its own
        rows += map_forked(measured_at, shared, [number], workers=2)
        print(" ".join(f"{value}" for value in rows[-1].values()), file=sys.stderr, flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    save_atomically(given.out, lambda path: path.write_text(buffer.getvalue()))
    print(f"{marker.name}, {sys.argv[0]} --limit {given.limit}\n")
    print("\n".join(table(rows)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
