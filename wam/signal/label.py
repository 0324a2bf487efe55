"""Labels: whose marks they are and of which generation, said by the phases of half of the carrier's frequencies.

Words of 32 bits are few, and every registry gives out the same ones. A label turns the phases of half of the pilot and
of half of each bit's frequencies, so that a mark is read under its own label only: two registries, or two generations
of one, may give out the same word. The other half is public: lattice, turn and shift are found by it whatever the
label, and the word can be read from it, 3 dB less surely, by those who do not know the label.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

NAMESPACE_BITS = 64
MOST_GENERATIONS = 1 << 32
FOREIGN = -1  # in the place of a label's number: a mark of none that the reader knows, read by the public half


@dataclass(frozen=True, order=True)
class Label:
    """``namespace``: a registry's own number of 64 bits; ``generation`` of its words, from 0."""

    namespace: int
    generation: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.namespace < 1 << NAMESPACE_BITS:
            raise ValueError(f"label: expected a namespace of 1 to 64 bits, found {self.namespace}; draw one at random")
        if not 0 <= self.generation < MOST_GENERATIONS:
            raise ValueError(f"label: expected a generation of 32 bits, found {self.generation}; change it")

    def seed(self, key: bytes) -> int:
        """What the phases are drawn from, another for every key."""
        text = self.namespace.to_bytes(8, "big") + self.generation.to_bytes(4, "big")
        secret = hashlib.blake2b(key, digest_size=32).digest()
        drawn = hashlib.blake2b(text, digest_size=16, key=secret, person=b"wam-label")
        return int.from_bytes(drawn.digest(), "big")
