"""How often a mark is said to lie on its own picture, or on another one, wrongly: what the thresholds rest on.

    python scripts/binding_rates.py --photos ../shared/corpus/train --out runs/binding
    python scripts/binding_rates.py --photos ../shared/corpus/train --strangers --limit 100

Every photo is marked and its sketch kept (``payload.sketch``), as a registry keeps it. Then the mark is found again in
attacked copies, whole, turned, mirrored and in parts, and is compared with

  own          the sketch of the picture that was marked: ``other`` is wrong
  stranger     the sketches of all other photos: ``own`` is wrong
  copied       its own sketch, after the exact residual was added to the next photo: ``own`` is wrong
  pasted       the same, where the residual was added within a rectangle of half or a fifth of the next photo only
  collage      its own sketch, in the left half of the marked photo beside the right half of the forged one: by where a
               mark lies, own, copied, or ``across``, for which nothing is right or wrong

A line for each comparison goes to OUT.csv; a run with the same --out goes on where it stopped. At the end, or with
--summary, the table is printed: wrong ones with their exact 95% interval (Clopper and Pearson 1934), those where
nothing is said, and of those with enough to compare the extremes of the share that agrees, which ``OWN`` and ``OTHER``
of ``wam.pipeline.binding`` were chosen between. Some 20 s on one core for each photo, more for many photos.

With --strangers nothing is marked: whole photos and parts of them, at a random place, are compared with the sketches of
all others, and for each size it is printed how many pairs of photos would be said to be ``own``, with the most that
this bears out (95%, if pairs count as independent, which they do not: each photo is in many of them).
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import parse
from wam.append_log import append, read
from wam.bench.photos import ImageSet, round_to_bytes
from wam.bench.summary import interval, upper_bound
from wam.bench.words import WordBook
from wam.errors import WamError
from wam.models.catalogue import DEFAULT
from wam.pipeline.binding import (
    LEAST_EDGES,
    OTHER,
    OWN,
    Part,
    agreement,
    cells_of,
    compare_part,
    part_of,
    sketch_of,
)
from wam.signal.filters import to_pixels
from wam.watermarker import Detection, Watermarker, load

ATTACKS = (
    *("identity", "jpeg=50", "crop_keep=0.6", "crop_keep=0.6,hflip", "crop_keep=0.2", "crop_keep=0.1"),
    *("rotate=20,jpeg=80", "resize=0.6,jpeg=70"),
)
SIZES = (1.0, 0.2, 0.1)  # of parts that are compared with other photos' sketches, in shares of the area
PASTED = (0.5, 0.2)  # shares of a photo that a residual is copied to
ACROSS = (0.1, 0.9)  # shares of a mark in the own half of a collage between which it lies across
TRUTHS = {"own": "other", "stranger": "own", "copied": "own", "pasted": "own", "across": None}
"""What is compared, and what it is wrong to say."""


@dataclass(frozen=True)
class Comparison:
    """One mark against one sketch. ``share`` of what agrees and ``edges`` compared: see ``Agreement``."""

    photo: int
    truth: str
    attack: str
    said: str
    share: float
    edges: float


COLUMNS = tuple(field.name for field in fields(Comparison))


class Bench:
    """Photos, each with a word and the sketch of its marked copy."""

    def __init__(self, marker: Watermarker, images: ImageSet, count: int) -> None:
        self.marker, self.count = marker, count
        self.book = WordBook.of(25)
        self.photos = [images.photo(number) for number in range(count)]
        self._marked: dict[int, Tensor] = {}
        self._sketches: dict[int, str | None] = {}

    def marked(self, photo: int) -> Tensor:
        """(1, 3, H, W), 8-bit values."""
        if photo not in self._marked:
            image = self.marker.embed(self.photos[photo], self.book.bits(photo)).image
            assert isinstance(image, Tensor)
            self._marked[photo] = image
        return self._marked[photo]

    def sketch(self, photo: int) -> str | None:
        if photo not in self._sketches:
            self._sketches[photo] = sketch_of(to_pixels(self.marked(photo)[0]))
        return self._sketches[photo]

    def forged(self, photo: int, share: float = 1.0) -> Tensor:
        """The next photo with the residual of this one, in a rectangle in the middle of that share of it."""
        target = self.photos[(photo + 1) % self.count]
        height, width = (min(a, b) for a, b in zip(target.shape[-2:], self.photos[photo].shape[-2:], strict=True))
        rows, columns = (round(length * math.sqrt(share)) for length in (height, width))
        top, left = (height - rows) // 2, (width - columns) // 2
        inside = (..., slice(top, top + rows), slice(left, left + columns))
        forged = target[..., :height, :width].clone()
        forged[inside] += (self.marked(photo) - self.photos[photo])[..., :height, :width][inside]
        return round_to_bytes(forged.clamp(0, 1))

    def found(self, photo: int, image: Tensor) -> list[tuple[Detection, Part | None]]:
        """The marks of this photo in an image, with the parts that carry them."""
        pixels = to_pixels(image[0].clamp(0, 1))
        bits = self.book.bits(photo)
        alike = [one for one in self.marker.detect(pixels) if _differ(one.bits, bits) <= 2]
        return [(one, part_of(pixels, one)) for one in alike]

    def compared(self, photo: int, truth: str, attack: str, part: Part | None, sketch: str | None) -> Comparison:
        found = agreement(part, sketch)
        share, edges = (0.0, 0.0) if found is None else (round(found.share, 4), found.edges)
        return Comparison(photo, truth, attack, compare_part(part, sketch).binding, share, edges)


def comparisons(bench: Bench, photo: int, attacks: Sequence[str] = ATTACKS) -> Iterator[Comparison]:
    """All of one photo."""
    own = bench.sketch(photo)
    sources = {"own": bench.marked(photo), "copied": bench.forged(photo)}
    for truth, image in sources.items():
        for attack in attacks:
            changed = round_to_bytes(parse(attack)(image, seed=photo).images.clamp(0, 1))
            for _, part in bench.found(photo, changed):
                yield bench.compared(photo, truth, attack, part, own)
                if truth == "own":
                    for other in range(bench.count):
                        if other != photo:
                            yield bench.compared(photo, "stranger", attack, part, bench.sketch(other))
    for share in PASTED:
        for _, part in bench.found(photo, bench.forged(photo, share)):
            yield bench.compared(photo, "pasted", f"{share:.0%}", part, own)
    height, width = (min(a, b) for a, b in zip(*(one.shape[-2:] for one in sources.values()), strict=True))
    left, right = (image[..., :height, :width] for image in sources.values())
    middle = width // 2
    collage = torch.cat([left[..., :middle], right[..., middle:]], dim=-1)
    for one, part in bench.found(photo, collage):
        yield bench.compared(photo, _side(one.coarse_mask, middle / width), "collage", part, own)


def _side(mask: NDArray[np.bool_], middle: float) -> str:
    """In which half of a collage a mark lies."""
    columns = (np.arange(mask.shape[1]) + 0.5) / mask.shape[1] < middle
    share = float(mask[:, columns].sum() / max(1, mask.sum()))
    return "copied" if share < ACROSS[0] else "own" if share > ACROSS[1] else "across"


def _differ(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def chosen_of(options: argparse.Namespace) -> ImageSet:
    """So many photos as are asked for, evenly chosen."""
    images = ImageSet.of([str(options.photos)], size=options.side)
    count = min(options.limit, len(images))
    if count < 2:
        raise ValueError(f"{options.photos}: expected two photos or more, found {count}; name another folder")
    every = max(1, len(images) // count)
    return ImageSet(images.name, images.paths[::every][:count], images.size, images.root)


def strangers(images: ImageSet) -> Iterator[str]:
    """A line for each size of parts: whole photos and parts against the sketches of all others."""
    draw = np.random.default_rng(25)
    pixels = [to_pixels(images.photo(number)[0]) for number in range(len(images))]
    cells, sketches = [cells_of(one) for one in pixels], [sketch_of(one) for one in pixels]
    for size in SIZES:
        shares: dict[tuple[int, int], float] = {}  # by pair: the higher of both ways
        for number, own in enumerate(cells):
            rows, columns = (max(2, round(length * math.sqrt(size))) for length in own.shape)
            top, left = draw.integers(own.shape[0] - rows + 1), draw.integers(own.shape[1] - columns + 1)
            part = own[top : top + rows, left : left + columns]
            for other, sketch in enumerate(sketches):
                found = None if other == number else agreement((part, np.ones(part.shape, bool)), sketch)
                if found is not None and found.edges >= LEAST_EDGES:
                    pair = (min(number, other), max(number, other))
                    shares[pair] = max(found.share, shares.get(pair, 0.0))
        wrong = sum(share >= OWN for share in shares.values())
        most = max(shares.values(), default=0.0)
        yield (
            f"{size:4.0%} of the area: {wrong} of {len(shares):,} pairs of {len(images)} photos own, "
            f"at most {upper_bound(wrong, len(shares)):.2%}; the nearest agrees to {most:.3f}"
        )


def run(options: argparse.Namespace, table: Path) -> None:
    chosen = chosen_of(options)
    count = len(chosen)
    marker = load(options.model, device="cpu")
    head = (
        f"# {marker.name}, search {marker.model.description.search}, {chosen.describe()}, {' '.join(options.attacks)}\n"
    )
    found = read(table)
    if found and not found.startswith(head):
        raise ValueError(f"{table}: expected a table of the same run, found another; name another --out")
    if not found:
        table.parent.mkdir(parents=True, exist_ok=True)
        append(table, head + ",".join(COLUMNS) + "\n")
    done = {row.photo for row in rows_of(table)}
    bench = Bench(marker, chosen, count)
    deadline = time.monotonic() + 60 * options.minutes
    for photo in range(count):
        if photo in done:
            continue
        if time.monotonic() > deadline:
            return
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            astuple(one) for one in comparisons(bench, photo, options.attacks)
        )
        if text.getvalue():
            append(table, text.getvalue())
        print(f"photo {photo + 1} of {count}", file=sys.stderr, flush=True)


def rows_of(table: Path) -> list[Comparison]:
    """What a table holds; those of one photo are written together."""
    lines = csv.DictReader(read(table).splitlines()[1:])
    return [
        Comparison(
            int(row["photo"]), row["truth"], row["attack"], row["said"], float(row["share"]), float(row["edges"])
        )
        for row in lines
    ]


def summary(rows: Sequence[Comparison]) -> str:
    """A line for each kind of comparison and attack, and one for each kind."""
    heads = ("compared with", "attack", "comparisons", "wrong", "95% interval", "unbound", "share that agrees")
    text = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for truth in TRUTHS:
        own = [row for row in rows if row.truth == truth]
        attacks = list(dict.fromkeys(row.attack for row in own))
        for attack in [*attacks, None] if len(attacks) > 1 else attacks:
            text.append(_line(truth, attack, [row for row in own if attack in (None, row.attack)]))
    text.append(f"\nsaid from {LEAST_EDGES:g} clear differences on: own from {OWN}, other below {OTHER}")
    return "\n".join(text)


def _line(truth: str, attack: str | None, rows: Sequence[Comparison]) -> str:
    count, bad = len(rows), TRUTHS[truth]
    wrong = sum(row.said == bad for row in rows)
    low, high = interval(wrong, count)
    shares = [row.share for row in rows if row.edges >= LEAST_EDGES]
    extreme = "-" if not shares else f"{min(shares):.3f} to {max(shares):.3f}"
    rate = ("-", "-") if bad is None else (f"{wrong}", f"{low:.1%} to {high:.1%}")
    unbound = sum(row.said == "unbound" for row in rows)
    cells = (truth, attack or "all", f"{count}", *rate, f"{unbound}", extreme)
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", type=Path, help="a folder, recursed")
    options.add_argument("--out", type=Path, help="name of the table, without extension")
    options.add_argument("--strangers", action="store_true", help="compare unmarked photos with each other only")
    options.add_argument("--model", default=DEFAULT)
    options.add_argument("--attacks", nargs="+", default=ATTACKS, metavar="NAME=STRENGTH", help="those of ``ATTACKS``")
    options.add_argument("--limit", type=int, default=40, help="photos, evenly chosen from the folder")
    options.add_argument("--side", type=int, default=512, help="short side that larger photos are reduced to, pixels")
    options.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    options.add_argument("--summary", action="store_true", help="only print the table")
    given = options.parse_args()
    torch.set_num_threads(1)
    try:
        if given.photos is None and not given.summary:
            raise ValueError("expected --photos, found none; give a folder, or --summary")
        if given.strangers and not given.summary:
            for line in strangers(chosen_of(given)):
                print(line, flush=True)
            return 0
        if given.out is None:
            raise ValueError("expected --out, found none; name the table, or take --strangers")
        table = given.out.with_suffix(".csv")
        if not given.summary:
            run(given, table)
        print(summary(rows_of(table)))
    except (OSError, ValueError, WamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
