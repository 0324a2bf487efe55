"""Which registered pictures look like one, by fingerprint: where its mark is gone, and beside it. This leads to a
record, and says of no picture that it is one: ``looks like``, never ``verified``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payload.registry.entry import Entry
from payload.registry.pdq import WITHIN
from wam.errors import OptionsError
from wam.pipeline.registered_words import RegisteredWords
from wam.provenance.fingerprint import TURNS, installed, turned_fingerprints

USUAL_COUNT = 5  # pictures that are listed, unless another number is asked for
MOST = 100
# Of 2,137,278 pairs of 2,068 different photos none was within 31 bits upright, and 4 were turned or mirrored, each one
# picture twice (scripts/fingerprints.py pairs): what none of so many bears out with 95%, for one registered picture.
FALSE_MATCH = 1.4e-6
TOO_LITTLE = "the picture shows too little for a fingerprint"
MISSING = 'expected the package pdqhash, found none; run pip install pdqhash, or "wam-toolkit[fingerprint]"'


@dataclass(frozen=True)
class Wanted:
    """What is looked for: the ``fingerprints`` of a picture, one for each of ``TURNS``, none where it shows too little;
    ``most`` pictures that are listed."""

    fingerprints: tuple[int, ...]
    most: int


@dataclass(frozen=True)
class Lookalike:
    """A registered picture that looks alike: ``distance`` in bits, 0 to 30; ``turned``: what was done to it, as
    ``TURNS`` says, empty for nothing; the name of its ``registry``."""

    entry: Entry
    distance: int
    turned: str
    registry: str


@dataclass(frozen=True)
class Similar:
    """The nearest registered pictures, the nearest first; ``among`` so many fingerprints; the ``reason`` why none was
    looked for, None where it was."""

    pictures: tuple[Lookalike, ...] = ()
    among: int = 0
    reason: str | None = None

    @property
    def false_match(self) -> float:
        """The chance that an unrelated picture has one listed, at most, as far as that was tested."""
        return min(1.0, FALSE_MATCH * self.among)


def check_count(most: int) -> int:
    """Refuses a number of pictures that makes no sense; 0 is none."""
    if not 0 <= most <= MOST:
        raise OptionsError(f"similar: expected 1 to {MOST} pictures, found {most}; take another number")
    if most and not installed():
        raise OptionsError(f"similar: {MISSING}")
    return most


def wanted(pixels: NDArray[np.uint8], most: int) -> Wanted | None:
    """What is looked for of (H, W, 3) uint8 RGB; None for 0 pictures."""
    return Wanted(turned_fingerprints(pixels), most) if most else None


def similar_to(asked: Wanted, words: RegisteredWords) -> Similar:
    """What registries have that looks alike; raises ``PayloadError`` where one does not answer."""
    if not asked.fingerprints:
        return Similar(reason=TOO_LITTLE)
    found: list[Lookalike] = []
    for registry in words.registries:
        near = registry.similar(asked.fingerprints, most=asked.most, within=WITHIN)
        found += [Lookalike(one.entry, one.bits, TURNS[one.place], registry.name) for one in near]
    found.sort(key=lambda one: one.distance)  # registries in their order, where they are as near
    among = max(words.fingerprints, len(found))  # some may have come since they were counted
    return Similar(tuple(found[: asked.most]), among)
