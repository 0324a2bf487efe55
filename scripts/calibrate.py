"""Sets the presence threshold and the scale of bit logits of a checkpoint, and stores them in it.

    python scripts/calibrate.py --photos ../shared/corpus/train --model runs/a/best.safetensors \
        --out checkpoints/lattice32.safetensors

Unmarked photos, as they are and under attacks, go through the whole search; an exponential tail is fitted to the upper
fifth of the strongest score of each (peaks over threshold). The threshold from which a region is read at all is 1.5
scores above the highest seen; what is reported is decided by the chance that the tail gives. Marked photos of the
validation split under attacks give the slope from votes to logits, by maximum likelihood. Writes the views and their
scores beside --out as calibration.csv. With --views 240 --marked 84 about 5 minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import parse
from wam.atomic import save_atomically
from wam.calibration import Calibration
from wam.carrier import Carrier
from wam.checkpoints import load_checkpoint, save_checkpoint
from wam.marker import to_batch
from wam.model import WatermarkModel
from wam.search import SearchResult, search
from wam.training.photos import Photos

NULL_ATTACKS = (
    "identity",
    "jpeg=60",
    "rotate=17",
    "crop=0.33",
    "gaussian_blur=9",
    "brightness=2",
    "resize=0.6",
    "median=5",
)
BIT_ATTACKS = ("identity", "jpeg=50", "rotate=30", "crop=0.2", "gaussian_blur=17", "contrast=2", "median=5")
UPPER = 0.2  # share of the views that the tail is fitted to
CLEARANCE = 1.5  # of the threshold above the highest unmarked score seen
LOOSE = 22.0  # threshold while calibrating: low enough that refinement and splitting run as they will


def look(model: WatermarkModel, picture: np.ndarray, attack: str, seed: int) -> SearchResult:
    """The search on one attacked 8-bit picture."""
    batch = to_batch(picture)
    attacked = parse(attack)(batch, seed=seed, originals=batch).images
    return search(model, ((attacked.clamp(0, 1) * 255).round() / 255)[0], threshold=LOOSE)


def null_scores(model: WatermarkModel, photos: Photos, views: int) -> list[tuple[str, float, int]]:
    """Attack, strongest score and regions tried of unmarked views."""
    rows = []
    step = max(1, len(photos.pictures) // views)
    for number, picture in enumerate(photos.pictures[::step][:views]):
        attack = NULL_ATTACKS[number % len(NULL_ATTACKS)]
        result = look(model, picture, attack, number)
        strongest = max([result.strongest, *(found.score for found in result.found)])
        rows.append((attack, strongest, result.tried))
        if number % 20 == 19:
            print(
                f"{number + 1} unmarked views, highest {max(row[1] for row in rows):.1f}", file=sys.stderr, flush=True
            )
    return rows


def right_votes(model: WatermarkModel, photos: Photos, views: int, psnr_db: float) -> np.ndarray:
    """Votes of marked validation photos, turned so that positive is right."""
    generator = torch.Generator().manual_seed(5)
    votes = []
    for number in range(views):
        picture = photos.pictures[number % len(photos.pictures)]
        bits = torch.randint(0, 2, (1, 32), generator=generator)
        with torch.inference_mode():
            marked = model.mark(to_batch(picture), bits, psnr_db=psnr_db)
        pixels = (marked[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
        found = look(model, pixels, BIT_ATTACKS[number % len(BIT_ATTACKS)], number).found
        votes += [one.votes.numpy() * (bits[0].numpy() * 2 - 1) for one in found[:1]]
    return np.concatenate(votes)


def slope_of(votes: np.ndarray) -> float:
    """Logit per vote with the highest likelihood."""
    best = minimize_scalar(lambda slope: np.logaddexp(0, -slope * votes).mean(), bounds=(0.2, 12), method="bounded")
    return round(float(best.x), 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--views", type=int, default=400, help="unmarked views")
    parser.add_argument("--marked", type=int, default=120, help="marked views")
    parser.add_argument("--strength", type=float, default=42.0, help="of the marked views, dB")
    arguments = parser.parse_args()

    checkpoint = load_checkpoint(arguments.model)
    model = WatermarkModel(checkpoint.embedder, checkpoint.extractor, [Carrier.from_key()]).eval()
    rows = null_scores(model, Photos.load(arguments.photos, validation=False), arguments.views)
    scores, tried = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    edge = float(np.quantile(scores, 1 - UPPER))
    scale = float((scores[scores > edge] - edge).mean())
    location = edge + scale * math.log(UPPER)  # of the Gumbel distribution with that tail, for one view
    threshold = float(scores.max()) + CLEARANCE
    slope = slope_of(
        right_votes(model, Photos.load(arguments.photos, validation=True), arguments.marked, arguments.strength)
    )
    calibration = Calibration(
        threshold=round(threshold, 2),
        null_location=round(location - scale * math.log(np.median(tried)), 3),  # of one region
        null_scale=round(scale, 3),
        bit_slope=slope,
    )
    basis = f"{len(rows)} unmarked training views, highest {scores.max():.2f}, tail {location:.2f} + {scale:.2f} x"
    metadata = {**checkpoint.metadata, "calibration": vars(calibration), "calibration_basis": basis, "licence": "MIT"}
    digest = save_checkpoint(arguments.out, checkpoint.embedder, checkpoint.extractor, metadata)
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("attack", "strongest", "tried"), *rows])
    save_atomically(arguments.out.with_name("calibration.csv"), lambda path: path.write_text(buffer.getvalue()))
    print(f"{calibration}\n{basis}\n{arguments.out} SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
