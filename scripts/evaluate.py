"""Measures a checkpoint on photos it was not trained on: quality, bits, presence and masks under the suite's attacks.

    python scripts/evaluate.py --photos ../shared/corpus/eval/kodak --attacks floor --out runs/floor

Every photo is marked with random bits, rounded to 8 bits, attacked by name (``attacks``), rounded again and read by
the same search that ``wam detect`` uses. A mark that is not found counts as half of its bits. Writes report.md,
report.csv and metrics.json; the same seed gives the same table. --max-short scales larger photos down first.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from piq import ssim
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import Attack, parse, suite
from wam.atomic import save_atomically
from wam.embedder import Embedder
from wam.errors import ImageError
from wam.handmade import HandmadeExtractor
from wam.images import expand_inputs, read_image
from wam.library import DEFAULT, load
from wam.marker import DEFAULT_STRENGTH, Detection, Watermarker, to_batch
from wam.model import resize, sized

FLOOR = ("identity", "jpeg=80", "jpeg=50", "rotate=10", "rotate=45", "crop=0.5", "collage=0.25")


@dataclass(frozen=True)
class Row:
    """One photo under one attack. ``iou`` of the mask, None where nothing was found."""

    photo: str
    attack: str
    found: bool
    accuracy: float
    word: bool
    iou: float | None
    marks: int
    seconds: float


def round_to_bytes(images: Tensor) -> Tensor:
    """What an 8-bit file keeps."""
    return (images.clamp(0, 1) * 255).round() / 255


def choose_attacks(names: str) -> list[Attack]:
    """ "floor", "wam", "all", or attack names separated by commas."""
    if names == "floor":
        return [parse(name) for name in FLOOR]
    if names in ("wam", "all", "none", "valuemetric", "geometric", "splicing", "combined"):
        return list(suite(names))
    return [parse(name) for name in names.split(",")]


def photos_of(folders: list[str], limit: int | None, max_short: int) -> Iterator[tuple[str, Tensor]]:
    """Name and (1, 3, H, W) of each readable photo; others are named on stderr."""
    for path in expand_inputs(folders)[:limit]:
        try:
            batch = to_batch(read_image(path).pixels)
        except ImageError as error:
            print(f"error: {error}", file=sys.stderr)
            continue
        short = min(batch.shape[-2:])
        if short > max_short:
            batch = round_to_bytes(resize(batch, sized(batch.shape[-2], batch.shape[-1], max_short)))
        yield Path(path).stem, batch


def judge(marker: Watermarker, batch: Tensor, truth: Tensor, bits: Tensor, photo: str, attack: str) -> Row:
    """Reads one attacked picture and compares."""
    started = time.perf_counter()
    detections = marker.detect(batch)
    seconds = time.perf_counter() - started
    if not detections:
        return Row(photo, attack, False, 0.5, False, None, 0, seconds)
    best: Detection = detections[0]
    read = torch.tensor([int(character) for character in best.bits])
    accuracy = float((read == bits[0]).float().mean())
    mask, marked = torch.from_numpy(best.mask), truth[0, 0] > 0.5
    union = float((mask | marked).sum())
    iou = float((mask & marked).sum()) / union if union else None
    return Row(photo, attack, True, accuracy, accuracy == 1.0, iou, len(detections), seconds)


def table(rows: list[Row]) -> list[dict[str, str | float | None]]:
    """One line per attack, in order of appearance."""
    lines = []
    for attack in dict.fromkeys(row.attack for row in rows):
        own = [row for row in rows if row.attack == attack]
        ious = [row.iou for row in own if row.iou is not None]
        lines.append(
            {
                "attack": attack,
                "photos": len(own),
                "found": round(float(np.mean([row.found for row in own])), 4),
                "bit_accuracy": round(float(np.mean([row.accuracy for row in own])), 4),
                "worst": round(min(row.accuracy for row in own), 4),
                "words": round(float(np.mean([row.word for row in own])), 4),
                "iou": round(float(np.mean(ious)), 3) if ious else None,
                "marks": round(float(np.mean([row.marks for row in own])), 2),
                "seconds": round(float(np.median([row.seconds for row in own])), 2),
            }
        )
    return lines


def write_report(
    out: Path, header: dict[str, object], lines: list[dict[str, str | float | None]], rows: list[Row]
) -> None:
    """report.md, report.csv, metrics.json."""
    out.mkdir(parents=True, exist_ok=True)
    names = list(lines[0])
    text = ["# Evaluation", "", *(f"- {key}: {value}" for key, value in header.items()), ""]
    text += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    text += ["| " + " | ".join(str(line[name]) for name in names) + " |" for line in lines]
    save_atomically(out / "report.md", lambda path: path.write_text("\n".join(text) + "\n"))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names)
    writer.writeheader()
    writer.writerows(lines)
    save_atomically(out / "report.csv", lambda path: path.write_text(buffer.getvalue()))
    metrics = {**header, "attacks": lines, "rows": [vars(row) for row in rows]}
    save_atomically(out / "metrics.json", lambda path: path.write_text(json.dumps(metrics, indent=1, allow_nan=False)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs="+", required=True)
    parser.add_argument("--attacks", default="floor", help="floor, wam, all, a group, or names separated by commas")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--strength", type=float, default=DEFAULT_STRENGTH, help="PSNR to aim for, dB")
    parser.add_argument("--limit", type=int, help="only this many photos")
    parser.add_argument("--max-short", type=int, default=100_000, help="scale larger photos to this short side, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--hand-made",
        choices=("none", "extractor", "embedder"),
        default="none",
        help="put the hand-made stage in the place of the learned one, to compare: filter, or plain JND",
    )
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    marker = load(arguments.model, device=arguments.device)
    if arguments.hand_made == "extractor":
        marker.model.extractor = HandmadeExtractor().to(marker.device)
    elif arguments.hand_made == "embedder":
        marker.model.embedder = Embedder().to(marker.device)  # untrained, its correction is exactly one: plain JND
    chosen = choose_attacks(arguments.attacks)
    rows: list[Row] = []
    quality: list[tuple[float, float]] = []
    false_alarms = 0
    generator = torch.Generator().manual_seed(arguments.seed)
    previous: Tensor | None = None
    for number, (name, photo) in enumerate(photos_of(arguments.photos, arguments.limit, arguments.max_short)):
        bits = torch.randint(0, 2, (1, 32), generator=generator)
        result = marker.embed(photo, bits, strength=arguments.strength)
        marked = result.image
        assert isinstance(marked, Tensor)
        quality.append((result.psnr_db, float(ssim(marked, photo, data_range=1.0))))
        false_alarms += len(marker.detect(photo))
        foreign = photo.flip(3) if previous is None else resize(previous, (photo.shape[-2], photo.shape[-1]))
        previous = photo
        for attack in chosen:
            done = attack(
                marked,
                torch.ones_like(photo[:, :1]),
                seed=arguments.seed + number,
                originals=photo,
                backgrounds=foreign,
            )
            assert done.masks is not None
            rows.append(judge(marker, round_to_bytes(done.images), done.masks, bits, name, repr(attack)))
        print(f"{number + 1} {name}: {np.mean([row.accuracy for row in rows]):.4f}", file=sys.stderr, flush=True)
    if not rows:
        print("error: no readable photo; check --photos", file=sys.stderr)
        return 2
    header = {
        "command": "python scripts/evaluate.py " + " ".join(sys.argv[1:]),
        "model": marker.name,
        "device": str(marker.device),
        "photos": len(quality),
        "PSNR dB, mean": round(float(np.mean([q[0] for q in quality])), 2),
        "PSNR dB, lowest": round(min(q[0] for q in quality), 2),
        "SSIM, mean": round(float(np.mean([q[1] for q in quality])), 4),
        "false alarms on the unmarked photos": false_alarms,
    }
    lines = table(rows)
    write_report(arguments.out, header, lines, rows)
    print((arguments.out / "report.md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
