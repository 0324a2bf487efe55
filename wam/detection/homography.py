"""Bends: the projective part of a pose, taken out of a view so that everything else stays affine.

A view seen at an angle maps to the carrier by a homography. About a point ``x0`` it is an affine map of the straight
coordinates ``r = x0 + (x - x0) / (1 + c.(x - x0))``: two numbers ``c`` hold all that is not affine, and bends about
one point add: bending by ``c`` and then by ``d`` is bending by ``c + d``. So the extractor's estimate is resampled
straight, and rendering, projecting and reading go on as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import HomographyConfig, SearchConfig
from wam.detection.sliding_windows import Box, cut
from wam.detection.synchronization import Synchronised, at_pose
from wam.signal.filters import box_max
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose


@dataclass(frozen=True)
class Bend:
    """``centre`` (2,) pixels x, y; ``tilt`` (2,) per pixel, zero for none; ``nearest`` smallest denominator: what is
    stretched more is not looked at."""

    centre: Tensor
    tilt: Tensor
    nearest: float

    def straight(self, maps: Tensor, *, stride: int = 1) -> Tensor:
        """Maps (C, h, w) of the view, in cells of ``stride`` pixels, in straight coordinates; zero outside."""
        return self._resample(maps, stride, -self.tilt)

    def back(self, maps: Tensor) -> Tensor:
        """Straight maps (C, h, w) as seen in the view."""
        return self._resample(maps, 1, self.tilt)

    def _resample(self, maps: Tensor, stride: int, tilt: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        y = (torch.arange(height, device=maps.device) + 0.5) * stride - self.centre[1]
        x = (torch.arange(width, device=maps.device) + 0.5) * stride - self.centre[0]
        below = (1 + tilt[1] * y)[:, None] + tilt[0] * x
        there = below > self.nearest
        scale = below.clamp_(min=self.nearest).reciprocal_() * (2 / stride)
        first = self.centre * 2 / (stride * self.centre.new_tensor([width, height])) - 1
        across = torch.where(there, scale * (x / width) + first[0], -9.0)  # out of sight
        grid = torch.stack([across, scale * (y / height)[:, None] + first[1]], dim=-1)
        return F.grid_sample(maps[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)[0]


def fit_bend(
    field: Tensor,
    start: Synchronised,
    part: Tensor,
    carrier: Carrier,
    config: SearchConfig,
    *,
    first: Bend | None = None,
) -> tuple[Bend, Pose] | None:
    """Follows a mark from a part (H, W) where an affine pose holds to all it covers; None where it is not bent.

    field (H, W): the weighted estimate; start and part in the straight coordinates of ``first``, if that is given. The
    message's pattern, made again, is matched with the estimate block by block; displacements near the part give a
    first homography, which brings blocks further out within reach.
    """
    rows, columns = torch.nonzero(part, as_tuple=True)
    if not len(rows):
        return None
    centre = torch.stack([columns.float().mean(), rows.float().mean()]) + 0.5
    own, evidence = config.homography, config.synchronization
    radius = max(own.block, math.sqrt(len(rows) / math.pi))
    bend, found = Bend(centre, centre.new_zeros(2), own.nearest) if first is None else first, start
    for number in range(own.rounds):
        straight = bend.straight(field[None])[0]
        points, moves, weights = _matches(straight, found, carrier, own, _around(part, centre, radius, own))
        if number == 0 and _ends(part, points, moves, weights, own):
            return None
        weights = weights * ((points - centre).norm(dim=1) < radius)
        if int((weights > 0).sum()) < own.fewest:
            return None
        pose, tilt = _fitted(points, moves, weights, bend.centre, found.pose, own)
        bend = replace(bend, tilt=bend.tilt + tilt)
        found = at_pose(bend.straight(field[None])[0] * _near(field, centre, radius), pose, carrier, evidence)
        radius *= own.growth
    final = at_pose(bend.straight(field[None])[0], found.pose, carrier, evidence)
    before = at_pose(field if first is None else first.straight(field[None])[0], start.pose, carrier, evidence)
    return (bend, final.pose) if final.score > own.worthwhile * max(before.score, 1.0) else None


def _ends(part: Tensor, points: Tensor, moves: Tensor, weights: Tensor, config: HomographyConfig) -> bool:
    """Whether a mark is flat and ends where a part (H, W) does: too few of its blocks, see ``_matches``, have moved or
    show nothing of the part in the inner half of their sides."""
    column, row = points.long().unbind(1)
    near = box_max(part[None, None].float(), config.block // 2 + 1)[0, 0] > 0.5
    shown = near[row.clamp(max=near.shape[0] - 1), column.clamp(max=near.shape[1] - 1)]
    return int(((weights > 0) & ((moves.abs().amax(1) > 0) | ~shown)).sum()) < config.fewest


def _near(field: Tensor, centre: Tensor, radius: float) -> Tensor:
    """Where a pixel is closer to a point than ``radius``: (H, W) 0 or 1."""
    y = torch.arange(field.shape[0], device=field.device) + 0.5 - centre[1]
    x = torch.arange(field.shape[1], device=field.device) + 0.5 - centre[0]
    return (x[None].square() + y[:, None].square() < radius**2).to(field)


def _around(part: Tensor, centre: Tensor, radius: float, config: HomographyConfig) -> Box:
    """The pixels whose blocks count: a part (H, W) with what lies beside it, and all within ``radius`` of a point; from
    whole steps of the blocks on."""
    rows, columns = torch.nonzero(part.any(1))[:, 0], torch.nonzero(part.any(0))[:, 0]
    x, y = centre.tolist()
    edges = torch.stack([rows[0], columns[0], rows[-1], columns[-1]]).tolist()
    beside, margin = 2 * config.block, config.block
    top, left = min(edges[0] - beside, y - radius) - margin, min(edges[1] - beside, x - radius) - margin
    bottom, right = max(edges[2] + beside, y + radius) + margin, max(edges[3] + beside, x + radius) + margin
    step = config.spacing
    return (
        max(0, int(top) // step * step),
        max(0, int(left) // step * step),
        min(part.shape[0], math.ceil(bottom)),
        min(part.shape[1], math.ceil(right)),
    )


def _matches(
    field: Tensor, found: Synchronised, carrier: Carrier, config: HomographyConfig, box: Box
) -> tuple[Tensor, Tensor, Tensor]:
    """Of a box of the estimate: block centres (N, 2), how far the estimate lies from the pattern there (N, 2), both
    x, y; weights (N,)."""
    field = cut(field, box)
    corner = field.new_tensor([box[1], box[0]])
    size, side, reach = (field.shape[0], field.shape[1]), config.block, config.reach
    signs = torch.cat([torch.tanh(found.bit_votes), found.bit_votes.new_ones(1)])[carrier.owner]
    matrix, offset = found.pose.matrix, found.pose.offset + found.pose.matrix @ corner
    made = carrier.render_signs(signs[None], matrix[None], offset[None], size)[0, 0]
    pair = F.unfold(F.pad(torch.stack([field, made])[:, None], [side // 2] * 4), side, stride=config.spacing)
    hann = torch.hann_window(side, periodic=False, device=field.device)
    window = hann[:, None] * hann[None]
    blocks = pair.transpose(1, 2).reshape(2, -1, side, side)
    spectra = torch.fft.rfft2(torch.stack([blocks[0] * window, blocks[1]]))
    surface = torch.fft.irfft2(spectra[0] * spectra[1].conj(), s=(side, side))
    noise = surface.std(dim=(1, 2)) + 1e-9
    near = torch.fft.fftshift(surface, dim=(1, 2))
    looked_at = slice(side // 2 - reach, side // 2 + reach + 1)
    peak, cell = near[:, looked_at, looked_at].flatten(1).max(1)
    shifts = 2 * reach + 1
    move = torch.stack([cell % shifts - reach, cell // shifts - reach], dim=1).to(field)
    sure = peak / noise
    per_row = (size[1] // config.spacing) + 1
    index = torch.arange(len(sure), device=field.device)
    points = torch.stack([index % per_row, index // per_row], dim=1) * float(config.spacing)
    return points + corner, move, torch.where(sure > config.peak, sure.square(), torch.zeros_like(sure))


def _fitted(
    points: Tensor, moves: Tensor, weights: Tensor, centre: Tensor, pose: Pose, config: HomographyConfig
) -> tuple[Pose, Tensor]:
    """The pose and the further tilt that explain displacements, by least squares that wild ones weigh little in."""
    size = float(config.block)
    there = (points + moves - centre) / size  # where the estimate has what the pattern has at ``points``
    ones, zeros = torch.ones_like(there[:, :1]), torch.zeros_like(there)
    flat = torch.cat([there, ones], dim=1)
    bent = -there[:, :, None] * there[:, None, :]  # (N, axis, tilt)
    design = torch.stack(
        [torch.cat([flat, zeros, zeros[:, :1], bent[:, 0]], 1), torch.cat([zeros, zeros[:, :1], flat, bent[:, 1]], 1)],
        1,
    )
    target = -moves / size
    trust = weights
    solution = target.new_zeros(8)
    for _ in range(config.robust_rounds):
        root = trust.sqrt()[:, None]
        solution = torch.linalg.lstsq((design * root[..., None]).flatten(0, 1), (target * root).flatten()).solution
        residual = (design @ solution - target).norm(dim=1) * size
        trust = weights / (1 + (residual / config.robust).square())
    affine = solution[:6].view(2, 3)
    linear = torch.eye(2, device=points.device) + affine[:, :2]
    shift = affine[:, 2] * size + centre - linear @ centre
    return Pose(pose.matrix @ linear, pose.offset + pose.matrix @ shift), solution[6:] / size
