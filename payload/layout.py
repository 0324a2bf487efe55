"""The bit layouts of link words, record marks and record frames: tables that code, tests and docs/payload.md share.

Bit 0 is the first character of a bit string and the most significant bit of the word. A link word
is an extended BCH code word laid out as ``LINK_LAYOUT``, XOR ``LINK_MASK``; a record mark is laid out
as ``MARK_LAYOUT``, XOR ``MARK_MASK``. Words hold no version field, so another layout of them needs
another carrier, not another reading of these bits. A record frame, which is spread over several
marks, is laid out as ``FRAME_LAYOUT`` and begins with its version.
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
    Field("check", 10, "remainder of id * x^10 divided by bch.GENERATOR"),
    Field("parity", 1, "makes the number of ones of the 32 bits even"),
)
ID_BITS = LINK_LAYOUT[0].bits
REDUNDANT_BITS = sum(field.bits for field in LINK_LAYOUT[1:])
WORD_BITS = ID_BITS + REDUNDANT_BITS
ID_COUNT = 1 << ID_BITS

# Bytes 4 to 7 of SHA-256("wam link word"), big-endian. It moves the code away from the words that a failing extractor
# tends to read: all zeros, all ones, every repetition of two or four bits, and runs of 8 or 16 zeros and ones in turn
# are three bits or more from any link word, so they are refused.
LINK_MASK = 0x7A1BD0FD

# A mark of a record. Marks of one tag are six bits apart, like link words; of different tags, four. The tag (5 bits of
# SHA-256 of the frame) names the record, so that marks of different records in one picture are told apart.
MARK_LAYOUT = (
    Field("data", 16, "two symbols of the Reed-Solomon code word of the frame"),
    Field("index", 5, "which mark of the record this is, from 0"),
    Field("check", 10, "remainder of (data, index) * x^10 divided by bch.GENERATOR, XOR tag * (x^5 + x^2 + 1)"),
    Field("parity", 1, "makes the number of ones of the 32 bits even"),
)

SYMBOL_BITS = 8
MARK_SYMBOLS = MARK_LAYOUT[0].bits // SYMBOL_BITS
INDEX_BITS = MARK_LAYOUT[1].bits
MOST_MARKS = 1 << INDEX_BITS
TAG_BITS = 5
TAG_COUNT = 1 << TAG_BITS
# x^5 + x^2 + 1, a factor of ``bch.GENERATOR``: with any tag, words are of the extended Hamming code [32, 26, 4].
TAG_FACTOR = 0b10_0101

# The first four bytes of SHA-256("wam record mark 1"), big-endian. Every mark, whatever its tag, differs in two bits at
# least from every link word.
MARK_MASK = 0x0B3F1DCF

FRAME_VERSION = 1
# A frame; fields of 0 bits have the length of their contents. Texts: see ``text_packing.CLASSES``.
FRAME_LAYOUT = (
    Field("version", 4, "1; another one is unreadable, and said to be"),
    Field("protection", 2, "0 checksum, 1 keyed (HMAC), 2 keyed and encrypted, 3 unused"),
    Field("has user", 1, "1 if a user follows the owner"),
    Field("has hash", 1, "1 if a picture hash follows the texts"),
    Field("ingested at", 32, "seconds after 2000-01-01T00:00:00Z"),
    Field("asset", 0, "text: class (4), length - 1 in groups of 5 (the first bit of a group: more follow), symbols"),
    Field("owner", 0, "text"),
    Field("user", 0, "text, if there is one"),
    Field("hash", 32, "the 32 lowest frequencies of the picture hash, if there is one"),
    Field("padding", 0, "zeros up to a whole number of marks"),
    Field("seal", 32, "SHA-256 or HMAC-SHA-256 of everything before, cut to its first 32 bits"),
)

HEADER_BITS = sum(field.bits for field in FRAME_LAYOUT[:4])
SEAL_BITS = FRAME_LAYOUT[-1].bits
SEAL_BYTES = SEAL_BITS // 8
TIME_BITS = FRAME_LAYOUT[4].bits
FRAME_HASH_BITS = FRAME_LAYOUT[8].bits  # of the picture's hash in a frame, see ``phash.shorten``
LEAST_DATA_MARKS = 7  # the shortest frame: time, asset and owner of one digit each


def data_marks(marks: int) -> int:
    """How many marks of a record are enough to read it: any third, rounded up, may be lost.

    >>> [data_marks(n) for n in (9, 12, 32)]
    [6, 8, 21]
    """
    return marks - -(-marks // 3)


def marks_for(data: int) -> int:
    """The fewest marks of which a third may be lost and so many are left, the inverse of ``data_marks``.

    >>> [marks_for(k) for k in (6, 8, 21)]
    [9, 12, 32]
    """
    return -(-3 * data // 2)


MOST_DATA_MARKS = data_marks(MOST_MARKS)


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
