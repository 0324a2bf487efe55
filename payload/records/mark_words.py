"""The marks of a record: 32-bit words of ``layout.MARK_LAYOUT``, written, and read with soft decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payload.codes import bch
from payload.codes.soft_decoding import MAX_CORRECTED, WeighedBits, weigh
from payload.layout import (
    ID_BITS,
    INDEX_BITS,
    LINK_MASK,
    MARK_MASK,
    MARK_SYMBOLS,
    MOST_MARKS,
    REDUNDANT_BITS,
    SYMBOL_BITS,
    TAG_COUNT,
    TAG_FACTOR,
    Words,
)

# How much worse than the best tag, in steps of ``WeighedBits.weights``, another tag may fit and still be considered:
# two bits of median certainty.
SURPLUS = 128


@dataclass(frozen=True, order=True)
class Mark:
    """What one mark of a record says: its tag, its index, and two Reed-Solomon symbols."""

    tag: int
    index: int
    symbols: tuple[int, int]

    @property
    def word(self) -> int:
        """Give the 32 bits that the picture carries."""
        data = int.from_bytes(bytes(self.symbols), "big")
        return int(encode_marks([data << INDEX_BITS | self.index], self.tag)[0])


@dataclass(frozen=True)
class Hypothesis:
    """One way to read 32 logits as a mark: ``discrepancy`` adds up the weights of the bits it changes, ``corrected``
    counts them.
    """

    mark: Mark
    discrepancy: int
    corrected: int


def encode_marks(contents: npt.ArrayLike, tag: int) -> Words:
    """Turn (data, index) pairs, 21 bits each, into words of one tag."""
    words: Words = bch.encode(contents) ^ _SHIFT[tag]
    return words


def read_mark(logits: npt.ArrayLike) -> list[Hypothesis]:
    """List how 32 logits can be read as a mark: the best reading for each tag that fits about as well as the best tag.

    Chase's second algorithm as in ``soft.decode_soft``, once for each tag. Readings that change more
    than six bits are left out. Best first. That there is a reading proves nothing: every word is
    within two bits of one.
    """
    reading = weigh(logits)
    variants = reading.variants()
    errors, wrong = bch.correct(bch.syndromes(variants) ^ _TAG_SYNDROMES[:, None])
    tags, tried = np.nonzero(wrong != bch.REFUSED)
    words = variants[tried] ^ errors[tags, tried]
    discrepancies = reading.discrepancies(words)
    order = np.lexsort((discrepancies, tags))
    first = order[np.unique(tags[order], return_index=True)[1]]  # the best of each tag
    first = first[discrepancies[first] <= discrepancies[first].min(initial=_NEVER) + SURPLUS]
    found = [_hypothesis(int(tags[place]), int(words[place]), int(discrepancies[place]), reading) for place in first]
    return sorted((each for each in found if each.corrected <= MAX_CORRECTED), key=lambda each: each.discrepancy)


def distance_to(logits: npt.ArrayLike, words: Sequence[int]) -> npt.NDArray[np.int64]:
    """Add up the weights of the bits in which words differ from 32 logits: one number for each word."""
    return weigh(logits).discrepancies(np.array(words, dtype=np.uint32))


def _hypothesis(tag: int, word: int, discrepancy: int, reading: WeighedBits) -> Hypothesis:
    content = (word ^ int(_SHIFT[tag]) ^ LINK_MASK) >> REDUNDANT_BITS
    data, index = content >> INDEX_BITS, content & MOST_MARKS - 1
    symbols = (data >> SYMBOL_BITS, data & (1 << SYMBOL_BITS) - 1)
    return Hypothesis(Mark(tag, index, symbols), discrepancy, (word ^ reading.word).bit_count())


def _tag_words() -> Words:
    """Tabulate what a tag changes in a link word: its carry-less product with ``TAG_FACTOR``, parity, both masks."""
    words = np.zeros(TAG_COUNT, dtype=np.uint32)
    for tag in range(TAG_COUNT):
        product = 0
        for bit in range(tag.bit_length()):
            if tag >> bit & 1:
                product ^= TAG_FACTOR << bit
        words[tag] = product << 1 | product.bit_count() & 1
    return words ^ np.uint32(LINK_MASK ^ MARK_MASK)


_SHIFT = _tag_words()
_TAG_SYNDROMES = bch.syndromes(_SHIFT ^ np.uint32(LINK_MASK))
_NEVER = 1 << 40  # more than any discrepancy
assert MARK_SYMBOLS == 2 and INDEX_BITS + MARK_SYMBOLS * SYMBOL_BITS == ID_BITS
