"""What each constant of the search does: one at a time, smaller and larger, over marked and unmarked pictures.

    python scripts/sweep_search.py --photos ../shared/corpus/train --out checkpoints/search-sweep.csv
    python scripts/sweep_search.py --photos ../shared/corpus/train --out OTHER.csv --only level,windows.side
    python scripts/sweep_search.py --out checkpoints/search-sweep.csv --summary

Pictures are made of the validation split of the photos, once, with the shipped checkpoint: worn copies, photos pasted
at any turn, five tenths of a page after JPEG, a reduced piece on a page, and unmarked photos and pages. Each is
searched with the usual values, then with each number of ``SearchConfig`` times --factors (whole numbers are rounded,
and moved by one at least). A row says how many marks were found, how many messages were read that nobody made, the
strongest score of the unmarked pictures, and CPU seconds against those of the usual values. A run goes on where it was
stopped; --summary lists the constants that change nothing in the range, and what the others do. The threshold is the
calibrated one throughout, and twelve or so pictures bear out large effects only.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.search_cost import Pixels, attacked, differ, marked, mosaic, opened, pasted, text_page
from wam.append_log import append, read
from wam.bench.parallel import map_forked
from wam.detection.config import DEFAULT_SEARCH, SearchConfig
from wam.detection.detector import search
from wam.training.photos import photo_files
from wam.watermarker import Watermarker, load, to_batch

COLUMNS = ("constant", "usual", "value", "marks", "found", "invented", "strongest_unmarked", "seconds_ratio")
WORN = ("crop=0.3,jpeg=60", "rotate=23,jpeg=70", "gaussian_blur=9,jpeg=50", "perspective=0.3", "resize=0.5,jpeg=75")
PIECES = [(20, 20, 300, 33.0), (480, 30, 260, -61.0), (30, 460, 300, 0.0), (520, 480, 230, 120.0)]
REDUCED = [(60, 60, 190, 0.0), (700, 90, 330, 0.0)]
USUAL = "usual"


@dataclass(frozen=True)
class Scene:
    """A picture, and the messages in it."""

    picture: torch.Tensor
    words: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """A set of constants: which one differs, its usual value, and its own."""

    constant: str
    usual: float
    value: float
    config: SearchConfig


def scenes(marker: Watermarker, photos: Path, count: int) -> list[Scene]:
    """``count`` of each kind, the same for the same photos."""
    files = photo_files(photos, validation=True)
    if len(files) < 8:
        raise SystemExit(f"error: {photos}: expected at least 256 photos, found {len(files)} of the validation split")
    made: list[Scene] = []
    for number in range(count):
        first = 8 * number % len(files)
        own = files[first:] + files
        pixels, bits = marked(marker, opened(own[0]), number)
        made.append(Scene(_batch(attacked(pixels, WORN[number % len(WORN)], number)), (bits,)))
        page = Image.fromarray(opened(own[1])).resize((1000, 800), Image.Resampling.LANCZOS)
        made.append(_scene(pasted(marker, page, own[2:], PIECES, number)))
        made.append(_scene(pasted(marker, text_page(1100, 800), own[3:], REDUCED, 50 + number)))
        made.append(_scene(tenths(marker, own, number)))
        made.append(Scene(_batch(opened(own[6])), ()))
        made.append(Scene(_batch(mosaic(own, 1300, 900)), ()))
    return made


def tenths(marker: Watermarker, own: list[Path], number: int) -> tuple[Pixels, list[str]]:
    """Five pieces of a page, a tenth of it each, with a message each, after JPEG."""
    page = mosaic(own, 640, 480)
    after, words = page.copy(), []
    for index, (top, left) in enumerate(((0, 0), (0, 438), (328, 0), (328, 438), (164, 219))):
        whole, bits = marked(marker, page, 1000 + 10 * number + index)
        after[top : top + 152, left : left + 202] = whole[top : top + 152, left : left + 202]
        words.append(bits)
    return attacked(after, "jpeg=80", number), words


def variants(factors: tuple[float, ...], only: tuple[str, ...]) -> Iterator[Variant]:
    """The usual values first, then one constant after another; values that make no sense are left out."""
    yield Variant(USUAL, 0.0, 0.0, DEFAULT_SEARCH)
    for group in fields(DEFAULT_SEARCH):
        values = getattr(DEFAULT_SEARCH, group.name)
        for one in fields(values):
            name, usual = f"{group.name}.{one.name}", getattr(values, one.name)
            if isinstance(usual, bool) or not isinstance(usual, int | float):
                continue
            if only and group.name not in only and name not in only:
                continue
            for factor in factors:
                value = changed(usual, factor)
                try:
                    config = replace(DEFAULT_SEARCH, **{group.name: replace(values, **{one.name: value})})
                except ValueError:
                    continue
                yield Variant(name, float(usual), float(value), config)


def changed(usual: float, factor: float) -> float:
    """Times a factor; whole numbers stay whole, odd ones odd, and move."""
    if not isinstance(usual, int):
        return usual * factor
    away = 1 if factor > 1 else -1
    moved = round(usual * factor)
    moved = usual + away if moved == usual else moved
    odd = usual % 2 and usual > 2
    return moved + (away if odd and moved % 2 == 0 else 0)


def measured(shared: tuple[Watermarker, list[Scene]], variant: Variant) -> dict[str, Any]:
    """One row: all scenes with one set of constants. A search that fails counts as one that found nothing."""
    marker, every = shared
    model: Any = marker.model
    marks = found = invented = 0
    strongest = 0.0
    start = time.process_time()
    for scene in every:
        marks += len(scene.words)
        try:
            result = search(model, scene.picture, threshold=model.calibration.threshold, config=variant.config)
        except (RuntimeError, ValueError, IndexError):
            continue
        read = ["".join("1" if vote > 0 else "0" for vote in one.votes.tolist()) for one in result.found]
        found += sum(any(differ(word, bits) <= 2 for bits in read) for word in scene.words)
        invented += sum(all(differ(word, bits) > 3 for word in scene.words) for bits in read)
        if not scene.words:
            strongest = max([strongest, result.strongest, *(one.score for one in result.found)])
    seconds = time.process_time() - start
    values = (variant.constant, variant.usual, variant.value, marks, found, invented, round(strongest, 2), seconds)
    return dict(zip(COLUMNS, values, strict=True))


def summary(rows: list[dict[str, str]], slack: int) -> Iterator[str]:
    """Markdown lines: which constants matter, and which are flat."""
    usual = next(row for row in rows if row["constant"] == USUAL)
    by_name: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["constant"] != USUAL:
            by_name.setdefault(row["constant"], []).append(row)
    yield "| constant | usual | tried: found (invented), time | "
    yield "|---|---|---|"
    yield f"| all as they are | | {usual['found']} of {usual['marks']} ({usual['invented']}) |"
    flat = []
    for name, own in by_name.items():
        away = max(abs(int(row["found"]) - int(usual["found"])) for row in own)
        slower = max(abs(float(row["seconds_ratio"]) - 1) for row in own)
        if away <= slack and slower < 0.1 and all(int(r["invented"]) <= int(usual["invented"]) for r in own):
            flat.append(name)
            continue
        tried = "; ".join(f"{float(r['value']):g}: {r['found']} ({r['invented']}), {r['seconds_ratio']}" for r in own)
        yield f"| `{name}` | {float(own[0]['usual']):g} | {tried} |"
    yield ""
    yield f"Flat ({len(flat)} of {len(by_name)}): {', '.join(f'`{name}`' for name in flat)}."


def _batch(pixels: Pixels) -> torch.Tensor:
    return to_batch(pixels)[0]


def _scene(made: tuple[Pixels, list[str]]) -> Scene:
    return Scene(_batch(made[0]), tuple(made[1]))


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", type=Path, help="training photos; those of the validation split are used")
    options.add_argument("--out", type=Path, required=True, help="CSV that rows are appended to")
    options.add_argument("--model", default="lattice32")
    options.add_argument("--scenes", type=int, default=3, help="pictures of each of the six kinds")
    options.add_argument("--factors", type=float, nargs="+", default=[0.7, 1.4])
    options.add_argument("--only", default="", help="groups or constants, commas between")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--minutes", type=float, default=float("inf"), help="ends after these")
    options.add_argument("--slack", type=int, default=1, help="marks more or fewer that count as nothing")
    options.add_argument("--summary", action="store_true", help="print what the rows say, run nothing")
    return options


def main() -> int:
    given = parser()
    options = given.parse_args()
    rows = list(csv.DictReader(io.StringIO(read(options.out))))
    if options.summary:
        if not rows:
            given.error(f"{options.out}: expected rows, found none; run it without --summary first")
        print("\n".join(summary(rows, options.slack)))
        return 0
    if options.photos is None:
        given.error("expected --photos, found none; name a folder of training photos")
    end = time.monotonic() + 60 * options.minutes
    torch.set_num_threads(1)  # before the workers are forked
    only = tuple(name.strip() for name in options.only.split(",") if name.strip())
    done = {(row["constant"], float(row["value"])) for row in rows}
    todo = [one for one in variants(tuple(options.factors), only) if (one.constant, one.value) not in done]
    marker = load(options.model)
    usual = next((float(row["seconds_ratio"]) for row in rows if row["constant"] == USUAL), None)
    if not rows:
        append(options.out, ",".join(COLUMNS) + "\n")
    shared = (marker, scenes(marker, options.photos, options.scenes))
    base: float | None = None if usual is None else float(measured(shared, next(variants((), ())))["seconds_ratio"])
    for row in map_forked(measured, shared, todo, workers=options.workers):
        base = row["seconds_ratio"] if base is None else base
        row["seconds_ratio"] = round(row["seconds_ratio"] / base, 3)
        append(options.out, ",".join(f"{row[name]}" for name in COLUMNS) + "\n")
        print(row["constant"], row["value"], row["found"], row["seconds_ratio"], file=sys.stderr, flush=True)
        if time.monotonic() > end:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
