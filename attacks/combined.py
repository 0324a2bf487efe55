"""Attacks in sequence, among them those that the protocol knows by a name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from attacks import compression, geometric, valuemetric
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


_KINDS = {**valuemetric.TABLE, **compression.TABLE, **geometric.TABLE}


def _chain(name: str, **strengths: float) -> Chain:
    steps = tuple(NamedAttack(step, strength, _KINDS[step]) for step, strength in strengths.items())
    return Chain(steps, name)


# The WAM paper's combination, a photo on a page of the screen, and an upload to a network.
CHAINS: dict[str, Chain] = {
    chain.name: chain
    for chain in (
        _chain("combination", jpeg=80, brightness=1.5, crop=0.5),
        _chain("screenshot", resize=0.75, pad=0.25, jpeg=80),
        _chain("social", fit=1080, jpeg=70),
    )
}
