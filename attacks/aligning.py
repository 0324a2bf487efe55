"""A periodic mark that was bent on purpose, straightened before it is folded.

Where the pattern lies at ``u + d(u)``, ``d`` a smooth field that the adversary does not know, a plain fold (see
``folding``) averages the pattern against shifted copies of itself. But pieces of about a tile are hardly bent in
themselves: each is compared with what all of them have in common, shifted to where it agrees best, and folded again.
That is block matching, as of motion in a film; no key is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from attacks import folding
from attacks.folding import BINS, QUIET
from attacks.means import Means, Outcome

NODE = 16  # working pixels between the places where the field is known
ROUNDS = (
    *((14.0, 10.0), (14.0, 8.0), (14.0, 6.0), (14.0, 6.0), (12.0, 4.0), (12.0, 4.0)),
    *((12.0, 3.0), (10.0, 3.0), (10.0, 3.0), (10.0, 2.0), (10.0, 2.0), (10.0, 2.0)),
)
"""Each round: deviation of the Gaussian window around a node, and how far its shift is looked for, working pixels."""
SMOOTH = 1.6  # deviation of the Gaussian that makes a field of shifts smooth, nodes
SURE = 2.0  # deviations of a correlation over all shifts by which its peak begins to count
_INVERSIONS = 3  # fixed-point steps from a field over the picture to one over the pattern


@dataclass
class _Piece:
    """A picture on a grid of ``BINS`` to a working pixel: the weighted mean of what is fine, its weight, (1, 1, h, w),
    and ``shifts`` of its nodes, (1, 2, rows, columns), down and across, working pixels."""

    fine: Tensor
    weight: Tensor
    shifts: Tensor


def subtract(marked: Tensor, means: Means, psnr_db: float, *, others: int = 0) -> Outcome:
    """As ``folding.subtract``, with pictures whose pattern is bent."""
    tile, piece = _estimate([marked, *(means.others(others) if others else ())], means)
    return Outcome(folding.held(marked, -_spread(tile, piece.shifts, marked, means), psnr_db), marked)


def copy(marked: Tensor, means: Means, psnr_db: float, *, others: int = 0) -> Outcome:
    """As ``folding.copy``: the pattern is laid over the other picture straight."""
    tile, _ = _estimate([marked, *(means.others(others) if others else ())], means)
    target = means.target()
    return Outcome(folding.held(target, folding.spread(tile, target, means), psnr_db), target)


def _estimate(images: Iterable[Tensor], means: Means) -> tuple[Tensor, _Piece]:
    """The pattern over one tile, as ``folding.fold`` gives it, and how it lies in the first picture."""
    pieces = [_piece(image, means) for image in images]
    side = means.tile * BINS
    template = _first(pieces[0], means)
    for spread, reach in ROUNDS:
        for piece in pieces:
            _improve(piece, template, means, spread, reach)
        total, weight = torch.zeros(side, side), torch.zeros(side, side)
        for piece in pieces:
            straight, heavy = _straightened(piece)
            total += _wrapped(straight * heavy, side)
            weight += _wrapped(heavy, side)
        template = folding.cleaned(total / weight.clamp(min=1e-9), means)
    return template, pieces[0]


def _piece(image: Tensor, means: Means) -> _Piece:
    """A picture (1, 3, H, W) on the grid, not yet bent back."""
    with torch.no_grad():
        seen = means.estimate(image)
    height, width = (length * BINS for length in seen.shape[-2:])
    fine = F.interpolate(seen, (height, width), mode="bicubic", align_corners=False)
    nodes = [max(2, round(length / (NODE * BINS))) for length in (height, width)]
    return _Piece(fine, torch.ones_like(fine), torch.zeros(1, 2, *nodes))


def _straightened(piece: _Piece) -> tuple[Tensor, Tensor]:
    """The picture and its weight with the pattern where it belongs: (h, w) each."""
    height, width = piece.fine.shape[-2:]
    field = _full(piece.shifts, (height, width)) * BINS
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    places = torch.stack([x, y], -1)[None]
    sides = torch.tensor([width, height])
    found = places
    for _ in range(_INVERSIONS):  # u + d(u) = place
        grid = found * 2 / sides - 1
        moved = F.grid_sample(field, grid, padding_mode="border", align_corners=False)
        found = places - moved.flip(1).permute(0, 2, 3, 1)
    grid = found * 2 / sides - 1
    both = torch.cat([piece.fine * piece.weight, piece.weight], dim=1)
    value, weight = F.grid_sample(both, grid, mode="bicubic", padding_mode="zeros", align_corners=False)[0]
    weight = weight.clamp(min=0)
    inside = weight > 1e-6 * float(weight.max())
    return torch.where(inside, value / weight.clamp(min=1e-9), 0), weight * inside


def _improve(piece: _Piece, template: Tensor, means: Means, spread: float, reach: float) -> None:
    """Moves each node to where its surroundings agree best with the template (n, n), within ``reach``."""
    side = len(template)
    straight, weight = _straightened(piece)
    local = _local_folds(straight * weight, piece.shifts.shape[-2:], side, spread * BINS)
    spectra = torch.fft.fft2(local)
    spectra = spectra / spectra.abs().square().mean((-2, -1), keepdim=True).sqrt().clamp(min=1e-12)
    agreed = torch.fft.ifft2(spectra * torch.fft.fft2(template).conj() * _band(side, means)).real
    noise = agreed.square().mean((-2, -1)).sqrt().clamp(min=1e-12)
    offset = torch.fft.fftfreq(side, 1 / side)
    near = torch.hypot(offset[:, None], offset) <= reach * BINS
    peak, where = agreed.masked_fill(~near, -torch.inf).flatten(-2).max(-1)
    steps = torch.stack([offset[where // side], offset[where % side]]) / BINS  # of the pattern to the template
    sure = (peak / noise - SURE).clamp(min=0).square()
    rows, columns = piece.shifts.shape[-2:]
    heavy = sure.view(1, 1, rows, columns)
    moved = (steps * sure).view(1, 2, rows, columns)
    smooth = folding.smoothed(moved, SMOOTH) / folding.smoothed(heavy, SMOOTH).clamp(min=1e-6)
    piece.shifts = piece.shifts - smooth


def _first(piece: _Piece, means: Means) -> Tensor:
    """What the surroundings of one node repeat most clearly, (n, n): that of the largest energy within the band that
    its two halves have in common."""
    side = means.tile * BINS
    spread, _ = ROUNDS[0]
    weighted = piece.fine[0, 0] * piece.weight[0, 0]
    nodes = piece.shifts.shape[-2:]
    rows = (torch.arange(weighted.shape[0]) // side % 2)[:, None]
    columns = (torch.arange(weighted.shape[1]) // side % 2)[None]
    black = (rows + columns) % 2 == 0  # tiles as on a chessboard
    band = _band(side, means)
    halves = [
        torch.fft.fft2(_local_folds(weighted * part, nodes, side, spread * BINS)) * band for part in (black, ~black)
    ]
    common = (halves[0] * halves[1].conj()).real.sum((-2, -1))
    energy = (halves[0].abs().square().sum((-2, -1)) * halves[1].abs().square().sum((-2, -1))).sqrt()
    best = int((common / energy.clamp(min=1e-20)).argmax())
    return folding.cleaned(torch.fft.ifft2(halves[0][best] + halves[1][best]).real, means)


def _local_folds(values: Tensor, nodes: torch.Size, side: int, spread: float) -> Tensor:
    """Folds (h, w) -> (n, side, side) around each of ``nodes``, a Gaussian window of that deviation in bins."""
    height, width = values.shape
    windows = [_windows(length, count, side, spread) for length, count in zip((height, width), nodes, strict=True)]
    padded = F.pad(values, (0, -width % side, 0, -height % side))
    tiles = padded.view(padded.shape[0] // side, side, padded.shape[1] // side, side)
    down = torch.einsum("nab,abcd->nbcd", windows[0], tiles)
    return torch.einsum("nbcd,mcd->nmbd", down, windows[1]).flatten(0, 1)


def _windows(length: int, count: int, side: int, spread: float) -> Tensor:
    """Gaussian windows around nodes evenly spread over so many bins: (count, tiles, side)."""
    place = torch.arange(length + -length % side) + 0.5
    centres = (torch.arange(count) + 0.5) * length / count
    windows = torch.exp(-0.5 * ((place - centres[:, None]) / spread).square())
    return windows.view(count, -1, side)


def _wrapped(values: Tensor, side: int) -> Tensor:
    """The sum over all tiles, (side, side)."""
    height, width = values.shape
    padded = F.pad(values, (0, -width % side, 0, -height % side))
    return padded.view(padded.shape[0] // side, side, -1, side).sum((0, 2))


def _band(side: int, means: Means) -> Tensor:
    """Which waves of a tile the pattern may have, (n, n) bool."""
    k = torch.fft.fftfreq(side, 1 / side)
    radius = torch.hypot(k[:, None], k)
    return (radius >= means.band[0]) & (radius <= means.band[1])


def _full(shifts: Tensor, size: tuple[int, int]) -> Tensor:
    """The shifts at every place of a grid: (1, 2, h, w)."""
    return F.interpolate(shifts, size, mode="bicubic", align_corners=False)


def _spread(tile: Tensor, shifts: Tensor, image: Tensor, means: Means) -> Tensor:
    """As ``folding.spread``, bent as the picture's own pattern is."""
    height, width = image.shape[-2:]
    down, across = means.steps(height, width)
    field = _full(shifts, (height, width))[0]
    y = (torch.arange(height) + 0.5)[:, None] * down + field[0]
    x = (torch.arange(width) + 0.5) * across + field[1]
    bent = F.grid_sample(
        F.pad(tile[None, None], (2, 2, 2, 2), mode="circular"),
        torch.stack([_within(x, len(tile)), _within(y, len(tile))], -1)[None],
        align_corners=False,
    )
    return bent * (folding.detail(image, (down + across) / 2)[1] + QUIET)


def _within(place: Tensor, side: int) -> Tensor:
    """Working pixels as coordinates of a tile that was padded by two bins on each side."""
    return ((place * BINS) % side + 2) * 2 / (side + 4) - 1
