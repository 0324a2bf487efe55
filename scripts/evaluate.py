"""Measures a checkpoint in training: ``wam bench`` with the learned stages replaced by hand-made ones on request.

    python scripts/evaluate.py --photos ../shared/corpus/eval/kodak --attacks floor --out runs/floor

Rows, counting and files are those of ``wam bench`` (``wam/bench``); --attacks also knows "floor", the rows a checkpoint
must not lose. --hand-made puts the filter in the place of the extractor, or plain JND in that of the embedder, to see
what the learned one is worth. --max-short scales larger photos down first.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.bench.contenders import OTHER_KEY, Contender, MarkerContender
from wam.bench.photos import ImageSet
from wam.bench.report import markdown
from wam.bench.session import Options, run
from wam.errors import WamError
from wam.models.catalogue import DEFAULT
from wam.models.lattice_model import LatticeModel
from wam.models.zoo import choose_device
from wam.networks.baseline_extractor import HandmadeExtractor
from wam.networks.embedder import Embedder
from wam.networks.strength import parsed
from wam.watermarker import Watermarker, load

HAND_MADE = ("none", "extractor", "embedder")


def load_changed(model: str, device: str, hand_made: str, *keys: bytes) -> Watermarker:
    """A model with one stage replaced; an untrained embedder's correction is exactly one, which is plain JND."""
    marker = load(model, device=device, keys=keys or (None,))
    if hand_made != "none" and not isinstance(marker.model, LatticeModel):
        raise WamError(f"--hand-made: expected a lattice model, found {marker.name}; leave it out")
    if isinstance(marker.model, LatticeModel):
        if hand_made == "extractor":
            marker.model.extractor = HandmadeExtractor().to(marker.device)
        elif hand_made == "embedder":
            marker.model.embedder = Embedder().to(marker.device)
    return marker


def build(model: str, device: str, hand_made: str) -> Contender:
    """For the bench's workers; results of a changed model are kept apart by its name."""
    other = partial(load_changed, model, device, hand_made, OTHER_KEY)
    contender = MarkerContender(load_changed(model, device, hand_made), other)
    if hand_made != "none":
        contender.name = f"{contender.name} (hand-made {hand_made})"
    return contender


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", nargs="+", required=True)
    options.add_argument("--attacks", default="floor", help="floor, wam, all, a group, or names separated by commas")
    options.add_argument("--model", default=DEFAULT)
    options.add_argument("--device", default="auto")
    options.add_argument("--strength", type=parsed, help="gentle, normal, strong or a PSNR in dB; default: normal")
    options.add_argument("--limit", type=int, help="only this many photos")
    options.add_argument("--max-short", type=int, help="scale larger photos to this short side, pixels")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--hand-made", choices=HAND_MADE, default="none", help="stage to replace, to compare")
    options.add_argument("--workers", type=int, help="processes; default: one per core")
    options.add_argument("--out", type=Path, required=True)
    return options


def main() -> int:
    arguments = parser().parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # as in each worker: sums depend on it, and any number of workers gives the same table
    try:
        device = choose_device(arguments.device)
        options = Options(
            attacks=arguments.attacks,
            images=ImageSet.of(arguments.photos, size=arguments.max_short),
            strengths=() if arguments.strength is None else (arguments.strength,),
            seed=arguments.seed,
            limit=arguments.limit,
            workers=arguments.workers,
            device=device,
            model=arguments.model,
            command="python scripts/evaluate.py " + " ".join(sys.argv[1:]),
        )
        outcome = run(options, partial(build, arguments.model, device, arguments.hand_made), arguments.out)
    except (WamError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(markdown(outcome.report))
    for line in outcome.report.failures:
        print(f"error: {line}", file=sys.stderr)
    return 1 if outcome.report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
