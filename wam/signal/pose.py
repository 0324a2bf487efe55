"""Poses: where a picture's pixels lie in the carrier's plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pose:
    """``carrier = matrix @ (x, y) + offset``: pixels of one image to working pixels. matrix (2, 2), offset (2,)."""

    matrix: Tensor
    offset: Tensor

    @classmethod
    def upright(cls, pixels_per_working_pixel: float, *, device: torch.device | str = "cpu") -> Pose:
        """The pose of a picture as it was marked."""
        return cls(torch.eye(2, device=device) / pixels_per_working_pixel, torch.zeros(2, device=device))

    def rescaled(self, factor_x: float, factor_y: float) -> Pose:
        """The same pose seen from a picture whose sides are ``factor`` times as long."""
        return Pose(self.matrix / self.matrix.new_tensor([factor_x, factor_y]), self.offset)

    @property
    def scale(self) -> float:
        """Pixels per working pixel, geometric mean of both directions."""
        return float(self.matrix.cpu().double().det().abs().clamp(min=1e-12) ** -0.5)

    @property
    def flipped(self) -> bool:
        """True when the picture was mirrored."""
        return bool(self.matrix.det() < 0)

    @property
    def rotation_deg(self) -> float:
        """Counter-clockwise turn of the picture as seen on a screen, after undoing a left-right mirror, (-180, 180]."""
        matrix = self.matrix.cpu().double()
        if self.flipped:  # undo the mirror in the carrier's plane
            matrix = torch.tensor([[-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64) @ matrix
        return math.degrees(math.atan2(float(matrix[0, 1] - matrix[1, 0]), float(matrix[0, 0] + matrix[1, 1]))) * -1.0
