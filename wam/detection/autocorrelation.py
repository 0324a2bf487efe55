"""Autocorrelations of pattern estimates: where, at which lags, a batch of regions of one size repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import LatticeConfig
from wam.signal.filters import box_mean
from wam.signal.specification import TILE

GROUP = 2  # fields at a time on a CPU: more do not stay in its cache


@dataclass(frozen=True)
class Autocorrelation:
    """Whitened autocorrelations of a batch of regions of one ``size`` (height, width): ``values`` (B, M, N), 1 at lag
    zero, which is in the middle; their ``noise`` (B,), root mean square over all lags, of as much of a region as was
    available. ``overlap`` (B, M, N): share of the region's weight that overlaps at each lag; None where all of a region
    counts, so that it follows from its size.
    """

    values: Tensor
    noise: Tensor
    size: tuple[int, int]
    overlap: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: slice | Tensor) -> Autocorrelation:
        """Some of the batch."""
        overlap = None if self.overlap is None else self.overlap[index]
        return Autocorrelation(self.values[index], self.noise[index], self.size, overlap)

    @classmethod
    def of(cls, values: Tensor, size: tuple[int, int], overlap: Tensor | None = None) -> Autocorrelation:
        """With the noise that values show."""
        return cls(values, noise_of(values), size, overlap)

    @classmethod
    def joined(cls, parts: Sequence[Autocorrelation]) -> Autocorrelation:
        """Several batches of regions of one size as one; all with an overlap or none."""
        overlaps = [part.overlap for part in parts if part.overlap is not None]
        return cls(
            torch.cat([part.values for part in parts]),
            torch.cat([part.noise for part in parts]),
            parts[0].size,
            torch.cat(overlaps) if overlaps else None,
        )

    def at(self, lags: Tensor) -> tuple[Tensor, Tensor]:
        """Values and overlap shares at lags (B or 1, ..., 2) x, y in pixels; 0 outside of the map: -> (B, ...) each."""
        inside, grid = self.inside(lags), self.sampling(lags)
        if self.overlap is None:
            return sampled(self.values[:, None], grid)[:, 0] * inside, self.shares(lags) * inside
        both = sampled(torch.stack([self.values, self.overlap], dim=1), grid)
        return both[:, 0] * inside, both[:, 1] * inside

    def inside(self, lags: Tensor) -> Tensor:
        """Whether lags (..., 2) lie in the maps: (...) bool."""
        (across, down), (width, height) = lags.abs().unbind(-1), self._sides()
        return (across < width / 2 - 2).logical_and_(down < height / 2 - 2)

    def shares(self, lags: Tensor) -> Tensor:
        """Overlap at lags (..., 2) of a region of which all counts: (...)."""
        height, width = self.size
        across, down = (1 - lags.abs() / lags.new_tensor([width, height])).clamp_(0, 1).unbind(-1)
        return (across * down).clamp_(min=1e-3)

    def sampling(self, lags: Tensor) -> Tensor:
        """Where lags (..., 2) in pixels lie in the maps, from -1 to 1, for ``torch.nn.functional.grid_sample``."""
        sides = lags.new_tensor(self._sides())
        return torch.addcmul((sides // 2 + 0.5) * 2 / sides - 1, lags, 2 / sides)

    def _sides(self) -> tuple[int, int]:
        """Width and height of the maps."""
        return self.values.shape[-1], self.values.shape[-2]


def autocorrelation(fields: Tensor, weights: Tensor | None, config: LatticeConfig) -> Autocorrelation:
    """Of weighted fields (B, H, W); weights (B, H, W), None: 1 everywhere."""
    size = (fields.shape[-2], fields.shape[-1])
    sides = [math.ceil((side + 3 * TILE) / 32) * 32 for side in size]
    middle = _to_the_middle(sides, fields)
    values = torch.cat([_whitened(group, sides, middle, config) for group in _groups(fields)])
    if weights is None:
        return Autocorrelation.of(values, size)
    cover = torch.fft.irfft2(_power(weights, sides).mul_(middle), s=sides)
    cover = (cover / _at_zero(cover).clamp(min=1e-6)).clamp(min=1e-3)
    # with less of a region available fewer lags overlap, and those that do are noisier by the root of that share
    available = weights.sum((-2, -1)).clamp(min=1) / weights[0].numel()
    noise = noise_of(values) / available.sqrt()
    return Autocorrelation(values, noise, size, cover)


def noise_of(values: Tensor) -> Tensor:
    """Root mean square of maps (B, M, N), whose mean is 0 as they have no constant part: (B,)."""
    noise: Tensor = torch.linalg.vector_norm(values, dim=(-2, -1)) / math.sqrt(values[0].numel())
    return noise.clamp(min=1e-9)


def _whitened(fields: Tensor, sides: list[int], middle: Tensor, config: LatticeConfig) -> Tensor:
    """Whitened autocorrelations, lag zero in the middle."""
    power = _power(fields, sides)
    smooth = box_mean(power, config.whitening_window)
    floor = config.whitening_floor * power.mean((-2, -1), keepdim=True) + 1e-12
    white = power.div_(smooth.add_(floor)).clamp_(max=config.whitening_limit)
    white[..., 0, 0] = 0
    values: Tensor = torch.fft.irfft2(white.mul_(middle), s=sides)
    return values / _at_zero(values).clamp(min=1e-9)


def _at_zero(values: Tensor) -> Tensor:
    """What maps (B, M, N) have in the middle, at lag zero: (B, 1, 1)."""
    down, across = values.shape[-2] // 2, values.shape[-1] // 2
    return values[..., down : down + 1, across : across + 1]


def _power(fields: Tensor, sides: list[int]) -> Tensor:
    """Power spectra of fields (B, H, W), padded to ``sides``: half of them, (B, M, N / 2 + 1). By squares of the parts:
    the absolute value of complex numbers takes three times as long."""
    spectrum = torch.fft.rfft2(fields, s=sides)
    power: Tensor = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
    return power


def _to_the_middle(sides: list[int], like: Tensor) -> Tensor:
    """What half a spectrum of maps with even ``sides`` is multiplied with to move them by half their sides, without a
    copy of them: 1 and -1 by turns, (M, N / 2 + 1)."""
    down, across = (1 - 2 * (torch.arange(count, device=like.device) % 2) for count in (sides[0], sides[1] // 2 + 1))
    return (down[:, None] * across).to(like)


def sampled(maps: Tensor, grid: Tensor) -> Tensor:
    """Maps (B, C, M, N) at places (B or 1, ..., 2) of a grid: (B, C, ...)."""
    places = grid.expand(len(maps), *grid.shape[1:])
    flat = places.reshape(len(maps), grid.shape[1], -1, 2)
    values = F.grid_sample(maps, flat, mode="bilinear", padding_mode="zeros", align_corners=False)
    return values.view(*maps.shape[:2], *grid.shape[1:-1])


def _groups(fields: Tensor) -> list[Tensor]:
    return list(fields.split(GROUP if fields.device.type == "cpu" else max(1, len(fields))))
