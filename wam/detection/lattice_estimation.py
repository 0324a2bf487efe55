"""Periods: the lattices on which a pattern estimate repeats, whatever message it carries.

The autocorrelation of the estimate has peaks on the carrier's lattice. A comb over scale and angle, combs with an
aspect, and pairs of the highest peaks propose lattices; a local search over all four components takes up shear and
aspect. Everything here works on a batch of regions of one size at once, and asks the device for no number.

The comb is summed in log-polar coordinates: the points (i, j) of the square lattice with scale s and angle a lie at log
radius log s + log |(i, j)| and angle a + arg(i, j), so that the scores of all scales and angles are a sum of shifted
copies of one resampled map, as a Fourier-Mellin transform turns scalings and turns into shifts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from wam.detection.autocorrelation import Autocorrelation, sampled
from wam.detection.config import LatticeConfig
from wam.signal.filters import box_max
from wam.signal.specification import TILE

REPEATED = -1e6  # score of a lattice that came to the place of a better one
Span = tuple[float, float]  # finest and coarsest scale of a comb, pixels per working pixel


@dataclass(frozen=True)
class Comb:
    """Scores of all square lattices: (B, scales, angles), angles over the 90 degrees after which a lattice repeats;
    ``finest`` scale in pixels per working pixel."""

    scores: Tensor
    finest: float
    config: LatticeConfig

    def __getitem__(self, index: Tensor) -> Comb:
        """Some of the batch."""
        return Comb(self.scores[index], self.finest, self.config)

    @classmethod
    def joined(cls, parts: Sequence[Comb]) -> Comb:
        """Several batches as one."""
        return cls(torch.cat([part.scores for part in parts]), parts[0].finest, parts[0].config)

    def rows(self, span: Span) -> slice:
        """The rows of a span of scales."""
        first, last = (math.log(scale / self.finest) / self.config.scale_step for scale in span)
        return slice(max(0, math.ceil(first - 1e-6)), math.floor(last + 1e-6) + 1)

    def lift(self, span: Span) -> Tensor:
        """How much regions repeat on a lattice of a span of scales, in standard deviations of the comb there: (B,)."""
        scores = self.scores[:, self.rows(span)].flatten(1)
        return (scores.amax(1) - scores.mean(1)) / (scores.std(1) + 1e-9)

    def lattices(self, span: Span, count: int) -> Tensor:
        """The highest peaks in a span: (B, count, 2, 2), columns are the lattice vectors in pixels."""
        rows = self.rows(span)
        scores = self.scores[:, rows]
        half = self.config.peak_window // 2
        around = torch.cat([scores[..., -half:], scores, scores[..., :half]], dim=-1)
        highest = box_max(around, self.config.peak_window)[..., half:-half]
        peaks = torch.where(scores >= highest, scores, torch.full_like(scores, -1e9)).flatten(1)
        cell = peaks.topk(count, dim=1).indices
        row, column = cell // scores.shape[-1], cell % scores.shape[-1]
        side = self.finest * TILE * torch.exp((row + rows.start) * self.config.scale_step)
        angle = column * math.radians(self.config.angle_step)
        x, y = side * angle.cos(), side * angle.sin()
        return torch.stack([torch.stack([x, -y], -1), torch.stack([y, x], -1)], -2)


def comb(correlation: Autocorrelation, finest: float, config: LatticeConfig) -> Comb:
    """The comb from a finest scale to the coarsest of the levels, by shifted sums in log-polar coordinates."""
    values, overlap = correlation.values, correlation.overlap
    plan = _log_polar(finest, config, (values.shape[-2], values.shape[-1]), correlation.size, values.device)
    scores = plan.summed(sampled(values[:, None], plan.grid)[:, 0])
    if overlap is None:
        return Comb(scores / plan.spread, finest, config)
    shares = plan.summed(sampled(overlap[:, None], plan.grid)[:, 0])
    return Comb(scores / (shares + 0.5).sqrt(), finest, config)


@dataclass(frozen=True)
class _LogPolar:
    """``grid`` (1, R, A, 2): where the lags lie in the maps, by log radius and angle over 180 degrees; ``steps``: rows
    and columns, in fractions, from a lattice's nearest point to each of its points; ``scales``: rows that are summed
    for; ``spread`` (scales, A / 2): of the sums where all of a region counts."""

    grid: Tensor
    steps: tuple[tuple[float, float], ...]
    scales: int
    spread: Tensor

    def summed(self, maps: Tensor) -> Tensor:
        """Sums over the lattice points: (B, R, A) -> (B, scales, A / 2)."""
        return _summed(maps, self.steps, self.scales)


def _summed(maps: Tensor, steps: Sequence[tuple[float, float]], scales: int) -> Tensor:
    """See ``_LogPolar.summed``."""
    angles = maps.shape[-1] // 2
    maps = torch.cat([maps, maps], dim=-1)  # opposite lags are the same
    total = maps.new_zeros(len(maps), scales, angles)
    for down, across in steps:
        row, column = int(down), int(across)
        for rows, share in _shifted(row, down - row):
            part = maps[:, rows : rows + scales]
            for columns, other in _shifted(column, across - column):
                total.add_(part[..., columns : columns + angles], alpha=share * other)
    return total


def _shifted(whole: int, rest: float) -> Iterator[tuple[int, float]]:
    """The two whole shifts around a fraction, and the share of each; one where that is all."""
    yield whole, 1 - rest
    if rest > 1e-4:
        yield whole + 1, rest


@lru_cache(maxsize=16)
def _log_polar(
    finest: float, config: LatticeConfig, sides: tuple[int, int], size: tuple[int, int], device: torch.device
) -> _LogPolar:
    """For maps with ``sides`` (height, width) of regions of a ``size`` (height, width)."""
    scales = math.floor(math.log(config.scales[1] / finest) / config.scale_step + 1e-6) + 1
    steps = tuple(
        (math.log(math.hypot(i, j)) / config.scale_step, math.degrees(math.atan2(j, i)) % 180 / config.angle_step)
        for i, j in _half_plane(config.reach)
    )
    rows = scales + math.ceil(max(down for down, _ in steps)) + 1
    radius = finest * TILE * torch.exp(torch.arange(rows) * config.scale_step)[:, None]
    angle = torch.arange(round(180 / config.angle_step)) * math.radians(config.angle_step)
    lags = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)[None]
    maps = Autocorrelation.of(torch.zeros(1, *sides), size)
    inside = maps.inside(lags)
    spread = (_summed(maps.shares(lags) * inside, steps, scales) + 0.5).sqrt()[0]
    grid = torch.where(inside[..., None], maps.sampling(lags), torch.full_like(lags, 9.0))
    return _LogPolar(grid.to(device), steps, scales, spread.to(device))


def _half_plane(reach: int) -> list[tuple[int, int]]:
    """Lattice points up to ``reach`` each way, one of each pair of opposite ones."""
    every = range(-reach, reach + 1)
    return [(i, j) for j in every for i in every if j > 0 or (j == 0 and i > 0)]


def proposed(correlation: Autocorrelation, combed: Comb, config: LatticeConfig) -> tuple[Tensor, Tensor]:
    """Lattices that regions may repeat on, from the comb, with an aspect, and from pairs of peaks: (B, C, 2, 2); and
    how far the best stands out, (B,): its score in standard deviations of the autocorrelation."""
    square = combed.lattices(config.scales, config.candidates)
    lattices = torch.cat([square, stretched(correlation, config), peak_pairs(correlation, config)], dim=1)
    scores = lattice_score(correlation, lattices, reach=config.proposal_reach)
    return lattices, scores.amax(1) / correlation.noise


def stretched(correlation: Autocorrelation, config: LatticeConfig) -> Tensor:
    """Best upright lattices with a scale of their own in each direction, as after a change of aspect: (B, C, 2, 2)."""
    device = correlation.values.device
    finest, coarsest = config.scales
    count = round(math.log(coarsest / finest) / config.stretch_step) + 1
    scales = finest * torch.exp(torch.arange(count, device=device) * config.stretch_step) * TILE
    y, x = torch.meshgrid(scales, scales, indexing="ij")
    lattices = torch.diag_embed(torch.stack([x, y], dim=-1)).flatten(0, 1)
    scores = lattice_score(correlation, lattices[None], reach=config.reach).view(-1, count, count)
    highest = box_max(scores, config.stretched_peak_window)
    peaks = torch.where(scores >= highest, scores, torch.full_like(scores, -1e9))
    return lattices[peaks.flatten(1).topk(config.stretched, dim=1).indices]


def peak_pairs(correlation: Autocorrelation, config: LatticeConfig) -> Tensor:
    """Lattices of any shear that pairs of the highest peaks span, best first: (B, C, 2, 2)."""
    height, width = correlation.values.shape[-2:]
    nearest, furthest = (tiles * TILE for tiles in config.peak_ring)
    down, across = min(math.ceil(furthest), height // 2 - 2), min(math.ceil(furthest), width // 2 - 2)
    near = correlation.values[
        :, height // 2 - 2 : height // 2 + down + 2, width // 2 - across - 2 : width // 2 + across + 2
    ]
    y = torch.arange(-2, down + 2, device=near.device).to(near)[:, None]
    x = torch.arange(-across - 2, across + 2, device=near.device).to(near)
    lags = torch.stack([x.expand(len(y), -1), y.expand(-1, len(x))], dim=-1)
    length = lags.norm(dim=-1)
    ring = (length > nearest) & (length < furthest) & ((y > 0) | ((y == 0) & (x > 0)))
    _, shares = correlation.at(lags[None])
    weighted = torch.where(ring & (near >= box_max(near, config.peak_window)), near * shares.sqrt(), 0.0)
    cell = weighted.flatten(1).topk(config.peaks, dim=1).indices
    points = lags.flatten(0, 1)[cell]  # (B, P, 2)
    first, second = torch.triu_indices(config.peaks, config.peaks, offset=1, device=near.device)
    pairs = torch.stack([points[:, first], points[:, second]], dim=-1)  # columns are the vectors
    area = pairs.det().abs()
    side = area.sqrt() / TILE
    # the singular values s, t of a pair have s t = |det| and s^2 + t^2 = |pair|^2
    stretch = pairs.square().sum((-2, -1)) / area.clamp(min=1e-6)
    fair = (side > config.scales[0]) & (side < config.scales[1])
    fair = fair & (stretch < config.most_stretch + 1 / config.most_stretch)
    evidence = lattice_score(correlation, pairs, reach=config.reach)
    best = torch.where(fair, evidence, torch.full_like(side, -1e9)).topk(config.pairs, dim=1)
    usable = (best.values > -1e8)[..., None, None]
    chosen = pairs.gather(1, best.indices[..., None, None].expand(-1, -1, 2, 2))
    upright = TILE * torch.eye(2, device=near.device)  # stands in where peaks span too few lattices
    return torch.where(usable, chosen, upright)


def lattice_score(correlation: Autocorrelation, lattices: Tensor, *, reach: int) -> Tensor:
    """Matched filter over lattice points up to ``reach`` periods: about N(0, 1 / N) on noise.

    lattices (B, C, 2, 2), or (1, C, 2, 2) for all -> (B, C).
    """
    points = torch.tensor(_half_plane(reach), device=lattices.device, dtype=lattices.dtype)
    lags = torch.einsum("bcij,pj->bcpi", lattices, points)
    values, shares = correlation.at(lags)
    return values.sum(-1) / (shares.sum(-1) + 0.5).sqrt()


def climbed(correlation: Autocorrelation, lattices: Tensor, config: LatticeConfig) -> tuple[Tensor, Tensor]:
    """Moves both vectors of each lattice uphill, first near lattice points, then far ones that pin it down; of those
    that come to one place the best goes on.

    lattices (B, C, 2, 2) -> (B, K, 2, 2), best first, and how far each stands out, (B, K): its score over the furthest
    points in standard deviations of the autocorrelation.
    """
    moves = torch.cat([torch.eye(4), -torch.eye(4), *_similarity_moves(config.joint_move), torch.zeros(1, 4)])
    moves = moves.view(-1, 2, 2).to(lattices)
    batch = len(lattices)
    scores = torch.zeros((), device=lattices.device)
    for reach, sizes, kept in config.climb:
        for size in sizes:
            for _ in range(config.climb_rounds):
                trial = lattices[:, :, None] + size * moves
                every = lattice_score(correlation, trial.flatten(1, 2), reach=reach).view(batch, -1, len(moves))
                scores, best = every.max(-1)
                lattices = trial.gather(2, best[..., None, None, None].expand(-1, -1, 1, 2, 2))[:, :, 0]
        lattices, scores = distinct(lattices, scores, kept, tolerance=config.alike)
    return lattices, scores / correlation.noise[:, None]


def distinct(lattices: Tensor, scores: Tensor, count: int, *, tolerance: float) -> tuple[Tensor, Tensor]:
    """The best ``count`` of lattices (B, C, 2, 2) by score (B, C), one for each place, best first.

    Lattices are one where each vector of one is nearly a whole combination of the other's, and their cells are alike.
    """
    alike = same_lattice(lattices[:, :, None], lattices[:, None], tolerance=tolerance)
    row = torch.arange(len(lattices), device=lattices.device)
    left, chosen, values = scores, [], []
    for _ in range(min(count, scores.shape[1])):
        value, best = left.max(1)
        chosen.append(best)
        values.append(value)
        left = torch.where(alike[row, best], left.clamp(max=REPEATED), left)
        left = left.scatter(1, best[:, None], 2 * REPEATED)
    index = torch.stack(chosen, dim=1)
    return lattices.gather(1, index[..., None, None].expand(-1, -1, 2, 2)), torch.stack(values, dim=1)


def same_lattice(one: Tensor, other: Tensor, *, tolerance: float) -> Tensor:
    """Whether lattices (..., 2, 2) are the same set of points, to a share ``tolerance`` of a period: (...) bool."""
    combination = inverse(one) @ other
    whole = (combination - combination.round()).abs().amax((-2, -1)) < tolerance
    return whole & ((combination.det().abs() - 1).abs() < 2 * tolerance)


def inverse(matrices: Tensor) -> Tensor:
    """Of (..., 2, 2) matrices; something large where there is none."""
    (a, b), (c, d) = (row.unbind(-1) for row in matrices.unbind(-2))
    area = a * d - b * c
    safe = torch.where(area.abs() < 1e-9, torch.full_like(area, 1e-9), area)
    return torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2) / safe[..., None, None]


def _similarity_moves(size: float) -> list[Tensor]:
    """Joint moves of both vectors: turn, scale, aspect and shear, both ways."""
    basis = torch.tensor([[1.0, 0, 0, 1], [0, -1, 1, 0], [1, 0, 0, -1], [0, 1, 1, 0]]) * size
    return [basis, -basis]
