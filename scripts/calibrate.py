"""Sets the presence threshold and the scale of bit logits of a checkpoint, and stores them in it.

    python scripts/calibrate.py --photos ../shared/corpus/train --model runs/a/best.safetensors \
        --out checkpoints/lattice32.safetensors

Unmarked photos, as they are and under attacks, mosaics of them at several megapixels, and photos marked with keys that
the reader does not have, go through the whole search; an exponential tail is fitted to the upper twentieth of the
strongest score of each (peaks over threshold; below it lie views of which no region was refined). The threshold from
which a region is read at all is the score that one unmarked view in a hundred reaches; what is reported is decided by
the chance that the tail gives, for each region that was tried. Marked photos of the
validation split under attacks give the slope from votes to logits, by maximum likelihood. Writes the views and their
scores beside --out as calibration.csv. With --views 960 --marked 126 about 10 minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import parse
from wam.bench.parallel import map_forked
from wam.detection.calibration import Calibration
from wam.detection.config import DEFAULT_SEARCH
from wam.detection.detector import SearchResult, search
from wam.models.checkpoints import load_checkpoint, save_checkpoint
from wam.networks.precision import best_precision
from wam.networks.watermark_network import WatermarkModel
from wam.pictures.atomic_write import save_atomically
from wam.signal.filters import rounded, to_pixels
from wam.signal.pattern import Carrier
from wam.training.photos import Photos
from wam.watermarker import to_batch

NULL_ATTACKS = (
    "identity",
    "jpeg=60",
    "rotate=17",
    "crop=0.33",
    "gaussian_blur=9",
    "brightness=2",
    "resize=0.6",
    "median=5",
    "perspective=0.3",
)
BIT_ATTACKS = ("identity", "jpeg=50", "rotate=30", "crop=0.2", "gaussian_blur=17", "contrast=2", "median=5")
MOSAIC = 8  # every so many views is a mosaic
FOREIGN = 4  # every so many views is marked with a foreign key
UPPER = 0.05  # share of the views that the tail is fitted to
READ = 0.01  # share of unmarked views with a region that is read; what is reported is decided by its chance
LOOSE = 12.0  # threshold while calibrating: below the one that comes out, so that all is refined and read that will be


def look(model: WatermarkModel, picture: np.ndarray, attack: str, seed: int) -> SearchResult:
    """The search on one attacked 8-bit picture."""
    batch = to_batch(picture)
    attacked = parse(attack)(batch, seed=seed, originals=batch).images
    return search(model, rounded(attacked.clamp(0, 1))[0], threshold=LOOSE, config=DEFAULT_SEARCH)


def mosaic(photos: Photos, generator: np.random.Generator) -> np.ndarray:
    """A page of 2 x 3 photos, cut to the size of the smallest."""
    chosen = [photos.pictures[int(i)] for i in generator.integers(len(photos.pictures), size=6)]
    height, width = min(p.shape[0] for p in chosen), min(p.shape[1] for p in chosen)
    cut = [picture[:height, :width] for picture in chosen]
    return np.concatenate([np.concatenate(cut[:3], axis=1), np.concatenate(cut[3:], axis=1)])


def foreign(model: WatermarkModel, picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A photo marked with a random key."""
    marker = WatermarkModel(model.embedder, model.extractor, [Carrier.from_key(generator.bytes(16))])
    bits = torch.from_numpy(generator.integers(0, 2, (1, 32)))
    with torch.inference_mode():
        return to_pixels(marker.mark(to_batch(picture), bits)[0])


def null_score(model: WatermarkModel, photos: Photos, number: int, views: int) -> tuple[str, float, int]:
    """Attack, strongest score and regions tried of one view without a readable mark."""
    generator = np.random.default_rng([7, number])
    picture = photos.pictures[number * max(1, len(photos.pictures) // views) % len(photos.pictures)]
    attack = NULL_ATTACKS[number % len(NULL_ATTACKS)]
    name = attack
    if number % MOSAIC == 0:
        picture, name = mosaic(photos, generator), f"mosaic {attack}"
    elif number % FOREIGN == 1:
        picture, name = foreign(model, picture, generator), f"key {attack}"
    result = look(model, picture, attack, number)
    return name, max([result.strongest, *(found.score for found in result.found)]), result.tried


def null_scores(model: WatermarkModel, photos: Photos, views: int, workers: int) -> list[tuple[str, float, int]]:
    """``null_score`` of many views, by processes that share the model and the photos."""
    rows = []
    shared = (model, photos, views)
    for row in map_forked(_null_score, shared, range(views), workers=workers):
        rows.append(row)
        if len(rows) % 20 == 0:
            highest = max(rows, key=lambda row: row[1])
            print(f"{len(rows)} views, highest {highest[1]:.1f} ({highest[0]})", file=sys.stderr, flush=True)
    return rows


def _null_score(shared: tuple[WatermarkModel, Photos, int], number: int) -> tuple[str, float, int]:
    model, photos, views = shared
    return null_score(model, photos, number, views)


def right_votes(model: WatermarkModel, photos: Photos, views: int, psnr_db: float | None) -> np.ndarray:
    """Votes of marked validation photos, turned so that positive is right."""
    generator = torch.Generator().manual_seed(5)
    votes = []
    for number in range(views):
        picture = photos.pictures[number % len(photos.pictures)]
        bits = torch.randint(0, 2, (1, 32), generator=generator)
        with torch.inference_mode():
            marked = model.mark(to_batch(picture), bits, psnr_db=psnr_db)
        pixels = to_pixels(marked[0])
        found = look(model, pixels, BIT_ATTACKS[number % len(BIT_ATTACKS)], number).found
        votes += [one.votes.numpy() * (bits[0].numpy() * 2 - 1) for one in found[:1]]
    return np.concatenate(votes)


def slope_of(votes: np.ndarray) -> float:
    """Logit per vote with the highest likelihood."""
    best = minimize_scalar(lambda slope: np.logaddexp(0, -slope * votes).mean(), bounds=(0.2, 12), method="bounded")
    return round(float(best.x), 3)


def tail_of(scores: np.ndarray) -> tuple[float, float]:
    """Location and scale of the Gumbel distribution whose upper tail is that of the scores of views."""
    edge = float(np.quantile(scores, 1 - UPPER))
    scale = float((scores[scores > edge] - edge).mean())
    return edge + scale * math.log(UPPER), scale


def threshold_of(location: float, scale: float) -> float:
    """The score that a share ``READ`` of the views reaches; ends the run where it is below ``LOOSE``."""
    threshold = location - scale * math.log(READ)
    if threshold < LOOSE:
        raise SystemExit(f"error: expected a threshold of at least {LOOSE:g}, found {threshold:.2f}; lower LOOSE")
    return threshold


def stated(metadata: Mapping[str, Any], calibration: Calibration, basis: str) -> dict[str, Any]:
    """The metadata of a checkpoint with a calibration, which holds for the search as it is now."""
    values = {**asdict(calibration), "search": DEFAULT_SEARCH.digest()}
    return {**metadata, "calibration": values, "calibration_basis": basis, "licence": "MIT"}


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", type=Path, required=True)
    options.add_argument("--model", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--views", type=int, default=400, help="unmarked views")
    options.add_argument("--workers", type=int, default=2, help="processes")
    options.add_argument("--marked", type=int, default=120, help="marked views")
    options.add_argument("--strength", type=float, help="of the marked views, dB; default: the model's own")
    return options


def main() -> int:
    options = parser().parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # before the workers are forked
    checkpoint = load_checkpoint(options.model)
    networks, precision = (checkpoint.embedder, checkpoint.extractor), best_precision("cpu")
    carrier = Carrier.from_key(signal=checkpoint.signal)
    model = WatermarkModel(*networks, [carrier], precision=precision, mask_head=checkpoint.mask_head).eval()
    rows = null_scores(model, Photos.load(options.photos, validation=False), options.views, options.workers)
    scores, tried = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    location, scale = tail_of(scores)
    threshold = threshold_of(location, scale)
    votes = right_votes(model, Photos.load(options.photos, validation=True), options.marked, options.strength)
    calibration = Calibration(
        threshold=round(threshold, 2),
        null_location=round(location - scale * math.log(tried.mean()), 3),  # of one region
        null_scale=round(scale, 3),
        bit_slope=slope_of(votes),
    )
    tail = f"tail {location:.2f} + {scale:.2f} x"
    basis = f"{len(rows)} unmarked or foreign training views in {precision}, highest {scores.max():.2f}, {tail}"
    metadata = stated(checkpoint.metadata, calibration, basis)
    earlier = (*checkpoint.same_as, f"{options.model.stem}@{checkpoint.sha256[:8]}")  # its marks are the same
    digest = save_checkpoint(
        options.out,
        *networks,
        metadata,
        signal=checkpoint.signal,
        mask_head=checkpoint.mask_head,
        same_as=tuple(dict.fromkeys(earlier)),
    )
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("attack", "strongest", "tried"), *rows])
    save_atomically(options.out.with_name("calibration.csv"), lambda path: path.write_text(buffer.getvalue()))
    print(f"{calibration}\n{basis}\n{options.out} SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
