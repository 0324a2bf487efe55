"""Parts: a rectangle of a view, as it is or enlarged, and the way back for what is found in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

from wam.detection.homography import Bend
from wam.detection.localization import OUTSIDE
from wam.detection.sliding_windows import Box, cut, widened
from wam.signal.filters import resize
from wam.signal.pose import Pose


@dataclass(frozen=True)
class Part:
    """``box`` of a view with sides ``size`` (height, width) in pixels, shown ``scale`` times as large."""

    box: Box
    size: tuple[int, int]
    scale: float = 1.0

    @classmethod
    def around(cls, window: Box, by: int, size: tuple[int, int], *, scale: float = 1.0) -> Part:
        """A window with so many pixels on each side, as far as the view goes."""
        return cls(widened(window, by, size), size, scale)

    def holds(self, box: Box) -> bool:
        """Whether another rectangle of the view is all in the part."""
        return self.box[0] <= box[0] and self.box[1] <= box[1] and self.box[2] >= box[2] and self.box[3] >= box[3]

    def goes_on(self, mask: Tensor, border: int) -> bool:
        """Whether a mask (H, W) bool of the part comes within ``border`` pixels of a side that is none of the view."""
        near = mask.new_zeros(mask.shape)
        height, width = mask.shape
        top, left, bottom, right = self.box
        if top > 0:
            near[:border] = True
        if left > 0:
            near[:, :border] = True
        if bottom < self.size[0]:
            near[max(0, height - border) :] = True
        if right < self.size[1]:
            near[:, max(0, width - border) :] = True
        return bool((mask & near).any())

    @property
    def shown(self) -> tuple[int, int]:
        """Height and width in its own pixels."""
        top, left, bottom, right = self.box
        return round((bottom - top) * self.scale), round((right - left) * self.scale)

    def cut(self, maps: Tensor) -> Tensor:
        """The part of maps (B, C, H, W) of the view."""
        return resize(cut(maps, self.box), self.shown)

    def pose_inside(self, pose: Pose) -> Pose:
        """A pose of the view, as one of the part."""
        moved = replace(pose, offset=pose.offset + pose.matrix @ self._corner(pose.offset))
        factor_y, factor_x = self._factors()
        return moved.rescaled(factor_x, factor_y)

    def pose_in_view(self, pose: Pose) -> Pose:
        """A pose of the part, as one of the view."""
        factor_y, factor_x = self._factors()
        scaled = pose.rescaled(1 / factor_x, 1 / factor_y)
        return replace(scaled, offset=scaled.offset - scaled.matrix @ self._corner(pose.offset))

    def bend_in_view(self, bend: Bend) -> Bend:
        """A bend of the part, as one of the view."""
        factors = bend.centre.new_tensor(self._factors()[::-1])
        return Bend(bend.centre / factors + self._corner(bend.centre), bend.tilt * factors, bend.nearest)

    def logits_in_view(self, logits: Tensor) -> Tensor:
        """Mask logits (h, w) of the part, in the view: (H, W); outside the part none is marked."""
        top, left, bottom, right = self.box
        if logits.shape != (bottom - top, right - left):
            logits = F.interpolate(logits[None, None], size=(bottom - top, right - left), mode="bilinear")[0, 0]
        return F.pad(logits, (left, self.size[1] - right, top, self.size[0] - bottom), value=OUTSIDE)

    def _factors(self) -> tuple[float, float]:
        """How many times as high and as wide it is shown, rounding included."""
        top, left, bottom, right = self.box
        return self.shown[0] / (bottom - top), self.shown[1] / (right - left)

    def _corner(self, like: Tensor) -> Tensor:
        """x, y of the upper left one in the view."""
        return like.new_tensor([self.box[1], self.box[0]])
