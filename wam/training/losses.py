"""Losses and schedules of training: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.signal.pattern import Carrier
from wam.signal.specification import BITS


def pattern_loss(estimate: Tensor, pattern: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error against the unit-variance pattern inside the mask and zero outside; all (B, 1, H, W)."""
    return F.mse_loss(estimate, pattern * mask)


def pooled_bit_logits(estimate: Tensor, weight: Tensor, carrier: Carrier, matrix: Tensor, offset: Tensor) -> Tensor:
    """Bits of a region at a known pose, in units of the noise: estimate, weight (B, 1, H, W) -> (B, 32)."""
    field = (estimate * weight)[:, 0]
    real = carrier.project(field, matrix, offset)[..., 0]
    table = F.one_hot(carrier.owner.clamp(min=0), BITS).to(real) * (carrier.owner >= 0).to(real)[:, None]
    per_bit = table.sum(0)
    noise = (field.square().sum(dim=(1, 2)) * 0.5 + 1e-6).sqrt()[:, None] * per_bit.sqrt()
    return (real @ table) / noise


def bit_loss(logits: Tensor, bits: Tensor, present: Tensor) -> Tensor:
    """Binary cross-entropy over the pictures where ``present`` (B,) is True; zero when there is none."""
    loss = F.binary_cross_entropy_with_logits(logits, bits.float(), reduction="none").mean(1)
    return (loss * present).sum() / present.sum().clamp(min=1)


def bit_accuracy(logits: Tensor, bits: Tensor, present: Tensor) -> float:
    """Share of right bits over the pictures where ``present`` is True; nan when there is none."""
    right = ((logits > 0) == (bits > 0)).float().mean(1)[present]
    return float(right.mean()) if len(right) else math.nan


def correlation(estimate: Tensor, pattern: Tensor, mask: Tensor) -> float:
    """Mean over pictures of the correlation between estimate and pattern inside the mask."""
    product = (estimate * pattern * mask).sum(dim=(1, 2, 3))
    norms = ((estimate * mask).square().sum(dim=(1, 2, 3)) * (pattern * mask).square().sum(dim=(1, 2, 3))).sqrt()
    present = mask.sum(dim=(1, 2, 3)) > 0
    return float((product / (norms + 1e-6))[present].mean()) if present.any() else math.nan


def learning_rate(step: int, *, peak: float, warmup: int, decay_from: int, total: int) -> float:
    """Linear warm-up, constant, then linear decay to 2% of the peak between ``decay_from`` and ``total``."""
    if step < warmup:
        return peak * (step + 1) / warmup
    if step <= decay_from:
        return peak
    return peak * max(0.02, 1 - (step - decay_from) / max(1, total - decay_from))


def final_decay(minutes: float, *, total: float, decay: float) -> float:
    """Factor of the rate by the clock: 1, then linearly down to 2% over the last ``decay`` of ``total`` minutes."""
    left = total - minutes
    return 1.0 if left >= decay or not decay else max(0.02, left / decay)


def next_level(level: float, accuracy: float, *, low: float = 0.86, high: float = 0.92, stride: float = 0.01) -> float:
    """Adaptive curriculum: harder when the moving bit accuracy is above ``high``, easier below ``low``."""
    if math.isnan(accuracy):
        return level
    return min(1.0, max(0.0, level + stride * ((accuracy > high) - (accuracy < low))))


def known_mean(reports: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each entry over the reports that have one; nan, as in a batch without a mark, when none has."""
    known = {key: [report[key] for report in reports if not math.isnan(report[key])] for key in reports[0]}
    return {key: sum(values) / len(values) if values else math.nan for key, values in known.items()}


def non_finite(value: Tensor) -> bool:
    """True when a loss can no longer be trained on."""
    return not bool(torch.isfinite(value).all())
