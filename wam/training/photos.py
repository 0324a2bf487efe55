"""Training photos in memory, and random crops of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wam.signal.specification import WORKING_SIDE

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
MINIMUM = 8  # pictures: fewer teach the pictures, not the task
SHORT_SIDE = 320  # larger pictures are reduced to this while loading, pixels


@dataclass
class Photos:
    """Decoded pictures, (H, W, 3) uint8 RGB each, and the names of those that could not be read."""

    pictures: list[np.ndarray]
    skipped: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path, *, limit: int | None = None, validation: bool | None = None) -> Photos:
        """Reads a folder, recursed. ``validation`` True keeps every 32nd picture, False all others, None everything."""
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if validation is not None:
            files = [p for i, p in enumerate(files) if (i % 32 == 7) == validation]
        pictures, skipped = [], []
        for path in files[:limit]:
            try:
                pictures.append(_read(path))
            except (OSError, ValueError, SyntaxError) as error:
                skipped.append(f"{path.name}: {error}")
        if len(pictures) < (1 if validation else MINIMUM):
            raise ValueError(
                f"{folder}: expected at least {MINIMUM} readable pictures, found {len(pictures)}"
                f" ({len(skipped)} unreadable); give a folder with more photos"
            )
        return cls(pictures, skipped)

    def crop(self, size: int, generator: np.random.Generator, *, working_side: int = WORKING_SIDE) -> Tensor:
        """A random square at a random zoom, mirrored or not: (3, size, size) float32 in [0, 1].

        ``working_side``: a pattern made for a short side of so many pixels is as coarse beside the crop's content.
        """
        picture = self.pictures[int(generator.integers(len(self.pictures)))]
        height, width = picture.shape[:2]
        zoom = generator.uniform(0.7, 1.5) * (WORKING_SIDE / working_side)
        side = int(min(size * zoom, height, width))
        top, left = int(generator.integers(height - side + 1)), int(generator.integers(width - side + 1))
        square = Image.fromarray(picture[top : top + side, left : left + side])
        if side != size:
            square = square.resize((size, size), Image.Resampling.BICUBIC)
        array = np.asarray(square)
        if generator.random() < 0.5:
            array = array[:, ::-1]
        return torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        picture = image.convert("RGB")
    short = min(picture.size)
    if short < 64:
        raise ValueError(f"expected a short side of at least 64 px, found {short}")
    if short > SHORT_SIDE * 1.2:
        factor = SHORT_SIDE / short
        size = (round(picture.width * factor), round(picture.height * factor))
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return np.asarray(picture)
