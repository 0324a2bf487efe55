"""What an adversary may have beside the picture, and what they get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Outcome:
    """``image`` (1, 3, H, W), 8-bit values in [0, 1], and what it was made of, for the price that was paid;
    ``queries`` that a detector was asked."""

    image: Tensor
    reference: Tensor
    queries: int = 0


class Means(Protocol):
    """What is at hand; pictures are (1, 3, H, W), 8-bit values in [0, 1].

    ``tile``: period of the pattern in working pixels; ``band``: its lowest and highest frequency, in cycles per tile.
    Both are published.
    """

    tile: int
    band: tuple[float, float]

    def steps(self, height: int, width: int) -> tuple[float, float]:
        """Working pixels for one pixel of a whole marked picture of this size, down and across."""
        ...

    def others(self, count: int) -> Iterator[Tensor]:
        """So many other whole pictures that carry the same mark: key and message."""
        ...

    def original(self) -> Tensor:
        """The attacked picture before it was marked."""
        ...

    def target(self) -> Tensor:
        """A picture without a mark, to forge one onto."""
        ...

    def estimate(self, image: Tensor) -> Tensor:
        """What the published extractor makes of a picture, (1, 1, h, w) at working resolution; differentiable."""
        ...

    def is_marked(self, image: Tensor) -> bool:
        """What a detector answers: whether the picture still carries its mark."""
        ...

    def mark(self, image: Tensor) -> Tensor:
        """The picture with one more mark, of another key and message."""
        ...
