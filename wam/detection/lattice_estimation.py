"""Periods: the lattices on which a pattern estimate repeats, whatever message it carries.

The autocorrelation of the estimate has peaks on the carrier's lattice. A comb over scale and angle, and pairs of the
highest peaks, propose lattices; a local search over all four components takes up shear and aspect.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import LatticeConfig
from wam.signal.filters import box_max, box_mean
from wam.signal.specification import TILE

GROUP = 2  # fields at a time on a CPU: more do not stay in its cache


def autocorrelation(field: Tensor, weight: Tensor, config: LatticeConfig) -> tuple[Tensor, Tensor]:
    """Whitened autocorrelation and share of pixels that overlap at each lag, lag zero in the middle.

    field, weight (..., H, W) -> (..., M, N) each; one weight (H, W) serves a batch of fields.
    """
    sides = [math.ceil((side + 3 * TILE) / 32) * 32 for side in field.shape[-2:]]
    power = torch.fft.rfft2(field, s=sides).abs().square()
    smooth = box_mean(power.view(-1, 1, *power.shape[-2:]), config.whitening_window).view(power.shape)
    floor = config.whitening_floor * power.mean((-2, -1), keepdim=True)
    white = (power / (smooth + floor)).clamp(max=config.whitening_limit)
    white[..., 0, 0] = 0
    correlation = torch.fft.irfft2(white, s=sides)
    cover = torch.fft.irfft2(torch.fft.rfft2(weight, s=sides).abs().square(), s=sides)
    cover = (cover / cover[..., :1, :1]).clamp(min=1e-3)
    correlation = correlation / correlation[..., :1, :1]
    return torch.fft.fftshift(correlation, dim=(-2, -1)), torch.fft.fftshift(cover, dim=(-2, -1))


def comb(correlation: Tensor, overlap: Tensor, config: LatticeConfig) -> Tensor:
    """Best lattices of the comb over scale and angle: -> (C, 2, 2), columns are the lattice vectors in pixels."""
    lattices, scores = comb_scores(correlation, overlap, config)
    half = config.peak_window // 2
    around = torch.cat([scores[:, -half:], scores, scores[:, :half]], dim=1)  # a lattice repeats every 90 degrees
    highest = box_max(around, config.peak_window)[:, half:-half]
    peaks = torch.where(scores >= highest, scores, torch.full_like(scores, -1e9)).flatten()
    return lattices[peaks.topk(config.candidates).indices]


def stretched_comb(correlation: Tensor, overlap: Tensor, config: LatticeConfig) -> Tensor:
    """Best upright lattices with a scale of their own in each direction, as after a change of aspect: (C, 2, 2)."""
    device = correlation.device
    finest, coarsest = config.scales
    count = round(math.log(coarsest / finest) / config.stretch_step) + 1
    scales = finest * torch.exp(torch.arange(count, device=device) * config.stretch_step) * TILE
    y, x = torch.meshgrid(scales, scales, indexing="ij")
    lattices = torch.diag_embed(torch.stack([x, y], dim=-1)).flatten(0, 1)
    scores = lattice_score(correlation, overlap, lattices, reach=config.reach).view(count, count)
    highest = box_max(scores, config.stretched_peak_window)
    peaks = torch.where(scores >= highest, scores, torch.full_like(scores, -1e9))
    return lattices[peaks.flatten().topk(config.stretched).indices]


def peak_lattices(correlation: Tensor, overlap: Tensor, config: LatticeConfig) -> Tensor:
    """Lattices of any shear that pairs of the highest peaks span, best first: (C, 2, 2)."""
    height, width = correlation.shape
    y, x = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    x, y = x.to(correlation), y.to(correlation)
    length = (x.square() + y.square()).sqrt()
    highest = box_max(correlation, config.peak_window)
    nearest, furthest = (tiles * TILE for tiles in config.peak_ring)
    ring = (length > nearest) & (length < furthest) & ((y > 0) | ((y == 0) & (x > 0)))
    peaks = torch.where(ring & (correlation >= highest), correlation * overlap.sqrt(), torch.zeros_like(correlation))
    cell = peaks.flatten().topk(config.peaks).indices
    points = torch.stack([x.flatten()[cell], y.flatten()[cell]], dim=1)
    first, second = torch.triu_indices(config.peaks, config.peaks, offset=1, device=cell.device)
    pairs = torch.stack([points[first], points[second]], dim=2)  # columns are the vectors
    side = pairs.det().abs().sqrt() / TILE
    # the singular values s, t of a pair have s t = |det| and s^2 + t^2 = |pair|^2
    stretch = pairs.square().sum((1, 2)) / pairs.det().abs().clamp(min=1e-6)
    fair = (side > config.scales[0]) & (side < config.scales[1])
    fair = fair & (stretch < config.most_stretch + 1 / config.most_stretch)
    evidence = lattice_score(correlation, overlap, pairs, reach=config.reach)
    scores = torch.where(fair, evidence, torch.full_like(side, -1e9))
    return pairs[scores.topk(min(config.candidates, int(fair.sum()))).indices]


def comb_scores(
    correlation: Tensor, overlap: Tensor, config: LatticeConfig, *, span: tuple[float, float] | None = None
) -> tuple[Tensor, Tensor]:
    """All lattices of the comb (S A, 2, 2) and their scores (..., S, A), by scale and angle; ``span`` of scales in
    pixels per working pixel, None: that of the levels."""
    device = correlation.device
    finest, coarsest = config.scales if span is None else span
    count = round(math.log(coarsest / finest) / config.scale_step) + 1
    scales = finest * torch.exp(torch.arange(count, device=device) * config.scale_step) * TILE
    angles = torch.deg2rad(torch.arange(0, 90, config.angle_step, device=device))
    x, y = scales[:, None] * angles.cos(), scales[:, None] * angles.sin()
    lattices = torch.stack([torch.stack([x, -y], -1), torch.stack([y, x], -1)], -2).flatten(0, 1)
    scores = lattice_score(correlation, overlap, lattices, reach=config.reach)
    return lattices, scores.view(*scores.shape[:-1], len(scales), len(angles))


def periodicity(
    fields: Tensor, weights: Tensor, config: LatticeConfig, *, span: tuple[float, float] | None = None
) -> Tensor:
    """How much regions repeat on any lattice of the comb, in standard deviations of the comb: cheap, to decide where to
    synchronise first. fields (B, H, W), weights the same or (H, W) for all -> (B,); 0 where there is nothing.
    ``span``: see ``comb_scores``."""
    group = GROUP if fields.device.type == "cpu" else len(fields)
    parts = []
    for first in range(0, len(fields), group):
        own = weights if weights.ndim == 2 else weights[first : first + group]
        correlation, overlap = autocorrelation(fields[first : first + group], own, config)
        scores = comb_scores(correlation, overlap, config, span=span)[1].flatten(-2)
        parts.append((scores.amax(-1) - scores.mean(-1)) / (scores.std(-1) + 1e-9))
    lift = torch.cat(parts)
    return torch.where(fields.square().sum((-2, -1)) > 1e-6, lift, torch.zeros_like(lift))


def lattice_score(correlation: Tensor, overlap: Tensor, lattices: Tensor, *, reach: int) -> Tensor:
    """Matched filter over lattice points up to ``reach`` periods: about N(0, 1 / N) on noise.

    correlation (..., M, N), overlap the same or (M, N) for all, lattices (C, 2, 2) -> (..., C).
    """
    steps = torch.arange(-reach, reach + 1, device=lattices.device, dtype=lattices.dtype)
    i, j = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([i.flatten(), j.flatten()])
    points = points[:, (points[1] > 0) | ((points[1] == 0) & (points[0] > 0))]
    lags = (lattices @ points).transpose(1, 2)  # (C, P, 2)
    sides = lags.new_tensor([correlation.shape[-1], correlation.shape[-2]])
    grid = ((lags + sides // 2 + 0.5) * 2 / sides - 1)[None]
    maps = torch.cat([one.reshape(-1, *one.shape[-2:]) for one in (correlation, overlap)])[None]
    values = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    values = values * (lags.abs() < sides / 2 - 2).all(-1)
    count = correlation[..., 0, 0].numel()
    peak, share = values[:count], values[count:]
    scores: Tensor = peak.sum(-1) / (share.sum(-1) + 0.5).sqrt()
    return scores.view(*correlation.shape[:-2], len(lattices))


def refine_lattices(correlation: Tensor, overlap: Tensor, lattices: Tensor, config: LatticeConfig) -> Tensor:
    """Moves both vectors of each lattice uphill, first near lattice points, then far ones that pin it down."""
    moves = torch.cat([torch.eye(4), -torch.eye(4), *_similarity_moves(config.joint_move), torch.zeros(1, 4)]).to(
        lattices
    )
    for reach, sizes in config.climb:
        for size in sizes:
            for _ in range(config.climb_rounds):
                trial = lattices[:, None] + size * moves.view(1, -1, 2, 2)
                scores = lattice_score(correlation, overlap, trial.flatten(0, 1), reach=reach)
                best = scores.view(len(lattices), -1).argmax(1)
                lattices = trial[torch.arange(len(lattices), device=best.device), best]
    return lattices


def _similarity_moves(size: float) -> list[Tensor]:
    """Joint moves of both vectors: turn, scale, aspect and shear, both ways."""
    basis = torch.tensor([[1.0, 0, 0, 1], [0, -1, 1, 0], [1, 0, 0, -1], [0, 1, 1, 0]]) * size
    return [basis, -basis]
