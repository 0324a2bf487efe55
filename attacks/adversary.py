"""What an adversary does who has more than one picture's pixels, and what they have: beside the plain attacks.

A plain attack is a function of one picture. These also use what the toolkit makes public or what can be collected:
other pictures with the same mark, the extractor's network, the answers of a detector. Whoever runs them provides these
as ``Means``; an attack names those that it ``needs``, so that a method which lacks them can be left out.

>>> parse_adversary("fold=40").aim
'remove'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from attacks import aligning, folding, gradient, oracle
from attacks.base import Strength, UnknownAttackError
from attacks.means import Means, Outcome

Aim = Literal["remove", "forge"]
Need = Literal["lattice", "others", "extractor", "detector", "embedder", "original"]


Function = Callable[[Tensor, Means, float], Outcome]  # of a marked picture of 8-bit values, with a strength


@dataclass(frozen=True)
class AdversaryKind:
    """What a name stands for. ``aim``: to remove the mark, or to forge it onto a picture without one."""

    aim: Aim
    function: Function
    needs: frozenset[Need]
    strength: Strength | None = None


@dataclass(frozen=True, repr=False)
class Adversary:
    """One attack of ``ADVERSARIES`` at one strength; ``parse_adversary`` turns its ``repr`` back into the same."""

    name: str
    strength: float | None = None
    kind: AdversaryKind = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.name not in ADVERSARIES:
            raise UnknownAttackError(f"expected an adversary, found {self.name!r}; known: {', '.join(ADVERSARIES)}")
        kind = ADVERSARIES[self.name]
        object.__setattr__(self, "kind", kind)
        if kind.strength is not None:
            object.__setattr__(self, "strength", kind.strength.check(self.name, self.strength))
        elif self.strength is not None:
            raise ValueError(f"{self.name}: expected no strength, found {self.strength:g}; leave it out")

    @property
    def aim(self) -> Aim:
        return self.kind.aim

    @property
    def needs(self) -> frozenset[Need]:
        return self.kind.needs

    def attack(self, marked: Tensor, means: Means) -> Outcome:
        """Attack a marked picture (1, 3, H, W) of 8-bit values in [0, 1]: the same means, the same result."""
        return self.kind.function(marked, means, self.strength or 0.0)

    def __repr__(self) -> str:
        return self.name if self.strength is None else f"{self.name}={self.strength:g}"


def parse_adversary(text: str) -> Adversary:
    """Read ``name`` or ``name=strength``."""
    name, equals, number = text.strip().partition("=")
    if not equals:
        return Adversary(name)
    try:
        strength = float(number)
    except ValueError as error:
        raise ValueError(f"{name}: expected a number, found {number!r}; write {name}=NUMBER") from error
    return Adversary(name, strength)


def adversary_names() -> tuple[str, ...]:
    """All names that ``parse_adversary`` knows."""
    return tuple(ADVERSARIES)


def _overmark(marked: Tensor, means: Means, strength: float) -> Outcome:
    """Marked once more, with another key and message, at the usual strength."""
    return Outcome(means.mark(marked), marked)


def _transfer(marked: Tensor, means: Means, strength: float) -> Outcome:
    """The exact residual added to another picture: what somebody can do who has the picture before and after.

    Of pictures of two sizes, what both cover from the top left: the mark lies there as in a whole picture of the
    short side that both have.
    """
    target = means.target()
    height, width = (min(sides) for sides in zip(marked.shape[-2:], target.shape[-2:], strict=True))
    target = target[..., :height, :width]
    residual = (marked - means.original())[..., :height, :width]
    return Outcome(folding.to_8_bits(target + residual), target)


_DB = Strength(20, 60, default=40)  # PSNR of the result against what was attacked
_QUERIES = Strength(5, 10000, whole=True, default=40)


def _fold(count: int) -> Function:
    def function(marked: Tensor, means: Means, strength: float) -> Outcome:
        return folding.subtract(marked, means, strength, others=count - 1)

    return function


def _fold_fitted(marked: Tensor, means: Means, strength: float) -> Outcome:
    """As much of the fold as is there in each place, whatever that costs."""
    return folding.subtract_fitted(marked, means)


def _copy(count: int) -> Function:
    def function(marked: Tensor, means: Means, strength: float) -> Outcome:
        return folding.copy(marked, means, strength, others=count - 1)

    return function


def _kind(aim: Aim, function: Function, *needs: Need, strength: Strength | None = None) -> AdversaryKind:
    return AdversaryKind(aim, function, frozenset(needs), strength)


ADVERSARIES: Mapping[str, AdversaryKind] = {
    "fold": _kind("remove", _fold(1), "lattice", strength=_DB),
    "fold_10": _kind("remove", _fold(10), "lattice", "others", strength=_DB),
    "fold_100": _kind("remove", _fold(100), "lattice", "others", strength=_DB),
    "fold_fitted": _kind("remove", _fold_fitted, "lattice"),
    "fold_aligned": _kind("remove", aligning.subtract, "lattice", "extractor", strength=_DB),
    "copy": _kind("forge", _copy(1), "lattice", strength=_DB),
    "copy_10": _kind("forge", _copy(10), "lattice", "others", strength=_DB),
    "copy_100": _kind("forge", _copy(100), "lattice", "others", strength=_DB),
    "copy_aligned": _kind("forge", aligning.copy, "lattice", "extractor", strength=_DB),
    "transfer": _kind("forge", _transfer, "original"),
    "gradient": _kind("remove", gradient.against_estimate, "lattice", "extractor", strength=_DB),
    "gradient_fitted": _kind("remove", gradient.to_nothing, "lattice", "extractor", strength=_DB),
    "overmark": _kind("remove", _overmark, "embedder"),
    "oracle": _kind("remove", oracle.along_fold, "lattice", "detector", strength=_QUERIES),
    "oracle_blur": _kind("remove", oracle.along_blur, "detector", strength=_QUERIES),
}
