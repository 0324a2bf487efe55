"""From names to attacks and back.

>>> parse("jpeg=80,crop=0.5")
jpeg=80,crop=0.5
"""

from __future__ import annotations

from importlib.util import find_spec

from attacks import borrowed, compression, denoising, geometric, reproduction, splicing, valuemetric
from attacks.base import Attack, NamedAttack, UnknownAttackError
from attacks.combined import CHAINS, Chain

KINDS = {
    **valuemetric.TABLE,
    **compression.TABLE,
    **denoising.TABLE,
    **geometric.TABLE,
    **reproduction.TABLE,
    **splicing.TABLE,
    **borrowed.TABLE,
}
_NEEDS = {**compression.NEEDS, **denoising.NEEDS, **borrowed.NEEDS}


def names() -> tuple[str, ...]:
    """All names that ``make`` and ``parse`` know."""
    return (*KINDS, *CHAINS)


def lacks(name: str) -> str | None:
    """The module that an attack needs and that is not installed; None where nothing is missing.

    >>> lacks("jpeg") is None
    True
    """
    return next((module for module in _NEEDS.get(name, ()) if find_spec(module) is None), None)


def make(name: str, strength: float | None = None) -> Attack:
    """Make an attack at a strength of the protocol; ``None`` where there is a default or none."""
    if name in CHAINS:
        if strength is not None:
            raise ValueError(f"{name}: expected no strength, found {strength:g}; leave it out")
        return CHAINS[name]
    if name not in KINDS:
        raise UnknownAttackError(f"expected an attack, found {name!r}; known: {', '.join(names())}")
    return NamedAttack(name, strength, KINDS[name])


def parse(text: str) -> Attack:
    """Read an attack, ``name`` or ``name=strength``, or several with commas between, applied in order.

    >>> parse("resize=0.5").group
    'geometric'
    """
    steps = tuple(_parse_one(part.strip()) for part in text.split(","))
    return steps[0] if len(steps) == 1 else Chain(steps)


def _parse_one(text: str) -> Attack:
    name, equals, number = text.partition("=")
    if not equals:
        return make(name)
    try:
        strength = float(number)
    except ValueError as error:
        raise ValueError(f"{name}: expected a number, found {number!r}; write {name}=NUMBER") from error
    return make(name, strength)
