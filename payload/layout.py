"""The layout of a 32-bit link word: one table that code, tests and documents share.

Bit 0 is the first character of a bit string and the most significant bit of the word. A word is an
extended BCH code word laid out as below, XOR `LINK_MASK`. This is version 1; the word holds no
version field, so another layout needs another carrier, not another reading of these bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Field:
    """A run of neighbouring bits of a word."""

    name: str
    bits: int
    meaning: str


LINK_LAYOUT_VERSION = 1
LINK_LAYOUT = (
    Field("id", 21, "allocated number, spread over its range by a keyed permutation"),
    Field("check", 10, "remainder of id * x^10 divided by ecc.GENERATOR"),
    Field("parity", 1, "makes the number of ones of the 32 bits even"),
)
ID_BITS = LINK_LAYOUT[0].bits
REDUNDANT_BITS = sum(field.bits for field in LINK_LAYOUT[1:])
WORD_BITS = ID_BITS + REDUNDANT_BITS
ID_COUNT = 1 << ID_BITS

LINK_MASK = 0x7A1BD0FD
"""Bytes 4 to 7 of SHA-256("wam link word"), big-endian. It moves the code away from the words that
a failing extractor tends to read: all zeros, all ones, every repetition of two or four bits, and
runs of 8 or 16 zeros and ones in turn are three bits or more from any link word, so they are
refused."""


def bits_from_word(word: int) -> str:
    """Write a word as 32 characters, most significant bit first.

    >>> bits_from_word(0x7A1BD0FD)
    '01111010000110111101000011111101'
    """
    if not 0 <= word < 1 << WORD_BITS:
        raise ValueError(f"expected a word of {WORD_BITS} bits, found {word}; pass 0 to 2^32 - 1")
    return f"{int(word):0{WORD_BITS}b}"


def word_from_bits(bits: str) -> int:
    """Read 32 characters "0" or "1" as a word, most significant bit first."""
    if len(bits) != WORD_BITS or not set(bits) <= {"0", "1"}:
        raise ValueError(
            f"expected {WORD_BITS} characters 0 or 1, found {bits!r}; pass the bit string as wam prints it"
        )
    return int(bits, 2)
