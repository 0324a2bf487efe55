"""Trains embedder and extractor. One process, or one per device:

    python scripts/train.py --photos ../shared/corpus/train --minutes 60 --decay-minutes 15 --out runs/a
    torchrun --nproc-per-node 2 scripts/train.py --photos ... --out runs/a     (two CPU cores or two GPUs)

Run it again with the same --out and it goes on where it stopped. Writes to --out: state.pt (weights, averaged weights,
optimiser, curriculum, step, random state), log.csv, curves.png, best.safetensors (best averaged weights on the
validation split), best-small.safetensors of a second extractor, if there is one. Expected on two CPU cores: validation
correlation .3 within an hour.

With --small 64,128,2,4 a second, smaller U-Net learns on the same scenes, mostly from the first one's estimates; a run
may get it when it is resumed.

The extractor learns to predict the embedded pattern (mean squared error) and the mask; bits are read from its estimate
at the known pose, so that geometry need not be learnt. From --joint-from on, the embedder's gain map learns as well,
through the same losses and the bits' cross-entropy, around the usual strength and with a price on visibility.

The rate falls from --decay-from to the last of --steps, and over the last --decay-minutes of --minutes. A batch whose
gradient is not finite or several times the usual is left out (counted in the log); 200 of them in a row end the run.
Options from --lowest on vary the design, for scripts/ablate.py; another carrier or working side makes no checkpoint.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.errors import WamError
from wam.models.checkpoints import load_checkpoint
from wam.training.photos import Photos
from wam.training.process import Processes
from wam.training.run import Run, TrainingError, stored_state
from wam.training.settings import Settings


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", required=True, help="folder of training pictures, recursed")
    options.add_argument("--out", type=Path, required=True, help="run folder; an existing state in it is resumed")
    options.add_argument("--from", type=Path, dest="start", help="checkpoint whose weights a new run starts from")
    options.add_argument("--minutes", type=float, default=float("inf"), help="stop and save after this long")
    options.add_argument("--decay-minutes", type=float, default=0.0, help="of --minutes, in which the rate falls")
    options.add_argument("--limit", type=int, help="use only this many pictures")
    options.add_argument("--every", type=int, default=250, help="steps between validations and saves")
    options.add_argument("--validation-batches", type=int, default=12)
    for name, default in asdict(Settings("")).items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            options.add_argument(option, action=argparse.BooleanOptionalAction, help=f"default {default}")
        elif name != "photos":
            options.add_argument(option, type=type(default), help=f"default {default}")
    return options


def prepare(arguments: argparse.Namespace, processes: Processes) -> Run:
    """A new run, or the one in --out; raises ``ValueError`` or ``WamError`` for options it cannot start with."""
    endless = arguments.minutes == float("inf")
    if arguments.decay_minutes and (endless or not 0 < arguments.decay_minutes <= arguments.minutes):
        raise ValueError(
            f"--decay-minutes: expected 0 to --minutes ({arguments.minutes}), found {arguments.decay_minutes};"
            " give --minutes as well"
        )
    state = stored_state(arguments.out)
    start = load_checkpoint(arguments.start) if arguments.start and not state else None
    known = Settings.stored(state["settings"]) if state else Settings(arguments.photos)
    if start is not None:
        known = known.shaped_as(start.extractor.shape)
    given = {name: value for name, value in vars(arguments).items() if name in asdict(known) and value is not None}
    arguments.out.mkdir(parents=True, exist_ok=True)
    return Run(arguments.out, replace(known, **given), processes, state=state, start=start)


def main() -> int:
    arguments = parser().parse_args()
    started = time.monotonic()
    processes = Processes.join()
    if processes.shares_cores:
        torch.set_num_threads(1)
    try:
        folder, limit = Path(arguments.photos), arguments.limit
        photos = Photos.load(folder, limit=limit, validation=False)
        validation = Photos.load(folder, limit=limit, validation=True)
        run = prepare(arguments, processes)
        start = f"{processes.count} process(es), {processes.device}, from step {run.step}"
        print(f"{len(photos.pictures)} photos, {start}", file=sys.stderr)
        run.train(
            photos,
            validation,
            minutes=arguments.minutes,
            decay_minutes=arguments.decay_minutes,
            every=arguments.every,
            batches=arguments.validation_batches,
            started=started,
        )
    except (ValueError, WamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else 2
    if processes.first:
        print(f"stopped at step {run.step}; {len(photos.skipped)} pictures could not be read", file=sys.stderr)
    processes.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
