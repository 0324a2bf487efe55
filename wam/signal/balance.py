"""Strength of each bit by place: a mark that says louder what the picture drowns, and softer what it says itself.

What an extractor makes of a picture is the pattern and an error, and most of that error is the picture: it is there
after codecs and rescaling too, and known when the mark is made. So the frequencies of a bit that the error speaks
against get more of the energy of a place, and those that it speaks for get less; the sum stays as it was. This is
informed embedding in the sense of Miller, Cox and Bloom (2000), and needs nothing of the reader.

Places are nodes of a grid over the picture, about a tile apart; between nodes factors are interpolated linearly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.signal.mark_grid import Cell
from wam.signal.pattern import Carrier
from wam.signal.specification import BITS, TILE

WINDOW = 1.0  # deviation of the Gaussian window that a node hears its surroundings through, tiles
REACH = 8.0  # deviations from its middle beyond which a window is nothing: 1e-14 of what it is there
LOUDNESS = (0.4, 1.8)  # least and most of a bit's factor, before energies are made equal
LEAST_NOISE = 0.05  # rms of an estimate, in units of the pattern, below which a vote is not made more of
UNSURE = 0.5  # of the deviation of votes: means below it are not divided by, as they are noise themselves


@dataclass(frozen=True)
class Balance:
    """``factors`` (32, rows, columns) of the bits' amplitudes at the nodes, mean square one at each."""

    factors: Tensor

    @classmethod
    def of_votes(cls, votes: Tensor) -> Balance:
        """From votes of the bits (32, rows, columns), positive where they are right: what is below the mean of its
        place gets more by as much, what is above less."""
        mean, deviation = votes.mean(0), votes.std(0)
        missing = (mean - votes) / torch.maximum(mean, UNSURE * deviation).clamp(min=1e-6)
        factors = (1 + missing).clamp(*LOUDNESS)
        return cls(factors / factors.square().mean(0).sqrt())


def nodes(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the grid for a picture of so many working pixels."""
    return max(1, round(size[0] / TILE)), max(1, round(size[1] / TILE))


def local_votes(estimates: Tensor, bits: Tensor, carrier: Carrier) -> Tensor:
    """How surely each bit is read around each node: estimates (N, H, W) of copies of a picture at working resolution,
    marked with bits (1, 32) from its corner -> (32, rows, columns), in deviations of the estimate's noise, means over
    the copies, positive where they are right."""
    size = (estimates.shape[-2], estimates.shape[-1])
    rows, columns = (_windows(length, count).to(estimates) for length, count in zip(size, nodes(size), strict=True))
    upright, corner = torch.eye(2, device=estimates.device)[None], torch.zeros(1, 2, device=estimates.device)
    across, down = (waves[0] for waves in carrier.phasors(upright, corner, size))
    table = F.one_hot(carrier.owner.clamp(min=0), BITS).to(estimates)
    table = table * (carrier.signs(bits)[0] * ~carrier.is_pilot)[:, None]
    noise = (rows @ estimates.square() @ columns.T).sqrt() + LEAST_NOISE  # (N, rows, columns): windows have sum one
    votes = []
    for number, window in enumerate(columns):
        part = _reached(number, len(columns), size[1])  # of a long strip a small one
        waves = across[:, part] * window[part]
        real, imaginary = (estimates[..., part] @ own.T for own in (waves.real, waves.imag))  # (N, H, K)
        heard = rows @ (real * down.real.T - imaginary * down.imag.T) @ table  # (N, rows, 32)
        votes.append((heard / noise[:, :, number, None]).mean(0).T)
    return torch.stack(votes, dim=2)


def render_balanced(
    carrier: Carrier,
    bits: Tensor,
    matrix: Tensor,
    offset: Tensor,
    cell: Cell,
    *,
    balance: Balance,
    picture: tuple[int, int],
) -> Tensor:
    """As ``Carrier.render`` in one rectangle of a ``picture`` of so many pixels, of unit variance where factors are
    one: bits (1, 32) at the pose of the rectangle -> (1, 1, height, width)."""
    factors = balance.factors
    across, down = carrier.phasors(matrix, offset, (cell.height, cell.width))
    loud = torch.cat([factors, torch.ones_like(factors[:1])])[carrier.owner]  # the pilot's -1 picks the last
    scale = carrier.signs(bits)[0] * carrier.amplitudes * (2.0 / len(carrier.phases)) ** 0.5
    rows = _shares(cell.top, cell.height, picture[0], factors.shape[1])
    columns = _shares(cell.left, cell.width, picture[1], factors.shape[2])
    pattern = factors.new_zeros(cell.height, cell.width)
    for number in range(factors.shape[2]):
        (reached,) = columns[:, number].nonzero(as_tuple=True)
        if not len(reached):
            continue
        part = slice(int(reached[0]), int(reached[-1]) + 1)
        left = down[0] * (scale[:, None] * (loud[:, :, number] @ rows.T.to(factors)))
        right = across[0, :, part] * columns[part, number].to(factors)
        pattern[:, part] += left.real.T @ right.real - left.imag.T @ right.imag
    return pattern[None, None]


def _windows(length: int, count: int) -> Tensor:
    """Gaussian windows around nodes evenly spread over so many pixels, each of sum one: (count, length)."""
    centres = (torch.arange(count) + 0.5) * length / count
    apart = torch.arange(length) + 0.5 - centres[:, None]
    windows = torch.exp(-0.5 * (apart / (WINDOW * TILE)).square())
    return windows / windows.sum(1, keepdim=True)


def _reached(number: int, count: int, length: int) -> slice:
    """The pixels of so many that one of ``count`` such windows hears."""
    centre, reach = (number + 0.5) * length / count, REACH * WINDOW * TILE
    return slice(max(0, math.floor(centre - reach)), math.ceil(centre + reach))


def _shares(start: int, length: int, whole: int, count: int) -> Tensor:
    """How much each of ``count`` nodes over ``whole`` pixels counts at the pixels from ``start`` on: (length, count),
    linear between nodes, that of the last one beyond it; on the CPU."""
    place = ((torch.arange(start, start + length) + 0.5) * count / whole - 0.5).clamp(0, count - 1)
    return (1 - (place[:, None] - torch.arange(count)).abs()).clamp(min=0)
