"""The words the bench embeds: those of a registry with a fixed number of records, drawn from the seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from attacks.recipes import MOST
from payload import bits_from_word
from payload.codes.id_permutation import SECRET_BYTES
from payload.layout import Words
from payload.registry.entry import word_of

RECORDS = 1000  # in the registry; a chance match is counted against all of them


def seed_of(*parts: object) -> int:
    """A seed in [0, 2^63) that depends on all parts and on nothing else, so that rows can run in any order."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class WordBook:
    """``own``: words in use; ``foreign``: those of a registry with another secret. Both (RECORDS,) uint32."""

    own: Words
    foreign: Words

    @classmethod
    def of(cls, seed: int) -> WordBook:
        """The same words for the same seed."""
        return cls(_words(f"bench {seed} own"), _words(f"bench {seed} foreign"))

    def word(self, photo: int, mark: int = 0) -> int:
        """The word of one mark of one photo; different within any 100 photos in a row."""
        return int(self.own[(photo * MOST + mark) % RECORDS])

    def bits(self, photo: int, mark: int = 0) -> str:
        """The same as 32 characters."""
        return bits_from_word(self.word(photo, mark))


def _words(label: str) -> Words:
    secret = hashlib.sha256(label.encode()).digest()[:SECRET_BYTES]
    return np.array([word_of(secret, serial) for serial in range(RECORDS)], dtype=np.uint32)
