"""What is read in one row, with its truth."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from attacks import Aim


@dataclass(frozen=True, eq=False)
class View:
    """What is read in one row: ``image`` (1, 3, h, w) float in [0, 1], 8-bit values; ``truths`` (n, h, w) bool and
    ``words`` of its n marks; ``other_key``: it is to be read with another key."""

    image: Tensor
    truths: Tensor
    words: tuple[int, ...]
    other_key: bool = False
    price: Price | None = None


@dataclass(frozen=True, eq=False)
class Price:
    """What an adversary paid. ``aim`` "remove" or "forge"; ``reference`` (1, 3, h, w) that the result is to look like,
    None where pixels have moved and nothing can be compared; ``queries`` of a detector; ``seconds``."""

    aim: Aim
    reference: Tensor | None
    queries: int
    seconds: float
