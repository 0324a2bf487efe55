"""Masks: where in a picture a message that has been read lies.

The pattern of the message is made again at its pose and compared with the extractor's estimate. If the estimate e is
the mean of the posterior, the log-likelihood ratio of "marked with p" against "not marked" is proportional to
e p - e^2 / 2 at each pixel. Windows of several sizes add it up; then whole parts are weighed, since marks cover areas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from wam.detection.config import LocalizationConfig, RegularizationConfig, SearchConfig
from wam.detection.homography import Bend
from wam.detection.mask_regularization import four_sided, without_islands
from wam.networks.extractor import STRIDE
from wam.networks.mask_head import evidence
from wam.signal.filters import box_mean, gaussian, luma
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose

OUTSIDE = -9.0  # mask logit of places that were not looked at, or belong to another mark


@dataclass(frozen=True)
class Ground:
    """What is known of a view whatever the message. ``flat`` (H, W): see ``flat_energy``; ``surroundings`` (5, rows,
    columns) and ``head``: see ``wam.networks.mask_head``, None where masks are hand-made."""

    flat: Tensor
    surroundings: Tensor | None = None
    head: nn.Module | None = None

    def straight(self, bend: Bend) -> Ground:
        """The same in the straight coordinates of a bend."""
        around = self.surroundings
        return Ground(
            bend.straight(self.flat[None])[0],
            None if around is None else bend.straight(around, stride=STRIDE),
            self.head,
        )


def made_again(messages: Tensor, pose: Pose, carrier: Carrier, size: tuple[int, int]) -> Tensor:
    """The patterns of messages (M, 32 signed votes) at a pose, unsure bits less: -> (M, H, W)."""
    count = len(messages)
    signs = torch.cat([torch.tanh(messages), messages.new_ones(count, 1)], dim=1)[:, carrier.owner]
    matrix, offset = pose.matrix.expand(count, 2, 2), pose.offset.expand(count, 2)
    return carrier.render_signs(signs, matrix, offset, size)[:, 0]


def message_masks(
    pattern: Tensor, messages: Tensor, pose: Pose, carrier: Carrier, ground: Ground, config: SearchConfig
) -> Tensor:
    """Mask logits of messages (M, 32 signed votes) in an estimate (H, W): -> (M, H, W), positive where marked."""
    made = made_again(messages, pose, carrier, (pattern.shape[0], pattern.shape[1]))
    if ground.head is None or ground.surroundings is None:
        return _handmade(pattern, made, ground.flat, config.localization)
    around = ground.surroundings.expand(len(messages), -1, -1, -1)
    raw = ground.head(torch.cat([evidence(pattern, made), around], dim=1))
    logits = settled(raw, pose, config.regularization, decided=config.localization.decided)
    full = F.interpolate(logits[:, None], scale_factor=STRIDE, mode="bilinear", align_corners=False)[:, 0]
    return full[:, : pattern.shape[0], : pattern.shape[1]]


def settled(logits: Tensor, pose: Pose, config: RegularizationConfig, *, decided: float) -> Tensor:
    """Mask logits (M, rows, columns) of a head without islands, and with straight sides where they are as likely, first
    of all along the axes of the pose; ``decided``: the logit of what changes sides for that."""
    matrix = pose.matrix.cpu().double().numpy()
    normals = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    shaped = []
    for own in logits.cpu().double().numpy():
        alone = without_islands(own, config)
        inside = four_sided(alone, normals, config)
        if inside is not None:  # cells on a side get the logit that puts the side in its place between their centres
            whole = np.where(inside > 0.5, np.maximum(alone, decided), np.minimum(alone, -decided))
            alone = np.where((inside > 0) & (inside < 1), (2 * inside - 1) * decided, whole)
        shaped.append(torch.from_numpy(alone))
    return torch.stack(shaped).to(logits)


def _handmade(pattern: Tensor, made: Tensor, expected: Tensor, config: LocalizationConfig) -> Tensor:
    """Masks without a head: likelihood ratios summed over windows, then over whole parts."""
    energy = torch.maximum(pattern.square(), expected)
    ratio = pattern * made - 0.5 * energy
    noise = pattern.square().mean().sqrt() + 1e-6
    logits = torch.zeros_like(ratio)
    for window in config.windows:
        logits = logits + gaussian(ratio, window) / noise * window
    return torch.stack([settle(own, own_ratio, energy, config) for own, own_ratio in zip(logits, ratio, strict=True)])


def flat_energy(view: Tensor, config: LocalizationConfig) -> Tensor:
    """Where a picture (1, 3, H, W) is so flat that a mark could not hide from the extractor: -> (H, W) energy."""
    levels = luma(view) * 255
    side, flat = config.flat_window, config.flat_levels
    deviation = (box_mean(levels.square(), side) - box_mean(levels, side).square()).clamp(min=0).sqrt()
    return (config.flat_energy * ((flat - deviation) / (flat / 2)).clamp(0, 1))[0, 0]


def settle(logits: Tensor, ratio: Tensor, energy: Tensor, config: LocalizationConfig) -> Tensor:
    """Gives holes and islands to their surroundings unless their own evidence speaks clearly: all (H, W)."""
    mask = (logits > 0).cpu().numpy()
    evidence = ratio.cpu().double().numpy()
    variance = energy.cpu().double().numpy()
    holes = ~mask & ~_significant(~mask, -evidence, variance, config.doubt, shared=config.shared_noise)
    filled = mask | _smaller_than(holes, float(mask.sum()))
    kept = _significant(filled, evidence, variance, config.sure, shared=config.shared_noise)
    settled = torch.from_numpy(kept).to(logits.device)
    flipped = torch.where(settled, logits.clamp(min=config.decided), logits.clamp(max=-config.decided))
    return torch.where(settled == (logits > 0), logits, flipped)


def _smaller_than(mask: NDArray[np.bool_], area: float) -> NDArray[np.bool_]:
    """The parts of a mask with fewer pixels than ``area``: a mark does not spread to what is larger than itself."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes < area
    keep[0] = False
    return np.asarray(keep[labels])


def _significant(
    mask: NDArray[np.bool_],
    evidence: NDArray[np.float64],
    variance: NDArray[np.float64],
    bound: float,
    *,
    shared: float,
) -> NDArray[np.bool_]:
    """The parts of a mask whose summed evidence is at least ``bound`` standard deviations; so many pixels as ``shared``
    have the noise of one, as neighbours of a band-limited estimate do."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    index = np.arange(count + 1)
    total = ndimage.sum_labels(evidence, labels, index)
    deviation = np.sqrt(shared * ndimage.sum_labels(variance, labels, index)) + 1e-9
    keep = total >= bound * deviation
    keep[0] = False
    return np.asarray(keep[labels])
