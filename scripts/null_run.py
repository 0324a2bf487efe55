"""How often a picture without a mark has one reported: distinct pictures, each read once as it is, and nothing tuned
after it.

    python scripts/null_run.py --pictures DIR [DIR ...] --out checkpoints/null-independent
    python scripts/null_run.py --generated 2000 --out checkpoints/null-independent
    python scripts/null_run.py --out checkpoints/null-independent --summary
    python scripts/null_run.py --pictures DIR [DIR ...] --quick --out checkpoints/null-quick

A picture's kind is the name of the folder that it lies in: photos/, screenshots/, pages/, scans/ and so on, and
``generated`` for those that this script draws, which are counted apart: they are not what people have. Pictures are
read at their full size, as `wam detect --registry` reads a file, with a registry of 20,000 records, once without and
once, of every second one (--marked-every), with a mark that is none of the registry's: a word that it does not have,
or any word with another key, by turns. A picture that was seen before, byte for byte or by its 64-bit hash, is not
counted again. With --quick they are looked at in the usual resolution only, where whole pictures show their mark, and
negatives and what was left of a subtracted one theirs: ten times as many in the same time.

Rows are appended to OUT.csv, whose first line names checkpoint, search and registry; a run with the same --out goes on
where it was killed, or stopped by --minutes. What was read with another checkpoint or search is refused: a run is
frozen. Of each kind the summary tells the share of pictures with a report, for each million, with its exact 95%
interval (Clopper and Pearson 1934).
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
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from payload import PayloadError, hash_rgb
from scripts.false_positives import KINDS, Setup, add_run_options, beginnings, make_registry, marked
from wam.append_log import append, read
from wam.bench.parallel import map_forked
from wam.bench.photos import ImageSet
from wam.bench.summary import interval
from wam.errors import ImageError, WamError
from wam.models.effort import USUAL, Effort
from wam.models.lattice_model import LatticeModel
from wam.models.zoo import default_precision
from wam.pictures.atomic_write import save_atomically
from wam.pictures.files import expand_inputs, read_image
from wam.pictures.formats import Metadata, Settings
from wam.pictures.samples import Picture, Pixels
from wam.pipeline.read import examine, judge
from wam.pipeline.registered_words import RegisteredWords
from wam.watermarker import load

COLUMNS = ("picture", "kind", "shown", "width", "height", "hash", "score", "tried", "anonymous", "named", "log10_p")
"""``shown``: unmarked, or whose mark; ``hash``: the picture's own, 64 bits; ``score``: the strongest pose or mark of
``tried`` regions; ``anonymous``: marks reported without a record; ``named``: records; ``log10_p``: of the strongest."""
GENERATED = "generated"
MARKED = 2  # every so many pictures is read once more with a mark that is none of the registry's
SAME = 2  # bits in which hashes of one picture may differ
CHUNK = 8  # pictures whose rows are written at a time
SIDES = (384, 1600)  # short sides of generated pictures, pixels


@dataclass(frozen=True)
class Source:
    """One picture of a run: a file, or the number of one that is drawn."""

    name: str
    kind: str
    path: Path | None = None
    number: int = 0


def sources(folders: list[Path], generated: int) -> list[Source]:
    """All pictures, those of files by kind and name, then the drawn ones; ``WamError`` where a folder has none."""
    found = []
    for folder in folders:
        for place in map(Path, expand_inputs([str(folder)])):
            inside = place.relative_to(folder).parts if place.is_relative_to(folder) else (place.name,)
            kind = inside[0] if len(inside) > 1 else folder.name
            found.append(Source("/".join(inside), kind, place))
    drawn = (Source(f"{GENERATED}/{number}", GENERATED, None, number) for number in range(generated))
    return [*found, *drawn]


def draw(number: int) -> Pixels:
    """A picture of clouds of all sizes, shapes and lines of text, (H, W, 3) uint8, of a size of its own."""
    from PIL import Image, ImageDraw

    generator = np.random.default_rng([24, number])
    height, width = (int(side) for side in generator.integers(*SIDES, 2))
    slope = generator.uniform(0.7, 1.6)  # photos are near 1
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    falling = 1 / np.maximum(np.hypot(y, x), 1 / max(height, width)) ** slope
    planes = [
        np.fft.irfft2(np.fft.rfft2(generator.normal(size=(height, width))) * falling, (height, width)) for _ in "rgb"
    ]
    mixed = np.stack([planes[0] + generator.uniform(0, 1) * plane for plane in planes], -1)
    mixed = 128 + (mixed - mixed.mean()) / mixed.std() * generator.uniform(15, 70)
    image = Image.fromarray(mixed.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(int(generator.integers(0, 25))):
        left, right = sorted(generator.integers(0, width, 2).tolist())
        top, bottom = sorted(generator.integers(0, height, 2).tolist())
        shape = (pen.rectangle, pen.ellipse)[int(generator.integers(2))]
        shape((left, top, right, bottom), fill=tuple(generator.integers(0, 256, 3).tolist()))
    for row in range(int(generator.integers(0, 30))):
        letters = "".join(chr(97 + letter) for letter in generator.integers(0, 26, 40))
        pen.text((10, 12 * row), letters, fill=tuple(generator.integers(0, 256, 3).tolist()))
    return np.asarray(image)


def read_source(setup: Setup, task: tuple[Source, str], *, effort: Effort = USUAL) -> dict[str, object]:
    """One picture as it is, or with another's mark, read as ``wam detect`` does; without figures where no decoder takes
    it, or where it is too small to be searched."""
    source, shown = task
    row: dict[str, object] = dict.fromkeys(COLUMNS, "")
    row |= {"picture": source.name, "kind": source.kind, "shown": shown}
    try:
        pixels = draw(source.number) if source.path is None else read_image(source.path).pixels
        own = hash_rgb(pixels)
        if shown != KINDS[0]:
            number = int.from_bytes(hashlib.sha256(source.name.encode("utf-8", "backslashreplace")).digest()[:6], "big")
            pixels = marked(setup, pixels, shown, number)
        picture = Picture(source.name, pixels, None, "RGB", "PNG", 1, None, Metadata(), Settings())
        examined = examine(setup.marker, picture, effort=effort)
    except (ImageError, ValueError):
        return row
    readings = judge(examined, setup.words).readings
    marks = [*examined.detections, *(mark for record in examined.records for mark in record.detections)]
    best = max(marks, key=lambda mark: mark.score, default=None)
    scores = [search.strongest for search in examined.searches] + [mark.score for mark in marks]
    named = sum(reading.record is not None for reading in readings)
    return row | {
        "width": picture.width,
        "height": picture.height,
        "hash": f"{own:016x}",
        "score": round(max(scores, default=0.0), 3),
        "tried": sum(search.tried for search in examined.searches),
        "anonymous": len(readings) - named,
        "named": named,
        "log10_p": "" if best is None else round(best.log10_p, 2),
    }


def tasks_of(found: list[Source], marked_every: int = MARKED) -> list[tuple[Source, str]]:
    """Each picture without a mark, and every so many th with one that is none of the registry's."""
    tasks = []
    for place, source in enumerate(found):
        tasks.append((source, KINDS[0]))
        if place % marked_every == marked_every - 1:
            tasks.append((source, KINDS[1 + place // marked_every % 2]))
    return tasks


def distinct(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows of pictures that were not seen before under another name, first come, first kept."""
    names: dict[str, int] = {}  # hash of each name, -1 of one that was seen before
    kept: NDArray[np.uint64] = np.zeros(0, np.uint64)
    for row in rows:
        if row["picture"] not in names:
            own = np.uint64(int(row["hash"], 16))
            seen = bool((np.bitwise_count(kept ^ own) <= SAME).any())
            names[row["picture"]] = -1 if seen else len(kept)
            if not seen:
                kept = np.append(kept, own)
    return [row for row in rows if names[row["picture"]] >= 0]


def summary(rows: list[dict[str, str]]) -> str:
    """What was reported of unmarked pictures, by kind and of all that were not drawn, and of others' marks."""
    read_rows = [row for row in rows if row["hash"]]
    own = distinct(read_rows)
    lines = [
        f"{len(rows)} readings, {len(rows) - len(read_rows)} of files that could not be read, "
        f"{len(read_rows) - len(own)} of pictures seen before: not counted",
        "unmarked pictures with a report, 95% interval per picture and per million:",
    ]
    unmarked = [row for row in own if row["shown"] == KINDS[0]]
    kinds = sorted({row["kind"] for row in unmarked})
    real = [row for row in unmarked if row["kind"] != GENERATED]
    groups = [(kind, [row for row in unmarked if row["kind"] == kind]) for kind in kinds]
    groups += [("all but generated", real)] if len(kinds) > 1 else []
    for name, members in groups:
        lines.append(f"  {name}: {_rate(members, lambda row: row['anonymous'] != '0' or row['named'] != '0')}")
    for kind in KINDS[1:]:
        members = [row for row in own if row["shown"] == kind]
        lines.append(f"{kind}: a record named in {_rate(members, lambda row: row['named'] != '0')}")
    return "\n".join(lines)


def _rate(rows: list[dict[str, str]], is_alarm: Callable[[dict[str, str]], bool]) -> str:
    count, total = sum(map(is_alarm, rows)), len(rows)
    low, high = interval(count, total)
    return f"{count} of {total} ({low:.4%} to {high:.4%}; {1e6 * low:,.0f} to {1e6 * high:,.0f} in a million)"


def as_csv(rows: list[dict[str, object]]) -> str:
    """Rows as lines of the table."""
    text = io.StringIO(newline="")
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()


def read_rows(path: Path, headers: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a run, without one that a kill cut off; raises ``ValueError`` for those of another one."""
    found, _, rest = read(path).partition("\n")
    if not found.startswith(headers):
        raise ValueError(
            f"{path}: expected rows of {headers[0].removeprefix('# ')}, found those of {found.removeprefix('# ')}; "
            "a run is frozen: give another --out"
        )
    return list(csv.DictReader(io.StringIO(rest)))


def run(options: argparse.Namespace, model: LatticeModel, setup: Setup, table: Path, headers: tuple[str, ...]) -> None:
    """Reads what the table does not have yet, until the time is over."""
    if not table.exists():
        save_atomically(table, lambda new: new.write_text(f"{headers[0]}\n{','.join(COLUMNS)}\n", encoding="utf-8"))
    done = {(row["picture"], row["shown"]) for row in read_rows(table, headers)}
    found = sources(options.pictures or [], options.generated)
    todo = [task for task in tasks_of(found, options.marked_every) if (task[0].name, task[1]) not in done]
    print(f"{len(done)} readings done, {len(todo)} to do", file=sys.stderr, flush=True)
    end = time.monotonic() + 60 * options.minutes
    reading = partial(read_source, effort=Effort(quick=options.quick))
    with closing(map_forked(reading, setup, todo, workers=options.workers)) as results:
        while time.monotonic() < end and (rows := list(islice(results, CHUNK))):
            append(table, as_csv(rows))
            print(f"{rows[-1]['picture']}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--pictures", nargs="+", type=Path, metavar="DIR", help="folders of unmarked pictures, by kind"
    )
    options.add_argument("--generated", type=int, default=0, metavar="N", help="so many drawn pictures besides")
    options.add_argument(
        "--marked-every", type=int, default=MARKED, metavar="N", help="every so many pictures is read marked besides"
    )
    options.add_argument("--quick", action="store_true", help="look at the usual resolution only")
    add_run_options(options, written="the table")
    return options


def main() -> int:
    options = parser().parse_args()
    table = options.out.with_suffix(".csv")
    torch.set_num_threads(1)  # before the workers are forked
    try:
        marker = load(options.model, device="cpu")
        if not isinstance(marker.model, LatticeModel) or bool(options.pictures or options.generated) == options.summary:
            raise ValueError("expected a model of this toolkit, and either pictures or --summary; change the options")
        setting = f"{default_precision(options.model, 'cpu')}, {options.records} records{', quick' * options.quick}"
        headers = tuple(f"{start}{setting}" for start in beginnings(marker.model.description))
        if not options.summary:
            with tempfile.TemporaryDirectory() as folder:
                registry = make_registry(Path(folder) / "registry.sqlite", options.records)
                words = RegisteredWords(registry, seconds=math.inf)
                setup = Setup(marker, marker.model, registry, words, [], {}, ImageSet.packaged())
                run(options, marker.model, setup, table, headers)
        rows = read_rows(table, headers)
    except (ValueError, OSError, WamError, PayloadError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(summary(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
