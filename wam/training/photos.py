"""Training photos in memory, and random crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from wam.signal.filters import lowpass
from wam.signal.specification import WORKING_SIDE

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
MINIMUM = 8  # pictures: fewer teach the pictures, not the task
SOFTENING = 0.5  # pixels: deviation of the low-pass before shrinking to 1 / sqrt(2)
SHORT_SIDE = 320  # larger pictures are reduced to this while loading, pixels


@dataclass(frozen=True)
class Square:
    """A square of a picture: its number, corner and side in pixels."""

    picture: int
    top: int
    left: int
    side: int
    mirrored: bool


@dataclass(frozen=True)
class Stack:
    """Pictures of any sizes as one tensor (N, 3, H, W) uint8, each at the top left of its plane."""

    pixels: Tensor

    @classmethod
    def of(cls, pictures: Sequence[np.ndarray], device: torch.device | str) -> Stack:
        """Planes as large as the largest picture each way."""
        height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
        pixels = torch.zeros(len(pictures), 3, height, width, dtype=torch.uint8, device=device)
        for plane, picture in zip(pixels, pictures, strict=True):
            plane[:, : picture.shape[0], : picture.shape[1]] = torch.from_numpy(picture.copy()).permute(2, 0, 1)
        return cls(pixels)

    def cut(self, squares: Sequence[Square], size: int) -> Tensor:
        """Squares at a size, (B, 3, size, size) float32 in [0, 1]: bicubic, low-passed first where they shrink."""
        device = self.pixels.device
        planes = self.pixels[torch.tensor([one.picture for one in squares]).to(device)].float() / 255
        height, width = planes.shape[-2:]
        side = torch.tensor([float(one.side) for one in squares])
        corner = torch.tensor([[float(one.left), float(one.top)] for one in squares])
        shrunk = side / size
        planes = lowpass(planes, (SOFTENING * (shrunk.square() - 1).clamp(min=0).sqrt()).to(device))
        flip = torch.tensor([-1.0 if one.mirrored else 1.0 for one in squares])
        scale = side[:, None] / torch.tensor([width, height])  # affine_grid counts half sides from the middle
        middle = (corner + side[:, None] / 2) / torch.tensor([width, height]) * 2 - 1
        theta = torch.zeros(len(squares), 2, 3)
        theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = scale[:, 0] * flip, scale[:, 1], middle
        grid = F.affine_grid(theta.to(device), [len(squares), 3, size, size], align_corners=False)
        return F.grid_sample(planes, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp(0, 1)


def photo_files(folder: Path, *, validation: bool | None = None) -> list[Path]:
    """The pictures of a folder, recursed. ``validation`` True keeps every 32nd, False all others, None everything."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return files if validation is None else [path for i, path in enumerate(files) if (i % 32 == 7) == validation]


@dataclass
class Photos:
    """Decoded pictures, (H, W, 3) uint8 RGB each, and the names of those that could not be read."""

    pictures: list[np.ndarray]
    skipped: list[str] = field(default_factory=list)
    _stack: Stack | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, folder: Path, *, limit: int | None = None, validation: bool | None = None) -> Photos:
        """Reads the pictures that ``photo_files`` gives."""
        files = photo_files(folder, validation=validation)
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

    def draw(self, size: int, generator: np.random.Generator, *, working_side: int = WORKING_SIDE) -> Square:
        """A random square at a random zoom, mirrored or not.

        ``working_side``: a pattern made for a short side of so many pixels is as coarse beside the crop's content.
        """
        number = int(generator.integers(len(self.pictures)))
        height, width = self.pictures[number].shape[:2]
        zoom = generator.uniform(0.7, 1.5) * (WORKING_SIDE / working_side)
        side = int(min(size * zoom, height, width))
        top, left = int(generator.integers(height - side + 1)), int(generator.integers(width - side + 1))
        return Square(number, top, left, side, generator.random() < 0.5)

    def cut(self, square: Square, size: int) -> Tensor:
        """A square at a size, by Pillow: (3, size, size) float32 in [0, 1]."""
        picture = self.pictures[square.picture]
        part = Image.fromarray(picture[square.top : square.top + square.side, square.left : square.left + square.side])
        if square.side != size:
            part = part.resize((size, size), Image.Resampling.BICUBIC)
        array = np.asarray(part)
        if square.mirrored:
            array = array[:, ::-1]
        return torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255

    def crop(self, size: int, generator: np.random.Generator, *, working_side: int = WORKING_SIDE) -> Tensor:
        """What ``draw`` draws, as ``cut`` cuts it."""
        return self.cut(self.draw(size, generator, working_side=working_side), size)

    def crops(
        self,
        count: int,
        size: int,
        generator: np.random.Generator,
        *,
        working_side: int = WORKING_SIDE,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """A batch of ``crop``: (count, 3, size, size) on a device. On a CPU Pillow cuts them one by one; elsewhere all
        pictures lie on the device, and nothing but numbers goes there."""
        squares = [self.draw(size, generator, working_side=working_side) for _ in range(count)]
        if torch.device(device).type == "cpu":
            return torch.stack([self.cut(square, size) for square in squares])
        return self.stacked(device).cut(squares, size)

    def stacked(self, device: torch.device | str) -> Stack:
        """All pictures on a device, put there when they are first asked for."""
        if self._stack is None or self._stack.pixels.device != torch.device(device):
            self._stack = Stack.of(self.pictures, device)
        return self._stack


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
