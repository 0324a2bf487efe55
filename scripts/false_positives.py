"""How often a picture without a mark of this registry has one reported, or a record named: a run over many views.

    python scripts/false_positives.py --photos ../shared/corpus/train ../shared/corpus/eval --out checkpoints/null
    python scripts/false_positives.py --out checkpoints/null --summary

View n is picture n of the folders, over and over, under an attack that depends on n alone, read just as `wam detect
--registry` reads a file, faint marks looked up. Every 16th is larger than the others. Every 8th carries a mark after
all: a word that the registry does not have, or any word with another key, by turns. So every record that is named is
wrong. (A registry with another secret shares words with this one in proportion to their sizes; those are left out,
since nothing in the pixels differs.)

Rows are appended to OUT.csv, whose first line names checkpoint and search; a run with the same --out goes on where it
was killed or stopped by --minutes. At the end, or with --summary, the counts are printed, and OUT.png shows the
strongest scores of unmarked views beside the tail that the checkpoint's calibration expects; it was fitted with a lower
threshold, where more is refined and read, so that below the threshold fewer are seen than expected. About a second for
each view on one core.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import math
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import parse
from payload import PayloadError, Record, bits_from_word, derive_subkeys, encode
from payload.layout import ID_COUNT
from payload.records.record import parse_time
from payload.registry import Registry
from payload.registry.entry import Entry, word_of
from payload.registry.export_import import Header, write_lines
from wam.append_log import append, read
from wam.bench.parallel import map_forked
from wam.bench.photos import ImageSet
from wam.bench.summary import upper_bound
from wam.detection.calibration import Calibration
from wam.errors import WamError
from wam.models.catalogue import DEFAULT
from wam.models.lattice_model import LatticeModel
from wam.models.protocol import Description
from wam.models.zoo import default_precision
from wam.networks.watermark_network import WatermarkModel
from wam.pictures.atomic_write import save_atomically
from wam.pictures.formats import Metadata, Settings
from wam.pictures.samples import Picture, Pixels
from wam.pipeline.read import examine, judge
from wam.pipeline.registered_words import RegisteredWords
from wam.signal.filters import to_pixels
from wam.signal.pattern import Carrier
from wam.watermarker import Watermarker, load, to_batch

ATTACKS = (
    *("identity", "jpeg=60", "rotate=17", "crop=0.33", "gaussian_blur=9", "brightness=2", "resize=0.6", "median=5"),
    *("perspective=0.3", "hflip", "contrast=2", "gaussian_noise=0.05", "jpeg=80,brightness=1.5,crop=0.5"),
)
MARKED = 8  # every so many views has a mark that is none of the registry's
LARGE = 16  # every so many views, none of those, is larger
KINDS = ("unmarked", "other-registry", "other-key")
COLUMNS = ("view", "picture", "attack", "kind", "score", "tried", "anonymous", "named", "log10_p")
"""``score``: the strongest pose of ``tried`` regions, or mark; ``anonymous``: marks reported without a record;
``named``: records; ``log10_p``: chance of the strongest mark that was looked up, empty if there was none."""
CHUNK = 16  # rows written at a time
SECRET = hashlib.sha256(b"null run registry").digest()[:16]
TIME = parse_time("2026-11-22T09:30:00Z")


@dataclass(frozen=True, eq=False)
class Setup:
    """What views are made of and read with. ``names`` of all pictures; ``pictures``: the decoded ones by number;
    ``larger``: the same ones of another size."""

    marker: Watermarker
    model: LatticeModel
    registry: Registry
    words: RegisteredWords
    names: list[str]
    pictures: dict[int, Pixels]
    larger: ImageSet


def kind_of(number: int) -> str:
    """What the view of that number shows."""
    return KINDS[1 + number // MARKED % 2] if number % MARKED == MARKED - 1 else KINDS[0]


def attack_of(number: int, pictures: int) -> str:
    """The next attack for each picture, and another one when the pictures come round again."""
    return ATTACKS[(number + number // pictures) % len(ATTACKS)]


def make_registry(path: Path, records: int) -> Registry:
    """A registry with so many records, the same ones each time."""
    entries = (Entry(n, word_of(SECRET, n), Record(f"asset {n}", "null run", None, TIME)) for n in range(records))
    registry = Registry.open(str(path))
    registry.import_(io.StringIO("".join(write_lines(Header(SECRET, records), entries))))
    return registry


def marked(setup: Setup, pixels: Pixels, kind: str, number: int) -> Pixels:
    """A picture with a word that is not registered, or with any link word and a key of its own."""
    generator = np.random.default_rng([11, number])
    word, registered = int(encode(int(generator.integers(ID_COUNT)))), setup.words.get()
    assert registered is not None
    while kind == "other-registry" and bool((registered == np.uint32(word)).any()):
        word = int(encode(int(generator.integers(ID_COUNT))))
    if kind == "other-registry":
        return np.asarray(setup.marker.embed(pixels, bits_from_word(word)).image)
    carrier = Carrier.from_key(derive_subkeys(generator.bytes(16)).carrier)
    other = WatermarkModel(setup.model.embedder, setup.model.extractor, [carrier])
    bits = torch.tensor([[int(bit) for bit in bits_from_word(word)]])
    with torch.inference_mode():
        return to_pixels(other.mark(to_batch(pixels), bits)[0])


def read_view(setup: Setup, number: int) -> dict[str, object]:
    """Makes one view and reads it as ``wam detect`` does from the decoded pixels on."""
    place, kind = number % len(setup.names), kind_of(number)
    pixels = to_pixels(setup.larger.photo(place)[0]) if number % LARGE == 0 else setup.pictures[place]
    attack = attack_of(number, len(setup.names))
    batch = to_batch(pixels if kind == KINDS[0] else marked(setup, pixels, kind, number))
    shown = to_pixels(parse(attack)(batch, seed=number, originals=to_batch(pixels)).images[0].clamp(0, 1))
    picture = Picture(setup.names[place], shown, None, "RGB", "PNG", 1, None, Metadata(), Settings())
    examined = examine(setup.marker, picture)
    readings = judge(examined, setup.words).readings
    marks = [*examined.detections, *(mark for record in examined.records for mark in record.detections)]
    best = max(marks, key=lambda mark: mark.score, default=None)
    scores = [search.strongest for search in examined.searches] + [mark.score for mark in marks]
    tried = sum(search.tried for search in examined.searches)
    named = sum(reading.record is not None for reading in readings)
    values = (number, setup.names[place], attack, kind, round(max(scores), 3), tried, len(readings) - named, named)
    return dict(zip(COLUMNS, (*values, "" if best is None else round(best.log10_p, 2)), strict=True))


def beginnings(description: Description) -> tuple[str, ...]:
    """How the first line of a table begins that was read with a checkpoint and search: as it is written now, then for
    other files of the same networks."""
    hashes = [name.rpartition("@")[2] for name in (description.name, *description.same_as)]
    return tuple(f"# checkpoint {digits}, search {description.search} in " for digits in hashes)


def read_table(path: Path, headers: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a run, without one that a kill cut off; raises ``ValueError`` where the first line does not begin
    with one of ``headers``."""
    found, _, rest = read(path).partition("\n")
    if not found.startswith(headers):
        expected, found = headers[0].removeprefix("# ").removesuffix(" in "), found.removeprefix("# ")
        raise ValueError(f"{path}: expected rows of {expected}, found those of {found}; give another --out")
    return list(csv.DictReader(io.StringIO(rest)))


def start_table(path: Path, headers: tuple[str, ...]) -> set[int]:
    """Makes the table, with the first of ``headers``, or takes up an earlier one; returns the views that it has."""
    if not path.exists():
        save_atomically(path, lambda new: new.write_text(f"{headers[0]}\n{','.join(COLUMNS)}\n", encoding="utf-8"))
    return {int(row["view"]) for row in read_table(path, headers)}


def as_csv(rows: list[dict[str, object]]) -> str:
    """Rows as lines of the table."""
    text = io.StringIO(newline="")
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()


def run(options: argparse.Namespace, marker: Watermarker, model: LatticeModel, table: Path) -> None:
    """Reads the views that the table does not have yet, until the time is over."""
    images = ImageSet.of(options.photos, size=options.side)
    names = [path.name for path in images.paths]
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "backslashreplace")).hexdigest()[:8]
    pictures = f"{len(names)} pictures ({digest}) of at most {options.side} and {options.large} pixels"
    precision = default_precision(options.model, "cpu")
    setting = f"{precision}, {options.records} records, {pictures}"
    done = start_table(table, tuple(f"{start}{setting}" for start in beginnings(model.description)))
    numbers = [number for number in range(options.views) if number not in done]
    print(f"{len(done)} views done, {len(numbers)} to do", file=sys.stderr, flush=True)
    decoded = {place: to_pixels(images.photo(place)[0]) for place in {number % len(names) for number in numbers}}
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        registry = make_registry(Path(folder) / "registry.sqlite", options.records)
        larger = ImageSet.of(options.photos, size=options.large)
        setup = Setup(marker, model, registry, RegisteredWords(registry, seconds=math.inf), names, decoded, larger)
        with closing(map_forked(read_view, setup, numbers, workers=options.workers)) as views:
            while time.monotonic() < end and (rows := list(islice(views, CHUNK))):
                append(table, as_csv(rows))
                print(f"view {rows[-1]['view']}", file=sys.stderr, flush=True)


def expected_share(calibration: Calibration, tried: NDArray[np.int64], score: float) -> float:
    """The share of views whose strongest score is at least this, as the calibrated tail has it."""
    return float(np.minimum(1, np.maximum(tried, 1) * 10 ** calibration.log10_presence(score)).mean())


def at_most(count: int, total: int) -> str:
    """A rate with the upper end of its one-sided 95% interval (Clopper and Pearson; 3 / total for nothing seen)."""
    return f"{count} in {total} (below {upper_bound(count, total):.3%})"


def tail(rows: list[dict[str, str]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Strongest score, and regions tried, of each unmarked view."""
    own = [row for row in rows if row["kind"] == KINDS[0]]
    return np.array([float(row["score"]) for row in own]), np.array([int(row["tried"]) for row in own])


def summary(rows: list[dict[str, str]], calibration: Calibration) -> str:
    """Counts by kind, bounds, and the tail of the unmarked views beside the calibrated one."""
    lines = []
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        marks, named = (sum(int(row[name]) for row in own) for name in ("anonymous", "named"))
        views = sum(row["anonymous"] != "0" for row in own)
        lines.append(f"{kind}: {len(own)} views, {marks} anonymous marks in {views}, {named} records wrongly named")
    alarms = [row["anonymous"] != "0" for row in rows if row["kind"] == KINDS[0]]
    lines.append(f"views with a record wrongly named: {at_most(sum(row['named'] != '0' for row in rows), len(rows))}")
    lines.append(f"unmarked views with an anonymous mark: {at_most(sum(alarms), len(alarms))}")
    lines.append("unmarked views with a score of at least ...: seen, expected")
    scores, tried = tail(rows)
    for score in np.unique(np.floor(np.linspace(np.median(scores), scores.max(), 7) * 10) / 10):
        share = expected_share(calibration, tried, score)
        lines.append(f"  {score:5.1f}: {int((scores >= score).sum())}, {len(scores) * share:.1f}")
    return "\n".join(lines)


def draw(rows: list[dict[str, str]], calibration: Calibration, description: Description, path: Path) -> None:
    """Share of unmarked views whose strongest score is at least so high, seen and expected."""
    present = description.present
    scores, tried = tail(rows)
    scores, count = np.sort(scores), len(scores)
    reported = calibration.null_location + calibration.null_scale * np.log(np.median(tried) / 10**present)
    grid = np.linspace(scores[0] - 1, max(reported, scores[-1], calibration.threshold) + 2, 200)
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    panel = figure.subplots()
    panel.step(scores, 1 - np.arange(count) / count, where="pre", label=f"seen, {count:,} views")
    shares = [expected_share(calibration, tried, float(score)) for score in grid]
    panel.plot(grid, shares, "--", label="expected by the calibration")
    panel.axvline(calibration.threshold, color="grey", linestyle=":", label="a region is read from here on")
    panel.axvline(reported, color="k", linewidth=0.8, label=f"reported without a record: chance 1e{present:.0f}")
    panel.set(yscale="log", ylim=(0.3 / count, 1.5), xlabel="strongest score of a view", ylabel="share of views")
    panel.set_title(f"Unmarked views, checkpoint {description.name}", fontsize=10)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    save_atomically(path, lambda new: figure.savefig(new, format="png", dpi=110))


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", nargs="+", help="folders of unmarked pictures, recursed")
    add_run_options(options, written="the table and the plot")
    options.add_argument("--views", type=int, default=20_000)
    options.add_argument("--side", type=int, default=256, help="short side that larger pictures are reduced to, pixels")
    options.add_argument("--large", type=int, default=512, help=f"the same for every {LARGE}th view")
    return options


def add_run_options(options: argparse.ArgumentParser, *, written: str) -> None:
    """Those of every run over unmarked pictures, which leaves a table that the next goes on from."""
    options.add_argument("--out", type=Path, required=True, help=f"name of {written}, without extension")
    options.add_argument("--model", default=DEFAULT)
    options.add_argument("--records", type=int, default=20_000, help="in the registry that is asked")
    options.add_argument("--workers", type=int, default=2, help="processes")
    options.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    options.add_argument("--summary", action="store_true", help="only count what there is")


def main() -> int:
    options = parser().parse_args()
    table = options.out.with_suffix(".csv")
    torch.set_num_threads(1)  # before the workers are forked
    try:
        marker = load(options.model, device="cpu")
        if not isinstance(marker.model, LatticeModel) or bool(options.photos) == options.summary:
            raise ValueError("expected a model of this toolkit, and either --photos or --summary; change the options")
        if options.photos:
            run(options, marker, marker.model, table)
        rows = read_table(table, beginnings(marker.model.description))
        if KINDS[0] not in [row["kind"] for row in rows]:
            raise ValueError(f"{table}: expected unmarked views, found none; read some first")
    except (ValueError, OSError, WamError, PayloadError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(summary(rows, marker.model.calibration))
    draw(rows, marker.model.calibration, marker.model.description, options.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
