"""How often a bit is right whose confidence is so and so high: reliability of ``bit_confidence``.

    python scripts/reliability.py --photos ../shared/corpus/train --out checkpoints/reliability

Every photo of the validation split is marked at the default strength and attacked in every way of ``--attacks``. Of the
marks that are reported, the one whose bits agree best with the message gives its 32 bits as read, before correction,
with their confidences. Writes OUT.csv, a row for each bin of confidence, and OUT.png, and prints the rows. The
intervals take bits for independent, which those of one mark are not quite. With 65 photos about 8 minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import parse
from payload import bits_from_word, encode, read_word
from payload.layout import ID_COUNT
from wam.bench.parallel import map_forked
from wam.bench.summary import interval
from wam.errors import WamError
from wam.models.catalogue import DEFAULT
from wam.pictures.atomic_write import save_atomically
from wam.signal.filters import to_pixels
from wam.training.photos import Photos
from wam.watermarker import Watermarker, load, to_batch

ATTACKS = (
    *("identity", "jpeg=50", "jpeg=20", "rotate=30", "crop=0.2", "gaussian_blur=17", "contrast=2", "median=5"),
    *("gaussian_noise=0.05", "collage=0.1", "perspective=0.3"),
)
EDGES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 0.999, 1.0)
"""Of the bins of confidence; the last is closed."""

Bits = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Confidence of each bit, and whether it is right."""


@dataclass(frozen=True)
class Bin:
    """Bits with a confidence from ``low`` to ``high``; ``right`` share of them, with its 95% interval."""

    low: float
    high: float
    count: int
    mean_confidence: float
    right: float
    right_low: float
    right_high: float


def bits_of(
    marker: Watermarker, photos: list[NDArray[np.uint8]], view: int, *, attacks: Sequence[str] = ATTACKS
) -> Bits | None:
    """The bits of one view, None where no mark is reported. All attacks of a photo come one after another."""
    photo, kind = divmod(view, len(attacks))
    message = bits_from_word(int(encode(int(np.random.default_rng([13, view]).integers(ID_COUNT)))))
    pixels, background = photos[photo], photos[(photo + 1) % len(photos)]
    marked = np.asarray(marker.embed(pixels, message).image)
    attacked = parse(attacks[kind])(
        to_batch(marked), seed=view, originals=to_batch(pixels), backgrounds=to_batch(background)
    ).images[0]
    results = []
    for detection in marker.detect(to_pixels(attacked.clamp(0, 1))):
        match = read_word(detection.logits, None, presence_log10_p=detection.log10_p)
        right = np.array([read == bit for read, bit in zip(match.bits, message, strict=True)])
        results.append((np.array(match.bit_confidence), right))
    return max(results, key=lambda bits: int(bits[1].sum()), default=None)


def all_bits(
    marker: Watermarker, photos: list[NDArray[np.uint8]], attacks: Sequence[str], *, workers: int
) -> tuple[Bits, int, int]:
    """The bits of all views; how many views, and in how many a mark was reported."""
    views = range(len(photos) * len(attacks))
    found = []
    shared = (marker, photos, attacks)
    for done, bits in enumerate(map_forked(_bits_of, shared, views, workers=workers), start=1):
        found += [] if bits is None else [bits]
        if done % 50 == 0:
            print(f"{done} of {len(views)} views", file=sys.stderr, flush=True)
    if not found:
        raise ValueError(f"expected marks in {len(views)} views, found none; is this checkpoint trained?")
    confidence, right = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return (confidence, right), len(views), len(found)


def _bits_of(shared: tuple[Watermarker, list[NDArray[np.uint8]], Sequence[str]], view: int) -> Bits | None:
    marker, photos, attacks = shared
    return bits_of(marker, photos, view, attacks=attacks)


def bins_of(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Bin]:
    """The bins that have bits, in order."""
    places = np.digitize(confidence, EDGES[1:-1])
    bins = []
    for place in np.unique(places):
        own = right[places == place]
        mean = float(confidence[places == place].mean())
        bounds = interval(int(own.sum()), len(own))
        bins.append(Bin(EDGES[place], EDGES[place + 1], len(own), mean, float(own.mean()), *bounds))
    return bins


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: how far confidence and share of right bits are apart, mean over all bits."""
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.mean_confidence - one.right) for one in bins) / total


def table(bins: list[Bin]) -> str:
    """As CSV, with a line of column names."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(field.name for field in fields(Bin))
    writer.writerows([f"{value:.6g}" for value in astuple(one)] for one in bins)
    return buffer.getvalue()


def draw(bins: list[Bin], title: str) -> Figure:
    """Share of right bits over confidence, and how many bits there are of each."""
    figure = Figure(figsize=(6, 6.6), layout="constrained")
    diagram, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    confidence, right = [one.mean_confidence for one in bins], [one.right for one in bins]
    reach = [[one.right - one.right_low for one in bins], [one.right_high - one.right for one in bins]]
    diagram.plot([0.5, 1], [0.5, 1], ":", color="grey", label="as it should be")
    diagram.errorbar(
        confidence, right, np.maximum(reach, 0), fmt="o", markersize=4, capsize=3, label="seen, with 95% interval"
    )
    diagram.set(ylabel="share of bits that are right", xlim=(0.49, 1.01))
    diagram.set_title(title, fontsize=10)
    diagram.legend(fontsize=8, loc="lower right")
    lows = [min(one.low, EDGES[-4]) for one in bins]  # the narrow bins at the end as one bar
    steps = np.append(EDGES[:-3], 1.0)
    histogram.hist(lows, steps, weights=[one.count for one in bins], edgecolor="white")
    histogram.set(yscale="log", xlabel="bit_confidence", ylabel="bits")
    histogram.set_ylim(bottom=0.5)
    for panel in (diagram, histogram):
        panel.grid(alpha=0.3)
    return figure


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", type=Path, required=True, help="the training corpus")
    options.add_argument("--out", type=Path, required=True, help="name of the table and the plot, without extension")
    options.add_argument("--model", default=DEFAULT)
    options.add_argument("--attacks", nargs="+", default=ATTACKS, metavar="NAME=STRENGTH", help="those of ``ATTACKS``")
    options.add_argument("--limit", type=int, help="take only so many photos")
    options.add_argument("--workers", type=int, default=2, help="processes")
    return options


def main() -> int:
    options = parser().parse_args()
    torch.set_num_threads(1)  # before the workers are forked
    try:
        marker = load(options.model, device="cpu")
        photos = Photos.load(options.photos, validation=True).pictures[: options.limit]
        bits, views, found = all_bits(marker, photos, options.attacks, workers=options.workers)
    except (ValueError, OSError, WamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    bins = bins_of(*bits)
    read = f"{len(bits[0]):,} bits, mark reported in {found} of {views} views of {len(photos)} photos"
    text = f"{marker.name}, expected calibration error {calibration_error(bins):.2%}"
    figure = draw(bins, f"{text}\n{read}")
    save_atomically(options.out.with_suffix(".csv"), lambda path: path.write_text(table(bins), encoding="utf-8"))
    save_atomically(options.out.with_suffix(".png"), lambda path: figure.savefig(path, format="png", dpi=110))
    print(f"{table(bins)}{text}\n{read}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
