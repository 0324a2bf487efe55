"""Rectangles of a given area, as splices and scenes need them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor

MAX_ASPECT = 2.0  # random rectangles are at most this many times as tall as wide, and the other way round


@dataclass(frozen=True)
class Box:
    """Rows ``top`` to ``top + height``, columns ``left`` to ``left + width``, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def index(self) -> tuple[EllipsisType, slice, slice]:
        """What cuts the box out of the last two dimensions."""
        rows = slice(self.top, self.top + self.height)
        return ..., rows, slice(self.left, self.left + self.width)

    def mask(self, size: tuple[int, int]) -> Tensor:
        """1 inside and 0 outside, (H, W) float32."""
        mask = torch.zeros(size)
        mask[self.index] = 1
        return mask


def sides(size: tuple[int, int], area: float, shape: float) -> tuple[int, int]:
    """Height and width for a share ``area`` of ``size``: wide (shape 0), square (.5) or tall (1)."""
    pixels = area * size[0] * size[1]
    tallness = MAX_ASPECT ** (2 * shape - 1)
    height = min(size[0], round(math.sqrt(pixels * tallness)))
    width = min(size[1], round(pixels / max(height, 1)))
    if width == size[1]:
        height = min(size[0], round(pixels / width))
    return height, width


def put(size: tuple[int, int], inner: tuple[int, int], top: float, left: float) -> Box:
    """Place ``inner`` = (height, width) in ``size``; ``top`` and ``left`` in [0, 1) reach all positions."""
    row = int(top * (size[0] - inner[0] + 1))
    column = int(left * (size[1] - inner[1] + 1))
    return Box(row, column, *inner)
