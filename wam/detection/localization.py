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
from scipy import ndimage
from torch import Tensor, nn

from wam.detection.homography import Bend
from wam.detection.mask_regularization import four_sided, without_islands
from wam.networks.mask_head import STRIDE, evidence
from wam.signal.filters import box_mean, gaussian, luma
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose

WINDOWS = (4.0, 8.0, 16.0)  # pixels: standard deviations of the windows
DOUBT = 2.0  # standard deviations by which a hole must speak against the mark to stay a hole
SURE = 3.0  # standard deviations by which an island must speak for it to stay
FLAT_LEVELS = 1.2  # 8-bit levels of local deviation below which a place counts as flat
FLAT_ENERGY = 0.12  # energy of the estimate in marked flat places, at least
DECIDED = 2.0  # mask logit given to what changed sides with its part
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


def message_masks(pattern: Tensor, messages: Tensor, pose: Pose, carrier: Carrier, ground: Ground) -> Tensor:
    """Mask logits of messages (M, 32 signed votes) in an estimate (H, W): -> (M, H, W), positive where marked."""
    made = made_again(messages, pose, carrier, (pattern.shape[0], pattern.shape[1]))
    if ground.head is None or ground.surroundings is None:
        return _handmade(pattern, made, ground.flat)
    around = ground.surroundings.expand(len(messages), -1, -1, -1)
    logits = settled(ground.head(torch.cat([evidence(pattern, made), around], dim=1)))
    full = F.interpolate(logits[:, None], scale_factor=STRIDE, mode="bilinear", align_corners=False)[:, 0]
    return full[:, : pattern.shape[0], : pattern.shape[1]]


def settled(logits: Tensor) -> Tensor:
    """Mask logits (M, rows, columns) of a head without islands, and with straight sides where they are as likely."""
    shaped = []
    for own in logits.cpu().double().numpy():
        alone = without_islands(own)
        inside = four_sided(alone)
        if inside is not None:  # cells on a side get the logit that puts the side in its place between their centres
            decided = np.where(inside > 0.5, np.maximum(alone, DECIDED), np.minimum(alone, -DECIDED))
            alone = np.where((inside > 0) & (inside < 1), (2 * inside - 1) * DECIDED, decided)
        shaped.append(torch.from_numpy(alone))
    return torch.stack(shaped).to(logits)


def _handmade(pattern: Tensor, made: Tensor, expected: Tensor) -> Tensor:
    """Masks without a head: likelihood ratios summed over windows, then over whole parts."""
    energy = torch.maximum(pattern.square(), expected)
    ratio = pattern * made - 0.5 * energy
    noise = pattern.square().mean().sqrt() + 1e-6
    logits = torch.zeros_like(ratio)
    for window in WINDOWS:
        logits = logits + gaussian(ratio, window) / noise * window
    return torch.stack([settle(own, own_ratio, energy) for own, own_ratio in zip(logits, ratio, strict=True)])


def flat_energy(view: Tensor) -> Tensor:
    """Where a picture (1, 3, H, W) is so flat that a mark could not hide from the extractor: -> (H, W) energy."""
    levels = luma(view) * 255
    deviation = (box_mean(levels.square(), 7) - box_mean(levels, 7).square()).clamp(min=0).sqrt()
    return (FLAT_ENERGY * ((FLAT_LEVELS - deviation) / (FLAT_LEVELS / 2)).clamp(0, 1))[0, 0]


def settle(logits: Tensor, ratio: Tensor, energy: Tensor) -> Tensor:
    """Gives holes and islands to their surroundings unless their own evidence speaks clearly: all (H, W)."""
    mask = (logits > 0).cpu().numpy()
    evidence = ratio.cpu().double().numpy()
    variance = energy.cpu().double().numpy()
    holes = ~mask & ~_significant(~mask, -evidence, variance, DOUBT)
    filled = mask | _smaller_than(holes, float(mask.sum()))
    kept = _significant(filled, evidence, variance, SURE)
    settled = torch.from_numpy(kept).to(logits.device)
    flipped = torch.where(settled, logits.clamp(min=DECIDED), logits.clamp(max=-DECIDED))
    return torch.where(settled == (logits > 0), logits, flipped)


def _smaller_than(mask: np.ndarray, area: float) -> np.ndarray:
    """The parts of a mask with fewer pixels than ``area``: a mark does not spread to what is larger than itself."""
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes < area
    keep[0] = False
    return np.asarray(keep[labels])


def _significant(mask: np.ndarray, evidence: np.ndarray, variance: np.ndarray, bound: float) -> np.ndarray:
    """The parts of a mask whose summed evidence is at least ``bound`` standard deviations."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    index = np.arange(count + 1)
    total = ndimage.sum_labels(evidence, labels, index)
    # neighbouring pixels of a band-limited estimate share their noise: about three of them make one
    deviation = np.sqrt(3.0 * ndimage.sum_labels(variance, labels, index)) + 1e-9
    keep = total >= bound * deviation
    keep[0] = False
    return np.asarray(keep[labels])
