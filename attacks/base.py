"""What all attacks share: parameters, results, legal strengths and how an attack is called.

Drawing is apart from applying: ``sample`` draws uniform numbers in [0, 1), which mean the same at
every image size and on every device; ``apply`` is a pure function of images and parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


class UnknownAttackError(ValueError):
    """A name that stands for no attack, suite or scene; the text lists those that do."""


Params = dict[str, Tensor]  # random parameters by name, (B, ...) float64 on the CPU; slice along B for one image


@dataclass(frozen=True)
class AttackResult:
    """Attacked images (B, 3, H', W') in [0, 1], and their masks (B, K, H', W') if any."""

    images: Tensor
    masks: Tensor | None


@dataclass(frozen=True)
class Batch:
    """What an attack may look at; ``originals`` are ``images`` without marks, pixel by pixel."""

    images: Tensor
    masks: Tensor | None = None
    originals: Tensor | None = None
    backgrounds: Tensor | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if len(shape) != 4 or shape[1] != 3 or not self.images.is_floating_point():
            raise ValueError(
                f"expected images (B, 3, H, W) float in [0, 1], found {shape} {self.images.dtype}; convert them first"
            )
        count, _, *size = shape
        others = {
            "masks": (self.masks, (count, None, *size)),
            "originals": (self.originals, shape),
            "backgrounds": (self.backgrounds, (count, 3, None, None)),
        }
        for name, (tensor, expected) in others.items():
            if tensor is not None:
                _check_shape(name, tensor, expected)


def _check_shape(name: str, tensor: Tensor, expected: tuple[int | None, ...]) -> None:
    found = tuple(tensor.shape)
    fits = len(found) == 4 and all(wanted in (None, side) for wanted, side in zip(expected, found, strict=True))
    if not fits or not tensor.is_floating_point():
        sides = ", ".join("any" if side is None else str(side) for side in expected)
        raise ValueError(
            f"expected {name} ({sides}) float to go with the images, "
            f"found {found} {tensor.dtype}; resize or convert them"
        )


class Attack(ABC):
    """A change to a batch of images; ``parse`` turns its ``repr`` back into the same attack.

    ``name`` as in the registry, "" for a chain that has none there; ``strength`` the number after it, None where there
    is none.
    """

    name: str
    strength: float | None

    @property
    @abstractmethod
    def group(self) -> str:
        """The group of the protocol: none, valuemetric, geometric, splicing or combined."""

    @property
    @abstractmethod
    def uses_originals(self) -> bool:
        """Whether the attack looks at the unmarked originals."""

    @abstractmethod
    def applies(self, name: str) -> bool:
        """Whether the attack of this name is this one or a step of it."""

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator | None = None) -> Params:
        """Draw the parameters for ``count`` images; without a generator, from torch's global one."""

    @abstractmethod
    def run(self, batch: Batch, params: Params) -> Batch:
        """Change images and masks; the inner step of ``apply``, for attacks made of attacks."""

    def apply(
        self,
        images: Tensor,
        params: Params,
        masks: Tensor | None = None,
        *,
        originals: Tensor | None = None,
        backgrounds: Tensor | None = None,
    ) -> AttackResult:
        """Attack images (B, 3, H, W) float in [0, 1], RGB: the same parameters, the same result.

        Masks (B, K, H, W) follow the pixels, by nearest neighbour: binary in, binary out, 0 where
        nothing of the images is left. ``originals`` are the images without marks, ``backgrounds``
        foreign photos (B, 3, any, any).
        """
        for name, values in params.items():
            if len(values) != len(images):
                raise ValueError(f"expected {len(images)} values of {name!r}, found {len(values)}; sample again")
        after = self.run(Batch(images, masks, originals, backgrounds), params)
        return AttackResult(after.images, after.masks)

    def __call__(
        self,
        images: Tensor,
        masks: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        seed: int | None = None,
        originals: Tensor | None = None,
        backgrounds: Tensor | None = None,
    ) -> AttackResult:
        """Draw parameters, from ``generator`` or a new one started at ``seed``, and ``apply`` them."""
        if seed is not None:
            if generator is not None:
                raise ValueError("expected a generator or a seed, found both; give one")
            generator = torch.Generator().manual_seed(seed)
        params = self.sample(len(images), generator)
        return self.apply(images, params, masks, originals=originals, backgrounds=backgrounds)


@dataclass(frozen=True)
class Strength:
    """The strengths an attack accepts, from ``low`` to ``high``, and the one meant if none is given."""

    low: float
    high: float
    whole: bool = False
    odd: bool = False
    default: float | None = None

    def check(self, name: str, value: float | None) -> float:
        """Give the strength to use, or say which ones are legal."""
        value = self.default if value is None else value
        kind = "an odd number" if self.odd else "a whole number" if self.whole else "a number"
        example = f"{name}={self.high:g}"
        expected = f"{name}: expected {kind} from {self.low:g} to {self.high:g}, as in {example}"
        if value is None:
            raise ValueError(f"{expected}; found none")
        fits = self.low <= value <= self.high
        if not fits or (self.whole and value % 1 != 0) or (self.odd and value % 2 != 1):
            raise ValueError(f"{expected}; found {value:g}")
        return float(value)


@dataclass(frozen=True)
class Kind(ABC):
    """What a name stands for: a function, its strengths, and the shapes of what it draws."""

    group: str
    function: Callable[..., Any]
    strength: Strength | None = None
    draws: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    uses_originals: bool = False

    @abstractmethod
    def run(self, batch: Batch, strength: tuple[float, ...], params: Params) -> Batch:
        """Call the function on what it changes; ``strength`` holds one number or none."""


class PixelKind(Kind):
    """``function(images, [strength], **params) -> images``: no pixel moves, the masks stay."""

    def run(self, batch: Batch, strength: tuple[float, ...], params: Params) -> Batch:
        return replace(batch, images=self.function(batch.images, *strength, **params))


@dataclass(frozen=True, repr=False)
class NamedAttack(Attack):
    """One attack of the registry at one strength, ``None`` where the kind has no strength."""

    name: str
    strength: float | None
    kind: Kind = field(compare=False)

    def __post_init__(self) -> None:
        if self.kind.strength is not None:
            object.__setattr__(self, "strength", self.kind.strength.check(self.name, self.strength))
        elif self.strength is not None:
            raise ValueError(f"{self.name}: expected no strength, found {self.strength:g}; leave it out")

    @property
    def group(self) -> str:
        return self.kind.group

    @property
    def uses_originals(self) -> bool:
        return self.kind.uses_originals

    def applies(self, name: str) -> bool:
        return name == self.name

    def sample(self, count: int, generator: torch.Generator | None = None) -> Params:
        device = "cpu" if generator is None else generator.device
        return {
            name: torch.rand((count, *shape), generator=generator, device=device, dtype=torch.float64).cpu()
            for name, shape in self.kind.draws.items()
        }

    def run(self, batch: Batch, params: Params) -> Batch:
        missing = self.kind.draws.keys() ^ params.keys()
        if missing:
            raise ValueError(f"{self.name}: parameters missing or not known: {sorted(missing)}; use sample()")
        return self.kind.run(batch, () if self.strength is None else (self.strength,), params)

    def __repr__(self) -> str:
        if self.strength is None:
            return self.name
        return f"{self.name}={int(self.strength) if self.strength % 1 == 0 else self.strength}"


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, changed: Tensor) -> Tensor:
        return changed.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def straight_through(images: Tensor, changed: Tensor) -> Tensor:
    """Give ``changed`` exactly, and pass its gradient on to ``images`` as if nothing had changed."""
    result: Tensor = _StraightThrough.apply(images, changed.detach())
    return result
