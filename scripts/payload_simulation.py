"""What bits that are wrong and marks that are lost do to both modes, and how often a foreign word matches a registry.

    python scripts/payload_simulation.py --out checkpoints/payload
    python scripts/payload_simulation.py --out checkpoints/payload --photos ../shared/corpus/eval/kodak --limit 4

Writes OUT.csv and OUT.png. Bits are simulated as signs in Gaussian noise, whose strength gives the bit error rate, so
that confidences mean what the extractor's mean. With --photos the same is measured on pictures through the model,
marked in both modes and attacked; without, rows of an earlier run with photos are kept. About 2 minutes on one core,
and a minute for each photo.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from payload import Record, bits_from_word, encode, read_records, read_word, seal_frame, split_frame
from payload.codes.soft_decoding import patterns_of
from payload.codes.word_match import MAX_LOG10_WORD_P
from payload.layout import ID_COUNT, MOST_MARKS, WORD_BITS, data_marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from wam.watermarker import Watermarker

TIME = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
RECORDS = {
    "record, 12 marks": Record("123", "acme", None, TIME),
    "record, 24 marks": Record("6f1c1b1e-1c2d-4a5b-8c9d-0123456789ab", "acme", None, TIME),
}
REGISTERED = 1000  # words in use while link mode is simulated
ERROR_RATES = (0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2)
SIZES = (*(10**power for power in range(7)), ID_COUNT)
COLUMNS = ("source", "mode", "axis", "value", "lost", "trials", "right", "wrong")
Row = dict[str, object]


def logits(words: list[int], error_rate: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Log-likelihood ratios of words sent with signs +-1 through Gaussian noise: (n, 32)."""
    signs = np.array([[1.0 if bit == "1" else -1.0 for bit in bits_from_word(word)] for word in words])
    if error_rate == 0:
        return 6 * signs
    deviation = -1 / NormalDist().inv_cdf(error_rate)
    return 2 / deviation**2 * (signs + deviation * rng.normal(size=signs.shape))


def simulate_link(error_rate: float, trials: int, rng: np.random.Generator) -> Row:
    """How often the registered word is verified, and how often another one."""
    words = encode(rng.choice(ID_COUNT, REGISTERED, replace=False))
    right = wrong = 0
    for word in rng.choice(words, trials):
        match = read_word(logits([int(word)], error_rate, rng)[0], words, presence_log10_p=-6.0)
        right += match.status == "verified" and match.word == word
        wrong += match.status == "verified" and match.word != word
    return row("simulated", "link", "bit error rate", error_rate, 0, trials, right, wrong)


def simulate_record(mode: str, error_rate: float, lost: int, axis: str, trials: int, rng: np.random.Generator) -> Row:
    """How often the record is read exactly, and how often another one."""
    record = RECORDS[mode]
    words = [mark.word for mark in split_frame(seal_frame(record))]
    right = wrong = 0
    for _ in range(trials):
        kept = [words[place] for place in rng.permutation(len(words))[lost:]]
        read = [each.record for each in read_records(list(logits(kept, error_rate, rng)))]
        found = [other for other in read if other is not None]
        right += record in found
        wrong += any(other != record for other in found)
    value = error_rate if axis == "bit error rate" else lost
    return row("simulated", mode, axis, value, lost, trials, right, wrong)


def simulate(trials: int) -> Iterator[Row]:
    """All simulated rows."""
    rng = np.random.default_rng(0)
    for rate in ERROR_RATES:
        yield simulate_link(rate, 4 * trials, rng)
        for mode in RECORDS:
            for lost in (0, 2):
                yield simulate_record(mode, rate, lost, "bit error rate", trials, rng)
    for mode, record in RECORDS.items():
        marks = len(split_frame(seal_frame(record)))
        for lost in range(marks - data_marks(marks) + 3):
            for rate in (0.0, 0.04):
                yield {**simulate_record(mode, rate, lost, "lost marks", trials, rng), "mode": f"{mode}, {rate:.0%}"}
    yield from simulate_matches(50 * trials, rng)


def simulate_matches(trials: int, rng: np.random.Generator) -> Iterator[Row]:
    """How often a random word is within 0 to 2 bits of any registered one."""
    order = encode(rng.permutation(ID_COUNT))
    foreign = rng.integers(0, 1 << WORD_BITS, trials, dtype=np.uint32)
    for size in (10_000, 100_000, 1_000_000):
        nearest = np.array([int(np.bitwise_count(order[:size] ^ word).min()) for word in foreign[: trials // 4]])
        for bits in range(3):
            hits = int((nearest <= bits).sum())
            yield row("simulated", f"{bits} wrong bits", "registry size", size, 0, len(nearest), 0, hits)


def measure(folder: Path, limit: int) -> Iterator[Row]:
    """Both modes on pictures through the model, under attacks that make bits wrong or cut marks away."""
    from PIL import Image

    from wam.watermarker import load

    marker = load()
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg"))[:limit]
    for path in paths:
        pixels = np.array(Image.open(path).convert("RGB"))
        yield from measure_one(marker, pixels, path.name)


def measure_one(marker: Watermarker, pixels: NDArray[np.uint8], name: str) -> Iterator[Row]:
    """One picture: crops from the right, recompression, blur."""
    from wam.pipeline.record_marks import embed_record, find_records, plan_record

    word = int(encode(4321))
    link = np.asarray(marker.embed(pixels, bits_from_word(word)).image)
    record = RECORDS["record, 12 marks"]
    plan = plan_record(marker, (pixels.shape[0], pixels.shape[1]), record)
    whole = np.asarray(embed_record(marker, pixels, plan).image)
    for attack, change in ATTACKS.items():
        found = marker.detect(change(link), max_log10_p=-1.0)
        matches = [read_word(each.logits, encode([4321]), presence_log10_p=each.log10_p) for each in found]
        right = any(match.status == "verified" for match in matches)
        yield row(f"{name} {attack}", "link", "attack", attack, 0, 1, right, 0)
        detections = marker.detect(change(whole), max_log10_p=-1.0)
        records, _ = find_records(detections)
        lost = len(plan.words) - max((each.reading.read for each in records), default=0)
        right = any(each.reading.record == record for each in records)
        wrong = any(each.reading.record not in (None, record) for each in records)
        yield row(f"{name} {attack}", "record, 12 marks", "attack", attack, lost, 1, right, wrong)


def recompress(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Through JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def cut(pixels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """The left part of a picture."""
    return np.ascontiguousarray(pixels[:, : round(pixels.shape[1] * share)])


ATTACKS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "none": lambda pixels: pixels,
    "JPEG 80": lambda pixels: recompress(pixels, 80),
    "JPEG 50": lambda pixels: recompress(pixels, 50),
    "crop to 80%": lambda pixels: cut(pixels, 0.8),
    "crop to 60%": lambda pixels: cut(pixels, 0.6),
}


def row(source: str, mode: str, axis: str, value: object, lost: int, trials: int, right: int, wrong: int) -> Row:
    """One line of the table."""
    return dict(zip(COLUMNS, (source, mode, axis, value, lost, trials, int(right), int(wrong)), strict=True))


def draw(rows: list[Row], path: Path) -> None:
    """Four panels: bit errors, lost marks, registry size, pictures."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, ((errors, losses), (matches, pictures)) = plt.subplots(2, 2, figsize=(11, 8))
    for mode in ("link", *RECORDS):
        for lost, style in ((0, "-"), (2, ":")):
            line(errors, rows, mode, "bit error rate", style, lost=lost)
    for mode in RECORDS:
        for rate, style in ((0.0, "-"), (0.04, "--")):
            line(losses, rows, f"{mode}, {rate:.0%}", "lost marks", style)
    sizes = np.array(SIZES, dtype=float)
    for bits in range(4):
        matches.loglog(sizes, np.minimum(1, sizes * patterns_of(bits) / 2**WORD_BITS), label=f"{bits} bits corrected")
        seen = [each for each in rows if each["axis"] == "registry size" and each["mode"] == f"{bits} wrong bits"]
        shares = [int(str(each["wrong"])) / int(str(each["trials"])) for each in seen]
        matches.plot([float(str(each["value"])) for each in seen], shares, "o", color=f"C{bits}")
    matches.axhline(10**MAX_LOG10_WORD_P, color="k", linewidth=0.8, label="refused above")
    errors.set(xlabel="bit error rate", ylabel="read exactly", title="wrong bits (dotted: 2 marks lost too)")
    losses.set(xlabel="marks lost", title="lost marks (dashed: 4% of the bits wrong)")
    matches.set(
        xlabel="words in the registry", ylabel="chance", title="a foreign word matches the registry", ylim=(1e-9, 2)
    )
    draw_pictures(pictures, [each for each in rows if each["axis"] == "attack"])
    for panel in (errors, losses, matches, pictures):
        panel.legend(fontsize=8)
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def draw_pictures(panel: Axes, rows: list[Row]) -> None:
    """Bars of the share of pictures read, for each attack."""
    modes = list(dict.fromkeys(str(each["mode"]) for each in rows))
    names = list(dict.fromkeys(str(each["value"]) for each in rows))
    for place, mode in enumerate(modes):
        results = [[int(str(r["right"])) for r in rows if (r["mode"], r["value"]) == (mode, name)] for name in names]
        shares = [sum(each) / len(each) for each in results]
        panel.bar(np.arange(len(names)) + 0.4 * place - 0.2, shares, 0.38, label=mode)
    count = len(rows) // max(1, len(modes) * len(names))
    panel.set_xticks(range(len(names)), names, fontsize=8)
    panel.set(title=f"measured on {count} photos", ylabel="read exactly")


def line(panel: Axes, rows: list[Row], mode: str, axis: str, style: str, *, lost: int | None = None) -> None:
    """One curve of shares read exactly."""
    chosen = [each for each in rows if each["mode"] == mode and each["axis"] == axis]
    chosen = [each for each in chosen if lost is None or int(str(each["lost"])) == lost]
    if chosen:
        shares = [int(str(each["right"])) / int(str(each["trials"])) for each in chosen]
        colour = f"C{['link', *RECORDS].index(mode.removesuffix(', 0%').removesuffix(', 4%'))}"
        label = mode if style == "-" else None
        values = [float(str(each["value"])) for each in chosen]
        panel.plot(values, shares, style, color=colour, marker=".", label=label)


def main() -> None:
    """Parses the command line, writes the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="name of the table and the plot, without extension")
    parser.add_argument("--trials", type=int, default=100, help="records of each point")
    parser.add_argument("--photos", type=Path, help="folder of photos to measure on")
    parser.add_argument("--limit", type=int, default=4, help="photos to take")
    options = parser.parse_args()
    table = options.out.with_suffix(".csv")
    measured: list[Row] = []
    if options.photos is not None:
        measured = list(measure(options.photos, options.limit))
    elif table.exists():
        with table.open(newline="", encoding="utf-8") as stream:
            measured = [dict(each) for each in csv.DictReader(stream) if each["axis"] == "attack"]
    rows = [*simulate(options.trials), *measured]
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, options.out.with_suffix(".png"))


assert max(SIZES) <= ID_COUNT and MOST_MARKS >= 24

if __name__ == "__main__":
    main()
