"""Views: a picture, or a part of it, at one resolution, with what the extractor makes of it; and what is left of it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.detection.config import SearchConfig
from wam.detection.crop import Part
from wam.detection.localization import Ground, flat_energy
from wam.detection.sliding_windows import Box, cut
from wam.networks.extractor import ExtractorOutput
from wam.networks.mask_head import surroundings
from wam.signal.pattern import Carrier


@dataclass(frozen=True)
class View:
    """``image`` (1, 3, H, W) float in [0, 1] and the extractor's ``output`` for it; what it is read with: ``carrier``,
    ``threshold`` (joint score), ``config``, and the mask ``head``, if there is one."""

    image: Tensor
    output: ExtractorOutput
    carrier: Carrier
    threshold: float
    config: SearchConfig
    head: nn.Module | None = None

    @property
    def pattern(self) -> Tensor:
        """The extractor's estimate of the pattern: (H, W)."""
        return self.output.pattern[0, 0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pattern.shape[0], self.pattern.shape[1]

    @property
    def whole(self) -> bool:
        """Whether it is read as a whole, not window by window: memory goes with its sides."""
        own = self.config.level
        return self.pattern.numel() <= own.largest_whole and max(self.size) <= own.longest_whole

    @cached_property
    def ground(self) -> Ground:
        """What is known of it whatever the message, made when it is first asked for: most views have no mark."""
        around = surroundings(self.image, self.output.mask_logits)
        return Ground(flat_energy(self.image, self.config.localization), around, self.head)

    def read_as(self, label: int) -> View:
        """The same, read under one label of its carrier, or by its public half alone."""
        if label == 0:
            return self
        return replace(self, carrier=self.carrier.read_as(label), threshold=self.threshold_of(label))

    def threshold_of(self, label: int) -> float:
        """Joint score from which a region is read under a label: of many, noise reaches the log of their number more
        under the best, which would hide marks if it were read."""
        return self.threshold + (math.log(len(self.carrier.labels)) if label > 0 else 0.0)

    def part(self, place: Part) -> View:
        """A part of it as a view of its own."""
        output = ExtractorOutput(place.cut(self.output.pattern), place.cut(self.output.mask_logits))
        return replace(self, image=place.cut(self.image), output=output)


class Unexplained:
    """Where a view is not explained by what was found: ``map`` (H, W) 0 or 1; ``takes`` counts what was found."""

    def __init__(self, available: Tensor) -> None:
        self.map = available
        self.takes = 0

    def weights(self) -> Tensor | None:
        """The map, None where it is 1 everywhere."""
        return None if bool((self.map == 1).all()) else self.map

    def take(self, mask: Tensor) -> None:
        """Something was found under a mask (H, W) bool."""
        self.map = self.map * ~mask
        self.takes += 1

    def area(self, box: Box | None = None) -> float:
        """Pixels that are left, of a box or of all."""
        return float((self.map if box is None else cut(self.map, box)).sum())

    def areas(self, boxes: Sequence[Box]) -> list[float]:
        """Pixels that are left of each box."""
        whole = [float((bottom - top) * (right - left)) for top, left, bottom, right in boxes]
        if not boxes or bool((self.map == 1).all()):
            return whole
        ones = F.pad(self.map, (1, 0, 1, 0)).to(torch.int32)  # exact, and no device is without it
        sums = ones.cumsum(0, dtype=torch.int32).cumsum(1, dtype=torch.int32)
        top, left, bottom, right = torch.tensor(boxes, device=sums.device).unbind(1)
        areas = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return [float(area) for area in areas.tolist()]


@dataclass
class Tally:
    """What a search did so far. ``tried``: regions that a pose was sought or expected in; ``strongest`` score of these
    poses, before messages are told apart; ``deadline`` of ``time.monotonic`` after which no further look begins."""

    tried: int = 0
    strongest: float = 0.0
    deadline: float = float("inf")
    cut_short: bool = False

    @property
    def over(self) -> bool:
        """Whether the time is over; notes that it was, once it was asked for."""
        self.cut_short = self.cut_short or time.monotonic() > self.deadline
        return self.cut_short
