"""Trains embedder and extractor. One process, or one per device:

    python scripts/train.py --photos ../shared/corpus/train --minutes 60 --out runs/a
    torchrun --nproc-per-node 2 scripts/train.py --photos ... --out runs/a     (two CPU cores or two GPUs)

Run it again with the same --out and it goes on where it stopped. Writes to --out: state.pt (weights, averaged weights,
optimiser, curriculum, step, random state), log.csv, curves.png, best.safetensors (best averaged weights on the
validation split). Expected on two CPU cores: validation correlation .3 within 10 minutes, .4 within an hour.

The extractor learns to predict the embedded pattern (mean squared error) and the mask; bits are read from its estimate
at the known pose, so that geometry need not be learnt. From --joint-from on, the embedder's gain map learns as well,
through the same losses and the bits' cross-entropy, at fixed PSNR and with a price on visibility.
"""

from __future__ import annotations

import argparse
import copy
import csv
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.atomic import save_atomically
from wam.carrier import Carrier
from wam.checkpoints import save_checkpoint
from wam.embedder import Embedder, scale_to_psnr
from wam.extractor import Extractor
from wam.jnd import jnd
from wam.training.losses import (
    bit_accuracy,
    bit_loss,
    correlation,
    learning_rate,
    next_level,
    non_finite,
    pattern_loss,
    pooled_bit_logits,
)
from wam.training.photos import Photos
from wam.training.scenes import CONTENT, Difficulty, Scene, make_scene

MASK_WEIGHT = 0.05  # mask cross-entropy beside a pattern error of about 0.5
BIT_WEIGHT = 0.05
VISIBLE_WEIGHT = 0.03  # price of residual energy per squared JND at 42 dB, against moving it to where eyes look
AVERAGING = 0.998  # of weights, per step
SPIKE = 6.0  # times the usual gradient norm from which a step is left out
TEMPERATURE = 0.7  # of bit logits in the cross-entropy


@dataclass
class Settings:
    """Everything that decides the outcome of a run; stored in its state."""

    photos: str
    channels: int = 96
    blocks: int = 5
    batch: int = 16
    steps: int = 20000
    decay_from: int = 15000
    joint_from: int = 6000
    rate: float = 5e-4  # 1e-3 is faster for 1,000 steps, then diverges
    random_keys: float = 0.5
    seed: int = 0


class Pair(nn.Module):
    """Embedder and extractor in one module, so that one wrapper synchronises both."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.embedder = Embedder()
        self.extractor = Extractor(channels=settings.channels, blocks=settings.blocks)

    def forward(self, content: Tensor, carrier: Carrier, level: float, generator: np.random.Generator, joint: bool):
        with torch.set_grad_enabled(joint and self.training):
            gain = self.embedder(content)
            scene = make_scene(content, gain, carrier, Difficulty(level), generator)
            visible = (scale_to_psnr(gain, 42.0) / jnd(content)).square().mean() if joint else gain.new_zeros(())
        kind = content.device.type
        with torch.autocast(kind, dtype=torch.bfloat16):
            output = self.extractor(scene.view.contiguous(memory_format=torch.channels_last))
        return scene, output, visible


def losses(scene: Scene, output, visible: Tensor, *, joint: bool) -> tuple[Tensor, dict[str, float]]:
    """Total loss and what the log shows."""
    present = scene.mask.mean(dim=(1, 2, 3)) > 0.08
    logits = pooled_bit_logits(output.pattern, scene.mask, scene.carrier, scene.matrix, scene.offset)
    pattern = pattern_loss(output.pattern, scene.pattern, scene.mask)
    mask = F.binary_cross_entropy_with_logits(output.mask_logits, scene.mask)
    bits = bit_loss(logits * TEMPERATURE, scene.bits, present)
    total = pattern + MASK_WEIGHT * mask + BIT_WEIGHT * bits + (VISIBLE_WEIGHT * visible if joint else 0.0)
    report = {
        "pattern": float(pattern.detach()),
        "mask": float(mask.detach()),
        "bits": float(bits.detach()),
        "correlation": correlation(output.pattern.detach(), scene.pattern, scene.mask),
        "accuracy": bit_accuracy(logits.detach(), scene.bits, present),
    }
    return total, report


def validate(model: Pair, photos: Photos, *, batches: int, batch: int) -> dict[str, float]:
    """Fixed scenes of the validation split, the public carrier, middle difficulty."""
    generator, state = np.random.default_rng(1234), torch.random.get_rng_state()
    torch.manual_seed(1234)
    device = next(model.parameters()).device
    rows = []
    with torch.inference_mode():
        for _ in range(batches):
            content = torch.stack([photos.crop(CONTENT, generator) for _ in range(batch)]).to(device)
            scene, output, visible = model.eval()(content, Carrier.from_key(device=device), 0.8, generator, False)
            rows.append(losses(scene, output, visible, joint=False)[1])
    torch.random.set_rng_state(state)
    return {f"val_{key}": float(np.nanmean([row[key] for row in rows])) for key in rows[0]}


def plot(log: Path, target: Path) -> None:
    """Training curves from the CSV log."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with log.open() as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), constrained_layout=True)
    names = [
        ("pattern", "val_pattern"),
        ("correlation", "val_correlation"),
        ("accuracy", "val_accuracy"),
        ("level", "mask"),
    ]
    for axis, pair in zip(axes.flat, names, strict=True):
        for name in pair:
            points = [(int(r["step"]), float(r[name])) for r in rows if r.get(name)]
            if points:
                axis.plot(*zip(*points, strict=True), label=name)
        axis.set_xlabel("step")
        axis.legend()
    figure.savefig(target, dpi=90)
    plt.close(figure)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, help="folder of training pictures, recursed")
    parser.add_argument("--out", type=Path, required=True, help="run folder; an existing state in it is resumed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop and save after this long")
    parser.add_argument("--limit", type=int, help="use only this many pictures")
    parser.add_argument("--every", type=int, default=250, help="steps between validations and saves")
    parser.add_argument("--validation-batches", type=int, default=12)
    for name, default in asdict(Settings("")).items():
        if name != "photos":
            option = f"--{name.replace('_', '-')}"
            parser.add_argument(option, type=type(default), default=None, help=f"default {default}")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    started = time.monotonic()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if world > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
        if not cuda:
            torch.set_num_threads(1)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    state_path, log_path = out / "state.pt", out / "log.csv"
    state = torch.load(state_path, map_location="cpu", weights_only=True) if state_path.exists() else None
    given = {k: v for k, v in vars(arguments).items() if k in asdict(Settings("")) and v is not None}
    settings = Settings(**{**(state["settings"] if state else {}), **given})

    try:
        train_photos = Photos.load(Path(settings.photos), limit=arguments.limit, validation=False)
        validation_photos = Photos.load(Path(settings.photos), limit=arguments.limit, validation=True)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    torch.manual_seed(settings.seed + rank)
    generator = np.random.default_rng([settings.seed, rank])
    pair = Pair(settings).to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(pair).requires_grad_(False)
    optimiser = torch.optim.AdamW(pair.parameters(), lr=settings.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    usual: float | None = None
    step, level, moving, best = 0, 0.0, float("nan"), -1.0
    if state:
        pair.load_state_dict(state["weights"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, level, moving, best = state["step"], state["level"], state["moving"], state["best"]
        usual = state.get("usual")
        if world == 1 or rank == 0:
            torch.random.set_rng_state(state["torch_random"])
            generator.bit_generator.state = state["numpy_random"]
        else:
            generator = np.random.default_rng([settings.seed, rank, step])
    model = DistributedDataParallel(pair, find_unused_parameters=True) if world > 1 else pair
    print(f"{len(train_photos.pictures)} photos, {world} process(es), {device}, from step {step}", file=sys.stderr)

    def save() -> None:
        save_atomically(
            state_path,
            lambda path: torch.save(
                {
                    "settings": asdict(settings),
                    "weights": pair.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step,
                    "level": level,
                    "moving": moving,
                    "usual": usual,
                    "best": best,
                    "torch_random": torch.random.get_rng_state(),
                    "numpy_random": generator.bit_generator.state,
                },
                path,
            ),
        )

    window: list[dict[str, float]] = []
    clock = time.monotonic()
    while step < settings.steps:
        joint = step >= settings.joint_from
        key = generator.bytes(8) if generator.random() < settings.random_keys else None
        content = torch.stack([train_photos.crop(CONTENT, generator) for _ in range(settings.batch)]).to(device)
        rate = learning_rate(step, peak=settings.rate, warmup=100, decay_from=settings.decay_from, total=settings.steps)
        for group in optimiser.param_groups:
            group["lr"] = rate
        scene, output, visible = model.train()(content, Carrier.from_key(key, device=device), level, generator, joint)
        loss, report = losses(scene, output, visible, joint=joint)
        if non_finite(loss):
            print(f"error: loss is not finite at step {step}; the state of the last save is kept", file=sys.stderr)
            return 1
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(pair.parameters(), 0.5))
        usual = norm if usual is None else usual
        if norm < SPIKE * usual:  # one wild batch must not undo an hour; the norm is the same on all ranks
            optimiser.step()
        usual = 0.98 * usual + 0.02 * min(norm, 2 * usual)
        step += 1
        with torch.no_grad():
            keep = min(AVERAGING, step / (step + 10))
            for slow, fast in zip(average.parameters(), pair.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        if not np.isnan(report["accuracy"]):
            moving = report["accuracy"] if np.isnan(moving) else 0.95 * moving + 0.05 * report["accuracy"]
        level = next_level(level, moving)
        if world > 1 and step % 20 == 0:  # the ranks see different scenes; keep one curriculum
            shared = torch.tensor([level, moving], device=device)
            dist.all_reduce(shared)
            level, moving = (shared / world).tolist()
        window.append(report)
        minutes = (time.monotonic() - started) / 60
        # every rank must leave the loop at the same step: the clock of rank 0 decides
        stop = torch.tensor([float(minutes > arguments.minutes)], device=device)
        if world > 1:
            dist.broadcast(stop, 0)
        last = bool(stop) or step == settings.steps
        if rank == 0 and (step % 50 == 0 or last):
            row = {"step": step, "minutes": round(minutes, 2), "level": round(level, 3), "rate": rate}
            row |= {key: round(float(np.nanmean([r[key] for r in window])), 4) for key in report}
            row["pictures_per_s"] = round(len(window) * settings.batch * world / (time.monotonic() - clock), 1)
            window, clock = [], time.monotonic()
            checked = step % arguments.every == 0 or last
            if checked:
                result = validate(
                    average, validation_photos, batches=arguments.validation_batches, batch=settings.batch
                )
                row |= {key: round(value, 4) for key, value in result.items()}
            write_row(log_path, row)
            print(" ".join(f"{k} {v}" for k, v in row.items()), file=sys.stderr, flush=True)
            if checked:
                if result["val_correlation"] > best:
                    best = result["val_correlation"]
                    metadata = {"step": step, "settings": asdict(settings), "validation": result}
                    save_checkpoint(out / "best.safetensors", average.embedder, average.extractor, metadata)
                save()
                plot(log_path, out / "curves.png")
        if last:
            break
    if rank == 0:
        print(f"stopped at step {step}; {len(train_photos.skipped)} pictures could not be read", file=sys.stderr)
    if world > 1:
        dist.destroy_process_group()
    return 0


COLUMNS = ["step", "minutes", "level", "rate", "pattern", "mask", "bits", "correlation", "accuracy", "pictures_per_s"]
COLUMNS += [f"val_{name}" for name in COLUMNS[4:9]]


def write_row(path: Path, row: dict[str, float]) -> None:
    """Appends to the CSV log, with its header first."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        if fresh:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    sys.exit(main())
