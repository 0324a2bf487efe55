"""Fill holes in images from their surroundings, without a learned model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTHING_STEPS = 8  # steps of diffusion at each size, which hide the blocks of the next coarser one


def diffuse(images: Tensor, known: Tensor) -> Tensor:
    """Replace pixels where known (B, 1, H, W) is 0 by values that diffuse in from where it is 1.

    From coarse to fine, holes start from the means of known pixels around (the push-pull of Gortler
    et al., The Lumigraph, 1996) and step towards the mean of their four neighbours (the heat
    equation). Images (B, 3, H, W) in [0, 1]; differentiable in the known pixels, which stay.
    """
    if bool(known.all()):
        return images
    return torch.where(known > 0, images, _push_pull(images * known, known))


def _push_pull(sums: Tensor, weights: Tensor) -> Tensor:
    """Mean of the known values at each pixel; if there are none, what the coarser sizes give."""
    means = sums / weights.clamp(min=torch.finfo(sums.dtype).tiny)
    if max(sums.shape[2:]) == 1:
        return means
    coarse = _push_pull(_halve(sums), _halve(weights))
    size = (sums.shape[2], sums.shape[3])
    filled = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
    for _ in range(SMOOTHING_STEPS):
        padded = F.pad(torch.where(weights > 0, means, filled), (1, 1, 1, 1), mode="replicate")
        rows = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
        columns = padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]
        filled = (rows + columns) / 4
    return torch.where(weights > 0, means, filled)


def _halve(fields: Tensor) -> Tensor:
    window = [min(2, side) for side in fields.shape[2:]]
    return F.avg_pool2d(fields, window, ceil_mode=True)
