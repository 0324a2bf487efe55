"""A small autoencoder, trained here on licensed photos, as a stand-in for redrawing by the VAE of a diffusion model.

    python scripts/train_autoencoder.py --photos ../shared/corpus/train --out runs/autoencoder --minutes 120
    python scripts/train_autoencoder.py --photos ../shared/corpus/train --out runs/autoencoder --measure --limit 40

It is no VAE of a diffusion model: of some 350,000 weights where those have 80 million, and trained for hours. What it
has in common is the bottleneck: a picture becomes 16 numbers for each 8 x 8 pixels, with noise upon them, and is drawn
again from these. Encoder and decoder go down and up by 8; the loss is the mean absolute error of the picture and of two
levels of its Laplacian pyramid, so that edges stay sharp.

Training goes on where it stopped: weights, optimiser and the number of steps lie in OUT.pt, which is written whole
every so many steps, and at the end of --minutes. --measure marks validation photos, which were not trained on, redraws
them, and prints the share of marks that are gone, with its exact 95% interval, and the PSNR of what is redrawn against
the marked photo, beside that of the photos without a mark.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.bench.photos import round_to_bytes
from wam.bench.summary import interval
from wam.bench.words import WordBook
from wam.errors import WamError
from wam.models.catalogue import DEFAULT
from wam.networks.precision import best_precision
from wam.pictures.atomic_write import save_atomically
from wam.training.photos import Photos
from wam.watermarker import load, to_batch

FACTOR = 8  # pixels of a latent's side
LATENTS = 16  # channels of the bottleneck
WIDTH = 48  # channels within
NOISE = 0.1  # deviation of the noise on latents, which have about unit variance
SQUARE, BATCH = 128, 8  # pixels, squares of a step
RATE = 1e-3
SAVED = 200  # steps between saves


class Block(nn.Module):
    """Two convolutions beside what goes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, maps: Tensor) -> Tensor:
        more: Tensor = self.second(F.silu(self.first(F.silu(maps))))
        return maps + more


class Autoencoder(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1], of any size -> pictures drawn from their latents, not clipped."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, width, 3, padding=1),
            Block(width),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            Block(width),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            Block(width),
            nn.Conv2d(width, LATENTS, 1),
            nn.BatchNorm2d(LATENTS, affine=False),  # so that noise has a size
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENTS, width, 3, padding=1),
            Block(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, padding=1),
            Block(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, padding=1),
            Block(width),
            nn.Conv2d(width, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % FACTOR, 0, -height % FACTOR), mode="replicate")
        latents = self.encoder(padded * 2 - 1)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        drawn: Tensor = self.decoder(latents + NOISE * noise)
        return (drawn[..., :height, :width] + 1) / 2


def loss_of(drawn: Tensor, images: Tensor) -> Tensor:
    """Mean absolute error, and that of two levels of the Laplacian pyramid."""
    error = drawn - images
    total = error.abs().mean()
    for _ in range(2):
        smaller = F.avg_pool2d(error, 2)
        total = total + (error - F.interpolate(smaller, error.shape[-2:], mode="bilinear")).abs().mean()
        error = smaller
    return total


def squares(photos: Photos, step: int, *, side: int = SQUARE, count: int = BATCH) -> Tensor:
    """The pictures of one step, the same each time: (count, 3, side, side)."""
    generator = np.random.default_rng([27, step])
    return torch.stack([photos.cut(photos.draw(side, generator), side) for _ in range(count)])


def restored(place: Path, network: Autoencoder, optimiser: torch.optim.Optimizer | None = None) -> int:
    """Steps that were done, with the weights of a file; 0 where there is none."""
    if not place.exists():
        return 0
    state: dict[str, Any] = torch.load(place, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    if optimiser is not None:
        optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def train(
    photos: Photos, place: Path, *, steps: int, goes_on: Callable[[], bool] = lambda: True, side: int = SQUARE
) -> int:
    """Trains up to so many steps, while ``goes_on`` says so before each; how many have been done in all."""
    torch.manual_seed(0)
    network = Autoencoder().to(memory_format=torch.channels_last)
    fast = best_precision("cpu") == "bf16"  # half the time
    optimiser = torch.optim.AdamW(network.parameters(), RATE)
    step = restored(place, network, optimiser)

    def save() -> None:
        state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
        save_atomically(place, lambda path: torch.save(state, path))

    seen: list[float] = []
    while step < steps and goes_on():
        images = squares(photos, step, side=side)
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            drawn = network(images, torch.Generator().manual_seed(step))
        loss = loss_of(drawn.float(), images)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        seen.append(float(loss.detach()))
        if step % SAVED == 0:
            save()
            print(f"step {step}: loss {np.mean(seen[-SAVED:]):.4f}", file=sys.stderr, flush=True)
    save()
    return step


@torch.inference_mode()
def redrawn(network: Autoencoder, image: Tensor, *, seed: int) -> Tensor:
    """A picture (1, 3, H, W) drawn again, 8-bit values."""
    return round_to_bytes(network.eval()(image, torch.Generator().manual_seed(seed)).clamp(0, 1))


def measured(network: Autoencoder, photos: list[Tensor], model: str) -> str:
    """A line: marks removed, and what is left of the pictures."""
    marker, book = load(model, device="cpu"), WordBook.of(26)
    gone, levels, plain = 0, [], []
    for number, photo in enumerate(photos):
        bits = book.bits(number)
        marked = marker.embed(photo, bits).image
        assert isinstance(marked, Tensor)
        image = redrawn(network, marked, seed=number)
        found = marker.detect(image)
        gone += not any(sum(a != b for a, b in zip(one.bits, bits, strict=True)) <= 2 for one in found)
        levels.append(_decibels(image, marked))
        plain.append(_decibels(redrawn(network, photo, seed=number), photo))
    low, high = interval(gone, len(photos))
    return (
        f"{marker.name}: {gone} of {len(photos)} marks removed ({low:.0%} to {high:.0%}), {np.mean(levels):.1f} dB to"
        f" the marked photo; {np.mean(plain):.1f} dB without a mark"
    )


def _decibels(first: Tensor, second: Tensor) -> float:
    return -10 * math.log10(max(1e-12, float((first - second).square().mean())))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", type=Path, required=True, help="the training corpus")
    options.add_argument("--out", type=Path, required=True, help="name of the weights, without extension")
    options.add_argument("--steps", type=int, default=40_000, help="in all; the rate falls to nothing until then")
    options.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    options.add_argument("--measure", action="store_true", help="redraw marked photos and tell what is left")
    options.add_argument("--limit", type=int, help="photos that are measured")
    options.add_argument("--model", default=DEFAULT)
    given = options.parse_args()
    torch.set_num_threads(1)
    place = given.out.with_suffix(".pt")
    try:
        photos = Photos.load(given.photos, validation=given.measure)
        if not given.measure:
            place.parent.mkdir(parents=True, exist_ok=True)
            deadline = time.monotonic() + 60 * given.minutes
            done = train(photos, place, steps=given.steps, goes_on=lambda: time.monotonic() < deadline)
            print(f"{place}: {done} of {given.steps} steps")
            return 0
        network = Autoencoder()
        steps = restored(place, network)
        if not steps:
            raise ValueError(f"{place}: expected weights, found none; train first, without --measure")
        print(
            f"{steps} steps; " + measured(network, [to_batch(p) for p in photos.pictures[: given.limit]], given.model)
        )
    except (OSError, ValueError, WamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
