"""Trains the mask head of a checkpoint, with its embedder and extractor as they are.

    python scripts/train_masks.py --photos ../shared/corpus/train --model runs/a/best.safetensors \
        --out runs/a/masked.safetensors

Marked photos of the training split are cut into shapes over unmarked, foreign, marked or blank surroundings, turned,
rescaled and attacked; the extractor sees each once, and the head learns to outline one message from the evidence.
A checkpoint that has a head already is trained on; another --seed gives other scenes. Prints IoU on the validation
split of hand-made masks and of the head. With --scenes 1200 --steps 1800 about 15 minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks.training import degrade
from wam.detection.config import DEFAULT_SEARCH
from wam.detection.localization import Ground, flat_energy, made_again, message_masks
from wam.detection.synchronization import at_pose
from wam.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from wam.networks.extractor import STRIDE
from wam.networks.mask_head import MaskHead, cells, evidence, surroundings
from wam.networks.watermark_network import WatermarkModel
from wam.signal.filters import rounded
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS
from wam.training.photos import Photos
from wam.watermarker import to_batch

VIEW = (256, 320)  # pixels of a training view
BATCH = 12
RATE = 2e-3


@dataclass(frozen=True)
class Example:
    """``maps`` (10, rows, columns) what the head sees; ``truth`` (rows, columns) share of each cell that is marked;
    ``handmade`` IoU of the hand-made mask."""

    maps: Tensor
    truth: Tensor
    handmade: float


def shape(size: tuple[int, int], generator: np.random.Generator) -> Tensor:
    """A random part of a picture: all of it, turned rectangles, ellipses, or a half; (1, H, W) float 0 or 1."""
    height, width = size
    kind = generator.random()
    if kind < 0.12:
        return torch.ones(1, height, width)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    mask = np.zeros(size, dtype=bool)
    for _ in range(1 if generator.random() < 0.75 else 2):
        area = generator.uniform(0.05, 0.5) * height * width
        aspect = np.exp(generator.uniform(-0.6, 0.6))
        half_w, half_h = np.sqrt(area * aspect) / 2, np.sqrt(area / aspect) / 2
        cx, cy = generator.uniform(0.1, 0.9) * width, generator.uniform(0.1, 0.9) * height
        angle = 0.0 if generator.random() < 0.6 else generator.uniform(0, np.pi)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        if kind < 0.8:
            mask |= (np.abs(u) < half_w) & (np.abs(v) < half_h)
        elif kind < 0.93:
            mask |= (u / half_w) ** 2 + (v / half_h) ** 2 < 1.3
        else:
            mask |= u > 0
    return torch.from_numpy(mask).float()[None]


def paper(size: tuple[int, int], generator: np.random.Generator) -> Tensor:
    """A page of one colour, mostly white, with or without lines of dark marks like text: (1, 3, H, W) in [0, 1]."""
    height, width = size
    kind = generator.random()
    colour = np.ones(3) if kind < 0.4 else np.full(3, generator.uniform(0, 1)) if kind < 0.7 else generator.random(3)
    page = np.broadcast_to(colour[:, None, None], (3, height, width)).copy()
    if generator.random() < 0.5:
        pitch, ink = int(generator.integers(8, 24)), 0.1 if colour.mean() > 0.4 else 0.9
        for top in range(pitch // 2, height - pitch, pitch):
            left = int(generator.integers(4, 20))
            while left < width:
                letter = int(generator.integers(2, max(3, pitch // 2)))
                page[:, top : top + int(generator.integers(2, max(3, pitch // 2))), left : left + letter] = ink
                left += letter + int(generator.integers(1, 6))
    return torch.from_numpy(page).float()[None]


def place(size: tuple[int, int], generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """View pixel -> file pixel: matrix (2, 2), offset (2,); upright half of the time."""
    height, width = size
    step = min(height, width) / 256 * (1.0 if generator.random() < 0.5 else np.exp(generator.uniform(-0.35, 0.35)))
    angle = 0.0 if generator.random() < 0.5 else generator.uniform(-np.pi, np.pi)
    matrix = step * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([width, height]) * generator.uniform(0.4, 0.6, 2)
    offset = centre - matrix @ np.array([VIEW[1], VIEW[0]]) / 2
    return torch.tensor(matrix, dtype=torch.float32), torch.tensor(offset, dtype=torch.float32)


def warped(images: Tensor, matrix: Tensor, offset: Tensor, *, mode: str) -> Tensor:
    """(1, C, H, W) on the view's grid, black outside."""
    height, width = images.shape[-2:]
    y, x = torch.meshgrid(torch.arange(VIEW[0]) + 0.5, torch.arange(VIEW[1]) + 0.5, indexing="ij")
    points = torch.stack([x, y], dim=-1) @ matrix.T + offset
    grid = points * 2 / torch.tensor([width, height]) - 1
    return F.grid_sample(images, grid[None], mode=mode, padding_mode="zeros", align_corners=False)


def example(model: WatermarkModel, photos: Photos, carrier: Carrier, generator: np.random.Generator) -> Example:
    """One scene through the extractor."""
    photo, other = (to_batch(photos.pictures[int(i)]) for i in generator.integers(len(photos.pictures), size=2))
    size = (photo.shape[-2], photo.shape[-1])
    bits = torch.from_numpy(generator.integers(0, 2, (2, BITS)))
    strength = None if generator.random() < 0.5 else float(generator.uniform(40, 45))
    marked = model.mark(photo, bits[:1], psnr_db=strength)
    kind = generator.random()
    if kind < 0.4:
        around = photo
    elif kind < 0.6:
        around = model.mark(photo, bits[1:], psnr_db=strength)
    elif kind < 0.8:
        around = F.interpolate(other, size=size, mode="bilinear", antialias=True)
    else:
        around = paper(size, generator)
    mask = shape(size, generator)[None]
    file = rounded(mask * marked + (1 - mask) * around)
    if generator.random() < 0.55:
        file = degrade(file[0], generator)[None].clamp(0, 1)
    matrix, offset = place(size, generator)
    view, truth = (
        warped(file, matrix, offset, mode="bicubic").clamp(0, 1),
        warped(mask, matrix, offset, mode="bilinear"),
    )
    step = 256 / min(size)
    pose = Pose(matrix * step, offset * step)
    output = model.extract(view)
    pattern = output.pattern[0, 0]
    votes = at_pose(pattern * (truth[0, 0] > 0.5), pose, carrier, DEFAULT_SEARCH.synchronization).bit_votes
    ground = Ground(flat_energy(view, DEFAULT_SEARCH.localization))
    hand = message_masks(pattern, votes[None], pose, carrier, ground, DEFAULT_SEARCH)[0] > 0
    made = made_again(votes[None], pose, carrier, VIEW)
    maps = torch.cat([evidence(pattern, made)[0], surroundings(view, output.mask_logits)])
    return Example(maps, cells(truth[0])[0], overlap(hand, truth[0, 0] > 0.5))


def overlap(mask: Tensor, truth: Tensor) -> float:
    """IoU of two masks; 1 when both are empty."""
    union = float((mask | truth).sum())
    return float((mask & truth).sum()) / union if union else 1.0


@torch.inference_mode()
def collect(model: WatermarkModel, photos: Photos, count: int, seed: int) -> list[Example]:
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    carrier = model.carriers[0]
    examples = []
    for number in range(count):
        examples.append(example(model, photos, carrier, generator))
        if number % 100 == 99:
            print(f"{number + 1} of {count} scenes", file=sys.stderr, flush=True)
    return examples


def loss_of(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy plus what is missing of the soft IoU."""
    share = torch.sigmoid(logits)
    both, either = (share * truth).sum((1, 2)), (share + truth - share * truth).sum((1, 2))
    return F.binary_cross_entropy_with_logits(logits, truth) + 0.5 * (1 - (both + 1) / (either + 1)).mean()


def fit(head: MaskHead, examples: list[Example], steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.stack([each.maps for each in examples])
    truth = torch.stack([each.truth for each in examples])
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for step in range(steps):
        rows = torch.randint(len(maps), (BATCH,), generator=generator)
        batch, target = maps[rows], truth[rows]
        for axis in (1, 2):
            if torch.rand((), generator=generator) < 0.5:
                batch, target = batch.flip(axis + 1), target.flip(axis)
        loss = loss_of(head(batch), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 200 == 199:
            print(f"step {step + 1}: loss {float(loss.detach()):.3f}", file=sys.stderr, flush=True)


@torch.inference_mode()
def scores(head: MaskHead, examples: list[Example]) -> tuple[float, float]:
    """Mean IoU of hand-made masks and of the head's, at its own resolution."""
    present = [each for each in examples if float(each.truth.sum()) > 50]
    learned = [overlap(head(each.maps[None])[0] > 0, each.truth > 0.5) for each in present]
    return float(np.mean([each.handmade for each in present])), float(np.mean(learned))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    checkpoint: Checkpoint = load_checkpoint(arguments.model)
    model = WatermarkModel(checkpoint.embedder, checkpoint.extractor, [Carrier.from_key()]).eval()
    training = collect(model, Photos.load(arguments.photos, validation=False), arguments.scenes, arguments.seed)
    held_out = collect(model, Photos.load(arguments.photos, validation=True), max(40, arguments.scenes // 10), 99)
    torch.manual_seed(arguments.seed)
    head = checkpoint.mask_head or MaskHead()
    fit(head, training, arguments.steps, arguments.seed)
    before, after = scores(head.eval(), held_out)
    figures = {"mask_iou_validation": {"handmade": round(before, 4), "head": round(after, 4), "scenes": len(held_out)}}
    metadata = {**checkpoint.metadata, **figures}
    networks, signal = (checkpoint.embedder, checkpoint.extractor), checkpoint.signal
    digest = save_checkpoint(arguments.out, *networks, metadata, signal=signal, mask_head=head)
    print(f"IoU on {len(held_out)} validation scenes: hand-made {before:.3f}, head {after:.3f} (cells of {STRIDE} px)")
    print(f"{arguments.out} SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
