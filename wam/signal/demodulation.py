"""Demodulation: pattern estimate and pose -> bit evidence, pooled over a region or per block of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.signal.filters import gaussian
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS, TILE


@dataclass(frozen=True)
class BlockVotes:
    """Coherent sums over blocks: ``coefficients`` (rows, columns, K, 2) per frequency; ``real`` and ``imaginary``
    (rows, columns, 33) the same summed for each of the 32 signed bits, then the pilot.

    ``energy`` (rows, columns): variance of each of those values per frequency if the estimate were noise. ``block``
    side of the blocks, pixels.
    """

    coefficients: Tensor
    real: Tensor
    imaginary: Tensor
    energy: Tensor
    block: int


def block_votes(pattern: Tensor, pose: Pose, carrier: Carrier, *, block: int) -> BlockVotes:
    """Bit evidence of each square of ``block`` pixels: pattern (H, W); the border is padded with zeros."""
    height, width = pattern.shape
    padded = F.pad(pattern, (0, -width % block, 0, -height % block))
    rows, columns = padded.shape[0] // block, padded.shape[1] // block
    strips = padded.view(rows, block, columns, block).permute(0, 2, 1, 3).reshape(-1, block**2)
    # all blocks share one basis; a block's phase at its corner is one factor, a product of those of row and column
    pixels = torch.eye(block**2, device=pattern.device).view(-1, block, block)
    basis = carrier.project(pixels, pose.matrix.expand(1, 2, 2), pose.offset.new_zeros(1, 2))
    shared = (strips @ basis.flatten(1)).view(rows, columns, -1, 2)
    step = carrier.frequencies @ pose.matrix * block  # (K, 2): cycles per tile from one block to the next
    down = _phasor(torch.arange(rows).to(step)[:, None] * step[:, 1] + carrier.frequencies @ pose.offset)
    across = _phasor(torch.arange(columns).to(step)[:, None] * step[:, 0])
    turned = torch.view_as_complex(shared) * (down[:, None] * across)
    return BlockVotes(
        torch.view_as_real(turned),
        _per_bit(turned.real, carrier),
        _per_bit(turned.imag, carrier),
        (strips.square().sum(1) * 0.5).view(rows, columns),
        block,
    )


def _phasor(cycles: Tensor) -> Tensor:
    """exp(-2 pi i c / T) of phases in cycles per tile, complex64."""
    angle = cycles * (-2 * torch.pi / TILE)
    return torch.polar(torch.ones_like(angle), angle)


def _per_bit(values: Tensor, carrier: Carrier) -> Tensor:
    """Sums frequencies of the same bit: (..., K) -> (..., 33), the pilot last."""
    owner = torch.where(carrier.owner < 0, BITS, carrier.owner)
    return values @ F.one_hot(owner, BITS + 1).to(values)


def bit_logits(votes: BlockVotes, carrier: Carrier, *, spread: float, size: tuple[int, int]) -> Tensor:
    """Per-pixel bit logits from Gaussian windows of ``spread`` blocks: -> (32, H, W), in units of the noise."""
    real = gaussian(votes.real.permute(2, 0, 1)[:BITS], spread)
    energy = gaussian(votes.energy[None], spread / 2**0.5)  # variance of a weighted sum: squared weights
    per_bit = float((carrier.owner == 0).sum())
    area = 4 * torch.pi * max(spread, 0.3) ** 2  # blocks that a window averages over
    logits = real / ((energy * per_bit / area).sqrt() + 1e-6)
    resized = F.interpolate(logits[None], scale_factor=votes.block, mode="bilinear", align_corners=False)[0]
    return resized[:, : size[0], : size[1]]


def limited(coefficients: Tensor) -> Tensor:
    """Limits each frequency's vote: z / (|z| + median |z|), so that the picture's own texture cannot outvote a bit."""
    magnitude = coefficients.norm(dim=-1, keepdim=True)
    middle: Tensor = magnitude.median(dim=-2, keepdim=True).values
    output: Tensor = coefficients / (magnitude + middle + 1e-9)
    return output
