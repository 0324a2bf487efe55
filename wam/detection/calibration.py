"""Calibration of a model: when a watermark is present, how rare that is by chance, how sure a bit is.

Measured by ``scripts/calibrate.py`` and stored in the checkpoint, so that callers never carry thresholds of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Calibration:
    """``threshold``: joint score from which a watermark is present. ``null_location``, ``null_scale``: Gumbel
    distribution of the highest score of one synchronised region without a watermark. ``bit_slope``: logit per vote."""

    threshold: float
    null_location: float
    null_scale: float
    bit_slope: float

    def __post_init__(self) -> None:
        if not (self.threshold > self.null_location and self.null_scale > 0 and self.bit_slope > 0):
            raise ValueError(f"calibration: expected threshold above null_location and positive scales, found {self}")

    def log10_presence(self, score: float) -> float:
        """log10 of the chance that one region without a watermark scores at least this (Gumbel tail), at most 0."""
        lift = (score - self.null_location) / self.null_scale
        # 1 - exp(-exp(-lift)) without losing its smallest values
        return min(0.0, math.log10(-math.expm1(-math.exp(-lift)))) if lift < 30 else -lift / math.log(10)

    def bit_logits(self, votes: Tensor) -> Tensor:
        """Signed votes (..., 32) to logits of the bit being one."""
        return torch.as_tensor(votes).float() * self.bit_slope
