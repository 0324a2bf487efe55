"""What it costs in reading to make folding dear: patterns that are bent, moved or thinned, against today's reader.

    python scripts/displacement_cost.py --photos ../shared/corpus/train --out runs/displacement

Each variant marks validation photos of the corpus, never those of the evaluation, with a key and one word, at the
strength that a trial of the plain pattern gives. Then the mark is attacked as in ``wam bench --attacks adversary``: the
fold at 40 dB from one picture and from ten, plain and straightened first (``attacks.aligning``), and copies; and it is
read by the search as it is, which knows nothing of the variant, whole and attacked in everyday ways.

  plain        as marks are
  strong       ``--strength strong``
  bent A/L     the pattern drawn at u + d(u), d a smooth field of the key, A working pixels rms along each axis, of
               waves of L working pixels; "own": another field for each picture, as from its content
  moved        the tile's origin drawn for each picture
  thinned      half of the pilot and of each bit's frequencies, drawn for each picture, at the same power

Results are kept in OUT.csv line by line; a run with the same --out goes on where it stopped. At the end, or with
--summary, a table is printed, shares over the photos. Some 40 s on one busy core for each variant of each photo.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import composite, parse, parse_adversary
from wam.append_log import append, read
from wam.bench.contenders import OTHER_KEY
from wam.bench.words import WordBook
from wam.errors import WamError
from wam.models.catalogue import DEFAULT
from wam.models.lattice_model import LatticeModel
from wam.signal.balance import Balance
from wam.signal.filters import resize, rounded, sized
from wam.signal.mark_grid import Cell
from wam.signal.pattern import Carrier
from wam.signal.specification import BITS, HIGHEST, LOWEST, TILE, WORKING_SIDE
from wam.training.photos import Photos
from wam.watermarker import Watermarker, load, to_batch

ATTACKS = ("fold=40", "fold_10=40", "fold_aligned=40", "copy=40", "copy_aligned=40")
READINGS = {
    "whole": "identity",
    "JPEG 50": "jpeg=50",
    "half, JPEG 75": "resize=0.5,jpeg=75",
    "crop to 20%": "crop=0.2",
    "a tenth pasted": "collage=0.1",
    "rotate 10": "rotate=10",
    "perspective .3": "perspective=0.3",
}
SCENE, TENTHS = "five tenths, JPEG 80", 5
ALIKE = 10  # photos marked with one word
WAVES = 24  # plane waves of which a field is made
COLUMNS = ("variant", "photo", "row", "read", "of", "psnr_db")


@dataclass(frozen=True)
class Field:
    """A smooth displacement of the carrier's plane: ``rms`` along each axis and ``wavelength``, working pixels."""

    rms: float
    wavelength: float
    seed: int

    @cached_property
    def _waves(self) -> tuple[Tensor, Tensor]:
        """Wave vectors (2, WAVES, 2) in radians for a working pixel, and phases (2, WAVES), for x and y."""
        generator = np.random.default_rng([24, self.seed])
        angle, phase = generator.uniform(0, 2 * np.pi, (2, 2, WAVES))
        length = 2 * np.pi / (self.wavelength * generator.uniform(0.85, 1.2, (2, WAVES)))
        vectors = np.stack([np.cos(angle), np.sin(angle)], -1) * length[..., None]
        return torch.tensor(vectors, dtype=torch.float32), torch.tensor(phase, dtype=torch.float32)

    def at(self, x: Tensor, y: Tensor) -> Tensor:
        """Displacements (2, len(y), len(x)), in x and y, at the places of a grid in the plane."""
        vectors, phases = self._waves
        across = torch.polar(torch.ones(()), vectors[..., :1] * x)  # (2, WAVES, W)
        down = torch.polar(torch.ones(()), vectors[..., 1:] * y + phases[..., None])
        field: Tensor = torch.einsum("anh,anw->ahw", down, across).real
        return field * self.rms * math.sqrt(2 / WAVES)


@dataclass(frozen=True)
class Variant:
    """How a mark is made. ``field`` of a photo, ``origin`` and ``carrier``: of its number, None and as it is: plain."""

    name: str
    field: Callable[[int], Field | None] = lambda photo: None
    origin: Callable[[int], tuple[float, float]] = lambda photo: (0.0, 0.0)
    carrier: Callable[[Carrier, int], Carrier] = lambda carrier, photo: carrier
    strength: str = "normal"


def thinned(carrier: Carrier, photo: int) -> Carrier:
    """Half of the pilot's and of each bit's frequencies."""
    generator = np.random.default_rng([25, photo])
    kept = np.zeros(len(carrier.phases), bool)
    for owner in range(-1, BITS):
        own = np.flatnonzero(carrier.owner.numpy() == owner)
        kept[generator.permutation(own)[: len(own) // 2]] = True
    tables = (carrier.frequencies, carrier.phases, carrier.owner, carrier.amplitudes, carrier.labelled)
    frequencies, phases, owners, amplitudes, labelled = (table[torch.from_numpy(kept)] for table in tables)
    even = amplitudes / amplitudes.square().mean().sqrt()
    return replace(carrier, frequencies=frequencies, phases=phases, owner=owners, amplitudes=even, labelled=labelled)


def moved(photo: int) -> tuple[float, float]:
    x, y = np.random.default_rng([26, photo]).uniform(0, TILE, 2)
    return float(x), float(y)


def bent(rms: float, wavelength: float, *, own: bool = False) -> Variant:
    name = f"bent {rms:g}/{wavelength:g}" + (", own" if own else "")
    return Variant(name, field=lambda photo: Field(rms, wavelength, 1 + photo if own else 0))


VARIANTS = (
    Variant("plain"),
    bent(1.5, 128),
    bent(2, 160, own=True),
    bent(1, 128),
    Variant("moved", origin=moved),
    Variant("thinned", carrier=thinned),
    bent(2, 160),
    Variant("strong", strength="strong"),
)


class VariedModel(LatticeModel):
    """The same model, whose marks are made as a variant says; a trial is of the plain pattern."""

    variant = VARIANTS[0]
    photo = 0

    @classmethod
    def of(cls, model: LatticeModel, variant: Variant, photo: int) -> VariedModel:
        carriers = [variant.carrier(one, photo) for one in model.carriers]
        varied = cls(model.embedder, model.extractor, carriers, model.calibration, name=model.description.name)
        varied.precision, varied.variant, varied.photo = model.precision, variant, photo
        return varied

    def pattern_in(
        self,
        cell: Cell,
        carrier: Carrier,
        bits: Tensor,
        matrix: Tensor,
        offset: Tensor,
        *,
        balance: Balance | None,
        picture: tuple[int, int],
    ) -> Tensor:
        field, plain = self.variant.field(self.photo), super().pattern_in
        if balance is None:
            return plain(cell, carrier, bits, matrix, offset, balance=balance, picture=picture)
        offset = offset + torch.tensor(self.variant.origin(self.photo))
        if field is None:
            return plain(cell, carrier, bits, matrix, offset, balance=balance, picture=picture)
        x = (torch.arange(cell.width) + 0.5) * matrix[0, 0, 0] + offset[0, 0]
        y = (torch.arange(cell.height) + 0.5) * matrix[0, 1, 1] + offset[0, 1]
        shift = field.at(x, y) / matrix[0].diagonal()[:, None, None]  # in pixels
        margin = math.ceil(float(shift.abs().max())) + 3
        larger = Cell(cell.top - margin, cell.left - margin, cell.height + 2 * margin, cell.width + 2 * margin)
        corner = offset - matrix[0].diagonal() * margin
        pattern = plain(larger, carrier, bits, matrix, corner, balance=balance, picture=picture)
        return warped(pattern, shift, margin)


def warped(pattern: Tensor, shift: Tensor, margin: int) -> Tensor:
    """A pattern (1, 1, H, W) at places that are moved by ``shift`` (2, h, w) pixels in x and y, less the margin."""
    height, width = shift.shape[-2:]
    x = torch.arange(width) + 0.5 + margin + shift[0]
    y = (torch.arange(height) + 0.5 + margin)[:, None] + shift[1]
    grid = torch.stack([x * 2 / pattern.shape[-1] - 1, y * 2 / pattern.shape[-2] - 1], -1)[None]
    return F.grid_sample(pattern, grid, mode="bicubic", padding_mode="border", align_corners=False)


class Studio:
    """Marks photos in one variant, and gives an adversary what they may have (``attacks.Means``)."""

    tile = TILE
    band = (LOWEST, HIGHEST)

    def __init__(self, marker: Watermarker, photos: Sequence[Tensor], variant: Variant) -> None:
        self.marker, self.photos, self.variant = marker, photos, variant
        self.book = WordBook.of(24)
        self.at = 0
        self._kept: dict[tuple[int, int], Tensor] = {}

    def marked(self, photo: int, word: int = 0) -> Tensor:
        """(1, 3, H, W), 8-bit values, with a word of the book: all photos the first one, if nothing is said."""
        if (photo, word) not in self._kept:
            model = self.marker.model
            assert isinstance(model, LatticeModel)
            varied = Watermarker(VariedModel.of(model, self.variant, photo), keys=self.marker.keys)
            image = varied.embed(self.photos[photo], self.book.bits(0, word), strength=self.variant.strength).image
            assert isinstance(image, Tensor)
            self._kept[photo, word] = (image * 255).round().byte()
        return self._kept[photo, word].float() / 255

    def reads(self, image: Tensor, word: int = 0) -> bool:
        """Whether the word, and no other mark, is reported, all bits right or within what the code corrects."""
        bits = self.book.bits(0, word)
        return any(sum(a != b for a, b in zip(one.bits, bits, strict=True)) <= 2 for one in self.marker.detect(image))

    def steps(self, height: int, width: int) -> tuple[float, float]:
        working = sized(height, width, min(WORKING_SIDE, height, width))
        return working[0] / height, working[1] / width

    def others(self, count: int) -> Iterator[Tensor]:
        yield from (self.marked((self.at + step) % ALIKE) for step in range(1, count + 1))

    def original(self) -> Tensor:
        return self.photos[self.at]

    def target(self) -> Tensor:
        return self.photos[(self.at + 1) % ALIKE]

    def estimate(self, image: Tensor) -> Tensor:
        model = self.marker.model
        assert isinstance(model, LatticeModel)
        size = int(image.shape[-2]), int(image.shape[-1])
        return model.extract(resize(image, sized(*size, min(WORKING_SIDE, *size)))).pattern.float()

    def is_marked(self, image: Tensor) -> bool:
        return self.reads(image)

    def mark(self, image: Tensor) -> Tensor:
        raise NotImplementedError("no attack of this script marks over")


@torch.inference_mode()
def measured(studio: Studio, photo: int, row: str) -> tuple[int, int, float]:
    """Marks that are read, of so many, and the PSNR of what an attack gives, or of the marked photo."""
    studio.at = photo
    original, marked = studio.photos[photo], studio.marked(photo)
    if row in ATTACKS:
        outcome = parse_adversary(row).attack(marked, studio)
        return int(studio.reads(outcome.image)), 1, decibels(outcome.image, outcome.reference)
    if row == SCENE:
        parts = [studio.marked(photo, word)[0] for word in range(TENTHS)]
        generator = torch.Generator().manual_seed(photo)
        scene = rounded(composite(f"multi_jpeg={TENTHS}", parts, original[0], generator=generator).image[None])
        return sum(studio.reads(scene, word) for word in range(TENTHS)), TENTHS, decibels(marked, original)
    image = parse(READINGS[row])(
        marked, seed=photo, originals=original, backgrounds=studio.photos[(photo + 1) % ALIKE]
    ).images
    return int(studio.reads(rounded(image.clamp(0, 1)))), 1, decibels(marked, original)


def decibels(image: Tensor, reference: Tensor) -> float:
    return -10 * math.log10(max(1e-12, float((image - reference).square().mean())))


def every_row() -> tuple[str, ...]:
    return (*ATTACKS, *READINGS, SCENE)


def photos_of(folder: Path, count: int, side: int) -> list[Tensor]:
    """Validation photos, evenly chosen, at a short side of so many pixels: (1, 3, H, W), 8-bit values."""
    pictures = Photos.load(folder, validation=True).pictures
    if len(pictures) < count:
        raise ValueError(f"{folder}: expected {count} validation photos or more, found {len(pictures)}; add some")
    chosen = [to_batch(pictures[number * len(pictures) // count]) for number in range(count)]
    return [rounded(resize(one, sized(int(one.shape[-2]), int(one.shape[-1]), side)).clamp(0, 1)) for one in chosen]


def run(options: argparse.Namespace, marker: Watermarker, head: str, table: Path) -> None:
    photos = photos_of(options.photos, ALIKE, options.side)
    digest = hashlib.sha256(b"".join(one.numpy().tobytes() for one in photos)).hexdigest()[:8]
    head = f"{head}, short side {options.side}, photos {digest}\n"
    found = read(table)
    if found and not found.startswith(head):
        raise ValueError(f"{table}: expected a table of the same run, found another; name another --out")
    if not found:
        table.parent.mkdir(parents=True, exist_ok=True)
        append(table, head + ",".join(COLUMNS) + "\n")
    done = {(row["variant"], row["photo"], row["row"]) for row in rows_of(table)}
    deadline = time.monotonic() + 60 * options.minutes
    chosen = [one for one in VARIANTS if options.variants is None or one.name in options.variants]
    studios = [Studio(marker, photos, variant) for variant in chosen]
    for photo in range(options.limit):  # all variants of one photo before the next, so that a run may stop anywhere
        for studio in studios:
            for row in options.rows or every_row():
                if (studio.variant.name, str(photo), row) in done:
                    continue
                if time.monotonic() > deadline:
                    return
                read_marks, of, psnr_db = measured(studio, photo, row)
                text = io.StringIO()
                line = (studio.variant.name, photo, row, read_marks, of, round(psnr_db, 2))
                csv.writer(text, lineterminator="\n").writerow(line)
                append(table, text.getvalue())
            print(f"photo {photo}, {studio.variant.name}", file=sys.stderr, flush=True)


def rows_of(table: Path) -> list[dict[str, str]]:
    lines = read(table).splitlines()[1:]
    return list(csv.DictReader(lines))


def summary(rows: Sequence[dict[str, str]]) -> str:
    """A line for each variant: PSNR of its marks, marks removed and forged, marks read."""
    heads = [f"removed by {row}" if row.startswith("fold") else f"forged by {row}" for row in ATTACKS]
    heads = ["variant", "PSNR, dB", *heads, *READINGS, SCENE]
    text = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == variant]
        levels = [float(row["psnr_db"]) for row in own if row["row"] == next(iter(READINGS))]
        cells = [variant, f"{np.mean(levels):.1f}" if levels else "-"]
        for row in every_row():
            alike = [one for one in own if one["row"] == row]
            seen, of = (sum(int(one[name]) for one in alike) for name in ("read", "of"))
            done = of - seen if row.startswith("fold") else seen
            cells.append(f"{done} of {of}" if of else "-")
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", type=Path, help="the training corpus")
    options.add_argument("--out", type=Path, required=True, help="name of the table, without extension")
    options.add_argument("--model", default=DEFAULT)
    options.add_argument("--limit", type=int, default=6, help=f"photos for each row, {ALIKE} at most")
    options.add_argument("--side", type=int, default=512, help="short side that photos are brought to, pixels")
    options.add_argument("--variants", nargs="+", choices=[one.name for one in VARIANTS], help="only these")
    options.add_argument("--rows", nargs="+", choices=every_row(), help="only these", metavar="ROW")
    options.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    options.add_argument("--summary", action="store_true", help="only print the table")
    given = options.parse_args()
    given.limit = min(given.limit, ALIKE)
    table = given.out.with_suffix(".csv")
    torch.set_num_threads(1)
    try:
        if not given.summary:
            if given.photos is None:
                raise ValueError("expected --photos, found none; give the training corpus, or --summary")
            marker = load(given.model, device="cpu", keys=(OTHER_KEY,))
            run(given, marker, f"# model {marker.name}, search {marker.model.description.search}", table)
        print(summary(rows_of(table)))
    except (OSError, ValueError, WamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
