"""A quick contender and small photos for the tests of the bench."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from attacks import Need
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.bench.contenders import Contender, MarkerContender, Reading
from wam.bench.photos import ImageSet
from wam.bench.plan import Entrant, Part, Plan
from wam.bench.rows import choose_rows

OTHER = b"another key, of the bench's tests"


class Brightener:
    """Marks by adding a step of brightness, and reads nothing."""

    name = "brightener"
    decides = True
    adjustable = True
    keyed = True
    search: str | None = None
    offers: frozenset[Need] = frozenset({"original"})

    def __init__(self) -> None:
        self.read_images: list[Tensor] = []

    def embed(self, photo: Tensor, bits: str, *, strength: float | None) -> Tensor:
        return (photo + (1 + bits.count("1")) / 255).clamp(0, 1)

    def read(self, image: Tensor) -> list[Reading]:
        self.read_images.append(image)
        return []

    def read_with_other_key(self, image: Tensor) -> list[Reading]:
        raise RuntimeError("the other key was asked for")

    def embed_with_other_key(self, photo: Tensor, bits: str, *, strength: float | None) -> Tensor:
        raise RuntimeError("the other key was asked for")

    def estimate(self, image: Tensor) -> Tensor:
        raise RuntimeError("an estimate was asked for")


def light_contender() -> Contender:
    """The hand-made model."""
    return MarkerContender(handmade_marker(), lambda: handmade_marker(OTHER))


def photos_in(folder: Path, count: int, *, side: int = 128) -> ImageSet:
    """Smooth photos, each with its own grain, as PNG files."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.fromarray(smooth_picture(side, side + 16, seed=number)).save(folder / f"{number}.png")
    return ImageSet.of([str(folder)])


def plan_of(images: ImageSet, rows: str, *, build=Brightener, seed: int = 0, limit: int | None = None) -> Plan:
    """One contender on one image set."""
    return Plan((Entrant.of(build(), build),), (Part(images, tuple(choose_rows(rows)), limit),), seed)


def reading(bits: str, mask: np.ndarray | None = None, *, plain: bool = True, log10_p: float = -9.0) -> Reading:
    """A sure reading of 32 characters."""
    logits = torch.tensor([5.0 if bit == "1" else -5.0 for bit in bits]).numpy()
    return Reading(logits, log10_p, plain, mask)
