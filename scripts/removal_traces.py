"""Whether a mark that was folded out of a picture leaves a trace: energy that is missing where its pattern would lie.

    python scripts/removal_traces.py --photos ../shared/corpus/train --unmarked DIR [DIR ...] --limit 20

Whoever subtracts a periodic pattern takes with it what the picture itself has at the pattern's frequencies. So at the
usual resolution the power at whole cycles per tile is compared with that half a cycle beside
(``wam.detection.removal_traces``). The script marks validation photos, folds the mark out of them (``fold_fitted``,
``fold=40`` and ``fold=42``), wears them, and tells how many lie below bounds that a share of --unmarked ones passes.
Whole pictures only; and whoever knows of it puts noise where the energy is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import parse, parse_adversary
from scripts.displacement_cost import VARIANTS, Studio, photos_of
from wam.detection.removal_traces import missing_energy
from wam.errors import WamError
from wam.pictures.files import expand_inputs, read_image
from wam.watermarker import load, to_batch

SHARES = (0.01, 0.001)  # of unmarked pictures that may lie below a bound
REMOVED = ("fold_fitted", "fold=42", "fold=40")
WORN = ("identity", "jpeg=75", "resize=0.7,jpeg=80")


def unmarked(folders: list[Path]) -> Iterator[float]:
    """Of each picture in folders that is large enough."""
    for place in expand_inputs([str(folder) for folder in folders]):
        try:
            pixels = read_image(Path(place)).pixels
        except (WamError, ValueError):
            continue
        value = missing_energy(to_batch(pixels))
        if value is not None:
            yield value


@torch.inference_mode()
def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--photos", type=Path, required=True, help="the training corpus; its validation photos are used"
    )
    options.add_argument("--unmarked", type=Path, nargs="+", required=True, help="folders of pictures without a mark")
    options.add_argument("--limit", type=int, default=10, help="photos that are marked")
    given = options.parse_args()
    torch.set_num_threads(1)
    try:
        photos = photos_of(given.photos, given.limit, 512)
        plain = np.sort(list(unmarked(given.unmarked)))
        if len(plain) < 1 / SHARES[0]:
            raise WamError(f"expected {1 / SHARES[0]:.0f} unmarked pictures or more, found {len(plain)}; add some")
    except (OSError, ValueError, WamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    bounds = [float(np.quantile(plain, share)) for share in SHARES if share * len(plain) >= 1]
    print(f"{len(plain)} unmarked: mean {plain.mean():.2f}, deviation {plain.std():.2f}, lowest {plain[0]:.2f}")
    marker = load(device="cpu")
    studio = Studio(marker, photos, VARIANTS[0])
    for removed, worn in product(REMOVED, WORN):
        values, unread = [], 0
        for photo in range(len(photos)):
            studio.at = photo
            image = parse_adversary(removed).attack(studio.marked(photo), studio).image
            image = parse(worn)(image, seed=photo).images.clamp(0, 1)
            if not studio.reads(image):
                unread += 1
                values.append(missing_energy(image) or 0.0)
        below = ", ".join(f"{sum(v < b for v in values)} below {b:.2f}" for b in bounds)
        print(f"{removed}, {worn}: {unread} of {len(photos)} not read, of these {below}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
