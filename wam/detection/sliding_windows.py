"""Windows: overlapping squares of an estimate, and which of them repeat, as marked places do whatever their message.

All windows go through the same chain, a batch at a time: autocorrelation, comb, and for those that repeat the lattices
that they repeat on. Nothing is asked of the device but which windows those are, once a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from wam.detection.autocorrelation import Autocorrelation, autocorrelation
from wam.detection.config import SearchConfig
from wam.detection.lattice_estimation import (
    Comb,
    climbed,
    comb,
    lattice_score,
    proposed,
)

BATCH = 8  # windows at a time on a CPU: more do not stay in its cache
PICKS = 8  # of them whose lattices are sought together
BATCH_DEVICE = 64  # the same elsewhere

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels


@dataclass(frozen=True)
class Window:
    """A part of an estimate. ``area``: pixels that were available; ``lift``: how much it repeats on lattices of the
    levels, ``fine_lift`` on finer ones, in standard deviations of the comb, 0 where nothing was measured; ``lattices``
    (C, 2, 2) and how far the best stands out, ``prominence``, where it repeats enough to ask; ``fine_standing``: how
    far the best fine lattice, ``fine_lattice`` (2, 2), stands out."""

    box: Box
    area: float
    lift: float
    fine_lift: float = 0.0
    fine_standing: float = 0.0
    prominence: float = 0.0
    lattices: Tensor | None = None
    fine_lattice: Tensor | None = None

    @property
    def lattice(self) -> Tensor | None:
        """The lattice of the levels that stands out most."""
        return None if self.lattices is None else self.lattices[0]


@dataclass(frozen=True)
class Sweep:
    """``windows`` in the order of their boxes, and ``together``, the mean autocorrelation of those that are whole and
    show anything."""

    windows: list[Window]
    together: Autocorrelation | None


@dataclass
class Measured:
    """What was measured of a view's windows so far, for all its carriers: by box, and ``together`` with the pixels that
    were left of the view, ``area``, when that was taken; ``repeats``: the view as a whole showed a lattice."""

    windows: dict[Box, Window] = field(default_factory=dict)
    together: Autocorrelation | None = None
    area: float = -1.0
    repeats: bool = False


def cut(values: Tensor, box: Box) -> Tensor:
    """The part of (..., H, W) inside top, left, bottom, right."""
    top, left, bottom, right = box
    return values[..., top:bottom, left:right]


def widened(box: Box, by: int, size: tuple[int, int]) -> Box:
    """A box with so many pixels more on each side, as far as a picture of ``size`` (height, width) goes."""
    top, left, bottom, right = box
    return max(0, top - by), max(0, left - by), min(size[0], bottom + by), min(size[1], right + by)


def all_boxes(size: tuple[int, int], config: SearchConfig) -> list[Box]:
    """Overlapping windows of a view of ``size`` (height, width), row by row."""
    (height, width), side = size, config.windows.side
    tall, wide = min(side, height), min(side, width)
    return [(top, left, top + tall, left + wide) for top in _starts(height, side) for left in _starts(width, side)]


def sweep(
    pattern: Tensor,
    available: Tensor,
    boxes: Sequence[Box],
    config: SearchConfig,
    *,
    thorough: bool = False,
    fine: bool = False,
) -> Sweep:
    """Measures windows of one size of an estimate (H, W), where ``available`` (H, W) is 1; lattices are sought where
    they repeat, ``thorough``: wherever anything is; ``fine``: on fine lattices as well."""
    everywhere = bool((available == 1).all())
    on_cpu = pattern.device.type == "cpu"
    size, picks = (BATCH, PICKS) if on_cpu else (BATCH_DEVICE, BATCH_DEVICE)
    windows: list[Window] = []
    waiting: list[_Pick] = []
    total: Tensor | None = None
    count = 0
    for first in range(0, len(boxes), size):
        batch = list(boxes[first : first + size])
        weights = None if everywhere else torch.stack([cut(available, box) for box in batch])
        fields = torch.stack([cut(pattern, box) for box in batch])
        fields = fields if weights is None else fields * weights
        areas, shown = _shown(fields, weights, config)
        if not any(shown):
            windows += [Window(box, area, 0.0) for box, area in zip(batch, areas, strict=True)]
            continue
        correlation = autocorrelation(fields, weights, config.lattice)
        combed, measured = _measured(correlation, batch, areas, shown, config, fine)
        repeats = [n for n, one in enumerate(measured) if shown[n] and (thorough or one.lift > config.windows.lift)]
        if repeats:
            chosen = torch.tensor(repeats, device=pattern.device)
            waiting.append(_Pick([len(windows) + n for n in repeats], correlation[chosen], combed[chosen]))
        windows += measured
        if sum(len(pick.numbers) for pick in waiting) >= picks:
            _seek(windows, waiting, config, thorough)
            waiting = []
        full = 0.999 * fields[0].numel()
        whole = correlation.values[[there and area >= full for area, there in zip(areas, shown, strict=True)]]
        total = whole.sum(0) if total is None else total + whole.sum(0)
        count += len(whole)
    _seek(windows, waiting, config, thorough)
    together = None if total is None or not count else Autocorrelation.of(total[None] / count, _size(boxes[0]))
    return Sweep(windows, together)


@dataclass(frozen=True)
class _Pick:
    """Windows of one batch whose lattices are sought: their ``numbers``, and what was measured of them."""

    numbers: list[int]
    correlation: Autocorrelation
    combed: Comb


def _seek(windows: list[Window], picks: Sequence[_Pick], config: SearchConfig, thorough: bool) -> None:
    """Puts lattices into those windows that repeat on some, several batches together."""
    if not picks:
        return
    own = config.lattice
    numbers = [number for pick in picks for number in pick.numbers]
    correlation = Autocorrelation.joined([pick.correlation for pick in picks])
    combed = Comb.joined([pick.combed for pick in picks])
    lattices, standing = proposed(correlation, combed, own)
    kept = [number for number, height in enumerate(standing.tolist()) if thorough or height > own.proposal]
    if not kept:
        return
    lattices, prominence = climbed(correlation[torch.tensor(kept, device=lattices.device)], lattices[kept], own)
    for number, found, height in zip(kept, lattices, prominence[:, 0].tolist(), strict=True):
        windows[numbers[number]] = replace(windows[numbers[number]], prominence=height, lattices=found)


def _shown(fields: Tensor, weights: Tensor | None, config: SearchConfig) -> tuple[list[float], list[bool]]:
    """Available pixels of each field, and whether they are enough and show more than what the network sees on paper."""
    own = config.windows
    full = fields.new_full((len(fields),), float(fields[0].numel()))
    areas = full if weights is None else weights.sum((-2, -1))
    shown = (areas > own.least_area) & (fields.square().sum((-2, -1)) >= own.blank**2 * areas)
    both = torch.stack([areas, shown.to(areas)]).tolist()
    return both[0], [value > 0 for value in both[1]]


def _measured(
    correlation: Autocorrelation,
    boxes: list[Box],
    areas: list[float],
    shown: list[bool],
    config: SearchConfig,
    fine: bool,
) -> tuple[Comb, list[Window]]:
    """The comb and the windows of a batch, lattices not yet sought."""
    own = config.lattice
    fine_lattices: Sequence[Tensor | None] = [None] * len(boxes)
    if fine:
        small = config.small_regions
        combed = comb(correlation, small.finest, own)
        lattices = combed.lattices(config.small_scales, small.candidates)
        best = (lattice_score(correlation, lattices, reach=small.reach) / correlation.noise[:, None]).max(1)
        fine_lattices = list(lattices[torch.arange(len(boxes), device=lattices.device), best.indices])
        measures = [combed.lift(own.scales), combed.lift(config.small_scales), best.values]
    else:
        combed = comb(correlation, own.scales[0], own)
        measures = [combed.lift(own.scales)]
    rows = torch.stack(measures, dim=1).tolist()
    windows = []
    for box, area, there, (lift, *small_ones), lattice in zip(boxes, areas, shown, rows, fine_lattices, strict=True):
        fine_lift, fine_standing = small_ones or (0.0, 0.0)
        seen = Window(box, area, lift, fine_lift, fine_standing, fine_lattice=lattice)
        windows.append(seen if there else Window(box, area, 0.0))
    return combed, windows


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _starts(length: int, side: int) -> list[int]:
    """Where windows of a side begin along a length: evenly spread, at most half a window apart."""
    count = math.ceil(max(0, length - side) / (side // 2)) + 1
    return [round(step * (length - side) / max(1, count - 1)) for step in range(count)]
