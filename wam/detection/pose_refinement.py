"""Refinement: moves a pose to where the message's own pattern fits best, to a fraction of a pixel everywhere.

Lucas and Kanade's registration with the pattern as the template: the pattern is made again from the bits as read so
far, its derivatives along the carrier's axes give the normal equations for the six numbers of an affine pose.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wam.detection.config import RefinementConfig, SearchConfig
from wam.detection.synchronization import Synchronised, at_pose
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import TILE


def refine(field: Tensor, found: Synchronised, carrier: Carrier, config: SearchConfig) -> Synchronised:
    """The best of the poses on the way uphill from a found one; field (H, W) is the weighted estimate."""
    best = current = found
    for _ in range(config.refinement.rounds):
        pose = step(field, current, carrier, config.refinement)
        if pose is None:
            break
        current = at_pose(field, pose, carrier, config.synchronization)
        if current.score > best.score:
            best = current
    return best


def step(field: Tensor, found: Synchronised, carrier: Carrier, config: RefinementConfig) -> Pose | None:
    """One Gauss-Newton step; None where the equations have no solution."""
    height, width = field.shape
    signs = torch.cat([torch.tanh(found.bit_votes), found.bit_votes.new_ones(1)])[carrier.owner]
    # d cos(k u + phase) / du = k cos(k u + phase + 90 degrees)
    slopes = signs * carrier.frequencies.T * (2 * math.pi / TILE)
    matrix, offset = found.pose.matrix.expand(2, 2, 2), found.pose.offset.expand(2, 2)
    along = carrier.render_signs(slopes, matrix, offset, (height, width), lead=math.pi / 2)[:, 0]  # (2, H, W)
    x = (torch.arange(width, device=field.device) + 0.5 - width / 2) / width
    y = (torch.arange(height, device=field.device) + 0.5 - height / 2) / height
    basis = torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.ones_like(field)])
    # basis (3, H, W)
    design = (along[:, None] * basis[None]).flatten(0, 1).flatten(1)  # (6, N): rows of u, then of v
    weighted = design * field.abs().flatten()  # where the estimate is nothing, nothing is known
    normal = weighted @ weighted.T
    unit = torch.eye(6, device=field.device)
    ridge = config.ridge * normal.diagonal().mean() * unit + 1e-9 * unit
    change = torch.linalg.solve(normal + ridge, design @ field.flatten()).view(2, 3)
    if not bool(torch.isfinite(change).all()):
        return None
    change = change * min(1.0, config.longest / (float(change.abs().sum(1).max()) + 1e-9))
    linear = change[:, :2] / torch.tensor([width, height], device=field.device)
    centre = torch.tensor([width / 2, height / 2], device=field.device)
    return Pose(found.pose.matrix + linear, found.pose.offset + change[:, 2] - linear @ centre)
