"""Demodulation: pattern estimate and pose -> bit evidence, pooled over a region or per block of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.carrier import BITS, TILE, Carrier
from wam.pose import Pose

BLOCK = 8  # side of the blocks that evidence is kept for, pixels
WINDOW = 2.5  # blocks: standard deviation of the window for local bits


@dataclass(frozen=True)
class BlockVotes:
    """Coherent sums over blocks: ``coefficients`` (rows, columns, K, 2) per frequency; ``real`` and ``imaginary``
    (rows, columns, 33) the same summed for each of the 32 signed bits, then the pilot.

    ``energy`` (rows, columns): variance of each of those values per frequency if the estimate were noise.
    """

    coefficients: Tensor
    real: Tensor
    imaginary: Tensor
    energy: Tensor


def block_votes(pattern: Tensor, pose: Pose, carrier: Carrier) -> BlockVotes:
    """Bit evidence of each ``BLOCK`` x ``BLOCK`` square: pattern (H, W); the border is padded with zeros."""
    height, width = pattern.shape
    padded = F.pad(pattern, (0, -width % BLOCK, 0, -height % BLOCK))
    rows, columns = padded.shape[0] // BLOCK, padded.shape[1] // BLOCK
    strips = padded.view(rows, BLOCK, columns, BLOCK).permute(0, 2, 1, 3).reshape(rows * columns, BLOCK, BLOCK)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    corners = torch.stack([x.flatten(), y.flatten()], dim=1).to(pattern) * BLOCK
    # a block's phase at its corner is one factor; inside, all blocks share the same basis
    shared = carrier.project(strips, pose.matrix.expand(1, 2, 2), pose.offset.new_zeros(1, 2))
    angle = (corners @ pose.matrix.T + pose.offset) @ carrier.frequencies.T * (2 * torch.pi / TILE)
    cosine, sine = angle.cos(), angle.sin()
    real = shared[..., 0] * cosine + shared[..., 1] * sine
    imaginary = shared[..., 1] * cosine - shared[..., 0] * sine
    energy = strips.square().sum(dim=(1, 2)) * 0.5
    shape = (rows, columns, BITS + 1)
    return BlockVotes(
        torch.stack([real, imaginary], dim=-1).view(rows, columns, -1, 2),
        _per_bit(real, carrier).view(shape),
        _per_bit(imaginary, carrier).view(shape),
        energy.view(rows, columns),
    )


def _per_bit(values: Tensor, carrier: Carrier) -> Tensor:
    """Sums frequencies of the same bit: (N, K) -> (N, 33), the pilot last."""
    owner = torch.where(carrier.owner < 0, BITS, carrier.owner)
    return values.new_zeros(len(values), BITS + 1).index_add(1, owner, values)


def bit_logits(votes: BlockVotes, carrier: Carrier, *, spread: float, size: tuple[int, int]) -> Tensor:
    """Per-pixel bit logits from Gaussian windows of ``spread`` blocks: -> (32, H, W), in units of the noise."""
    real = gaussian(votes.real.permute(2, 0, 1)[:BITS], spread)
    energy = gaussian(votes.energy[None], spread / 2**0.5)  # variance of a weighted sum: squared weights
    per_bit = float((carrier.owner == 0).sum())
    area = 4 * torch.pi * max(spread, 0.3) ** 2  # blocks that a window averages over
    logits = real / ((energy * per_bit / area).sqrt() + 1e-6)
    resized = F.interpolate(logits[None], scale_factor=BLOCK, mode="bilinear", align_corners=False)[0]
    return resized[:, : size[0], : size[1]]


def gaussian(maps: Tensor, spread: float, *, border: str = "replicate") -> Tensor:
    """Gaussian mean of (C, H, W), standard deviation in pixels of the map; ``border`` "replicate" or "zeros"."""
    if spread < 0.3:
        return maps
    mode = "replicate" if border == "replicate" else "constant"
    reach = max(1, round(2.5 * spread))
    offsets = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (offsets / spread) ** 2)
    kernel = kernel / kernel.sum()
    stack = maps[:, None]
    stack = F.conv2d(F.pad(stack, (reach, reach, 0, 0), mode=mode), kernel.view(1, 1, 1, -1))
    stack = F.conv2d(F.pad(stack, (0, 0, reach, reach), mode=mode), kernel.view(1, 1, -1, 1))
    return stack[:, 0]
