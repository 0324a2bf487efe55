"""Windows: overlapping squares of an estimate, and which of them repeat, as marked places do whatever their message."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wam.detection.config import SearchConfig, WindowsConfig
from wam.detection.lattice_estimation import periodicity

BATCH = 32  # windows whose periodicity is measured together

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels


def repetitive_windows(
    pattern: Tensor,
    available: Tensor,
    config: SearchConfig,
    *,
    least: float,
    span: tuple[float, float] | None = None,
) -> list[tuple[float, Box]]:
    """Windows of an estimate (H, W), where ``available`` (H, W) is 1, that repeat by more than ``least``, see
    ``periodicity``, on lattices of a ``span`` of scales in pixels per working pixel, None: those of the levels; with
    how much they do, most first."""
    height, width = pattern.shape
    side = config.windows.side
    tall, wide = min(side, height), min(side, width)
    starts = [(top, left) for top in _starts(height, side) for left in _starts(width, side)]
    boxes = [(top, left, top + tall, left + wide) for top, left in starts]
    boxes = [box for box in boxes if _worth_a_look(pattern, available, box, config.windows)]
    found: list[tuple[float, Box]] = []
    for first in range(0, len(boxes), BATCH):
        batch = boxes[first : first + BATCH]
        weights = torch.stack([cut(available, box) for box in batch])
        fields = torch.stack([cut(pattern, box) for box in batch]) * weights
        shared = weights[0] if bool((weights == 1).all()) else weights
        found += zip(periodicity(fields, shared, config.lattice, span=span).tolist(), batch, strict=True)
    return [(repetition, box) for repetition, box in sorted(found, reverse=True) if repetition > least]


def cut(field: Tensor, box: Box) -> Tensor:
    """The part of (..., H, W) inside top, left, bottom, right."""
    top, left, bottom, right = box
    return field[..., top:bottom, left:right]


def widened(box: Box, by: int, size: tuple[int, int]) -> Box:
    """A box with so many pixels more on each side, as far as a picture of ``size`` (height, width) goes."""
    top, left, bottom, right = box
    return max(0, top - by), max(0, left - by), min(size[0], bottom + by), min(size[1], right + by)


def _worth_a_look(pattern: Tensor, available: Tensor, box: Box, config: WindowsConfig) -> bool:
    """Whether enough of a window is available, and the network sees more there than on blank paper."""
    weight = cut(available, box)
    area = float(weight.sum())
    if area <= config.least_area:
        return False
    return float((cut(pattern, box) * weight).square().sum()) >= config.blank**2 * area


def _starts(length: int, side: int) -> list[int]:
    """Where windows of a side begin along a length: evenly spread, at most half a window apart."""
    count = math.ceil(max(0, length - side) / (side // 2)) + 1
    return [round(step * (length - side) / max(1, count - 1)) for step in range(count)]
