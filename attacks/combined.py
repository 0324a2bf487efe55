"""Attacks in sequence, among them those that the protocol knows by a name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from attacks import compression, geometric, reproduction, valuemetric
from attacks.base import Attack, Batch, NamedAttack, Params


@dataclass(frozen=True, repr=False)
class Chain(Attack):
    """Apply ``steps`` in order; ``name`` is set for those that the registry knows by one.

    Originals go through the same steps, with the same parameters, while a later step needs them.
    """

    steps: tuple[Attack, ...]
    name: str = ""
    strength: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("expected at least one attack to chain, found none; use identity")

    @property
    def group(self) -> str:
        return "combined"

    @property
    def uses_originals(self) -> bool:
        return any(step.uses_originals for step in self.steps)

    def applies(self, name: str) -> bool:
        return name == self.name != "" or any(step.applies(name) for step in self.steps)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Params:
        """Draw for all steps; the names carry the number of the step, as in "2.top"."""
        drawn = [step.sample(count, generator) for step in self.steps]
        return {f"{i}.{name}": values for i, params in enumerate(drawn) for name, values in params.items()}

    def run(self, batch: Batch, params: Params) -> Batch:
        for number, step in enumerate(self.steps):
            prefix = f"{number}."
            drawn = {name.removeprefix(prefix): values for name, values in params.items() if name.startswith(prefix)}
            originals = batch.originals
            later = any(other.uses_originals for other in self.steps[number + 1 :])
            if originals is not None and later:
                unmarked = replace(batch, images=originals, masks=None)
                originals = step.run(unmarked, drawn).images
            after = step.run(batch, drawn)
            batch = replace(after, originals=originals if later else None)
        return batch

    def __repr__(self) -> str:
        return self.name or ",".join(repr(step) for step in self.steps)


_KINDS = {**valuemetric.TABLE, **compression.TABLE, **geometric.TABLE, **reproduction.TABLE}


def _chain(name: str, *steps: tuple[str, float | None]) -> Chain:
    return Chain(tuple(NamedAttack(step, strength, _KINDS[step]) for step, strength in steps), name)


CHAINS: dict[str, Chain] = {
    chain.name: chain
    for chain in (
        # the WAM paper's combination, a photo on a page of the screen, and an upload to a network
        _chain("combination", ("jpeg", 80), ("brightness", 1.5), ("crop", 0.5)),
        _chain("screenshot", ("resize", 0.75), ("pad", 0.25), ("jpeg", 80)),
        _chain("social", ("fit", 1080), ("jpeg", 70)),
        # sizes and qualities that users of such services report; no service publishes its own
        _chain("whatsapp", ("fit", 1600), ("jpeg", 75)),
        _chain("whatsapp_forwarded", ("fit", 1600), ("jpeg", 75), ("fit", 1280), ("jpeg", 60)),
        _chain("wechat", ("fit", 1080), ("jpeg", 60), ("jpeg", 55)),
        _chain("instagram", ("fit", 1350), ("jpeg", 75)),
        _chain("x_small", ("fit", 680), ("webp", 75)),
        _chain("cdn", ("thumbnail", 320), ("webp", 75)),
        # a screenshot of a page enlarged to 125 and 150%, cut and saved
        _chain("screenshot_125", ("resize", 1.25), ("crop_keep", 0.8), ("jpeg", 85)),
        _chain("screenshot_150", ("resize", 1.5), ("crop_keep", 0.8), ("jpeg", 85)),
        # a phone before a screen; a page printed with 133 lines an inch and scanned at 300 pixels an inch
        _chain(
            "phone_photo",
            ("subpixels", None),
            ("perspective", 0.1),
            ("resize", 0.45),
            ("gaussian_blur", 3),
            ("gamma", 1.15),
            ("gaussian_noise", 0.02),
            ("jpeg", 85),
        ),
        _chain(
            "print_scan",
            ("contrast", 0.85),
            ("halftone", 2.26),
            ("gaussian_blur", 3),
            ("rotate", 1),
            ("gaussian_noise", 0.01),
            ("jpeg", 85),
        ),
        _chain("newspaper", ("grayscale", None), ("halftone", 3.5), ("gaussian_blur", 3), ("jpeg", 80)),
    )
}
