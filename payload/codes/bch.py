"""The code of link words: extended BCH, [32, 21, 6], hard decisions.

BCH(31, 21, 5) and an overall parity bit (Lin and Costello, Error Control Coding, 2nd edition,
chapter 6), shifted by ``layout.LINK_MASK``. Two words differ in at least six bits, so two wrong bits
are corrected and three are always noticed. 529 of the 2048 syndromes are correctable: about 26% of
random words decode to some id, hence a word that decodes is no proof of a watermark.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from payload.layout import (
    ID_BITS,
    ID_COUNT,
    LINK_LAYOUT,
    LINK_MASK,
    REDUNDANT_BITS,
    WORD_BITS,
    Words,
)

# (x^5 + x^2 + 1)(x^5 + x^4 + x^3 + x^2 + 1), the roots a and a^3 of GF(32) with a^5 = a^2 + 1.
GENERATOR = 0b111_0110_1001

CORRECTABLE = 2  # wrong bits that the hard decoder corrects

REFUSED = 0xFF  # in place of a number of wrong bits, where there are more

_CHUNK_BITS = 7  # an id is coded by a few table look-ups of this many bits each
_CHUNKS = ID_BITS // _CHUNK_BITS
_MASK = np.uint32(LINK_MASK)
_ID_SHIFT = np.uint32(REDUNDANT_BITS)
_REDUNDANT_PART = np.uint32((1 << REDUNDANT_BITS) - 1)


@dataclass(frozen=True, eq=False)
class HardDecoded:
    """What hard decisions make of words; each array has the shape of the words.

    ``accepted`` is False where more than two bits are wrong: ids and words there mean nothing.
    """

    accepted: npt.NDArray[np.bool_]
    ids: npt.NDArray[np.uint32]
    words: Words
    corrected: npt.NDArray[np.uint8]


def encode(ids: npt.ArrayLike) -> Words:
    """Turn ids in [0, 2^21) into link words, uint32 of the same shape."""
    checked = _unsigned(ids, bits=ID_BITS, name="ids")
    return ((checked << _ID_SHIFT) | _redundancy(checked)) ^ _MASK


def is_word(word: int) -> bool:
    """Tell whether a number is a link word; for one, making arrays would take a hundred times longer."""
    if not 0 <= word < 1 << WORD_BITS:
        return False
    plain = word ^ LINK_MASK
    redundancy, rest = plain & (1 << REDUNDANT_BITS) - 1, plain >> REDUNDANT_BITS
    for table in _REDUNDANCY_LISTS:
        redundancy ^= table[rest & (1 << _CHUNK_BITS) - 1]
        rest >>= _CHUNK_BITS
    return redundancy == 0


def decode(words: npt.ArrayLike) -> HardDecoded:
    """Find the id of each word, correcting up to two wrong bits and refusing more."""
    checked = _unsigned(words, bits=WORD_BITS, name="words")
    errors, corrected = correct(syndromes(checked))
    repaired = checked ^ errors
    ids = (repaired ^ _MASK) >> _ID_SHIFT
    return HardDecoded(corrected != REFUSED, ids, repaired, corrected)


def syndromes(words: Words) -> npt.NDArray[np.uint32]:
    """Compare the redundancy of words, uint32, with the one that their ids call for: 11 bits, 0 for link words."""
    plain = words ^ _MASK
    return (plain & _REDUNDANT_PART) ^ _redundancy(plain >> _ID_SHIFT)


def correct(syndromes: npt.NDArray[np.uint32]) -> tuple[Words, npt.NDArray[np.uint8]]:
    """Look up the wrong bits that syndromes stand for, and their number: ``REFUSED`` for more than two."""
    return _ERROR[syndromes], _ERROR_WEIGHT[syndromes]


def _unsigned(values: npt.ArrayLike, *, bits: int, name: str) -> npt.NDArray[np.uint32]:
    """Check that values are integers of so many bits."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise ValueError(f"expected integer {name}, found {array.dtype}; convert them first")
    if array.size and (array.min() < 0 or array.max() >> bits):
        found = f"{array.min()} to {array.max()}"
        raise ValueError(f"expected {name} in [0, 2^{bits}), found {found}; check their source")
    return array.astype(np.uint32)


def _redundancy_of(value: int) -> int:
    """Divide polynomials bit by bit: the check bits of one id, then its parity bit."""
    check_bits = LINK_LAYOUT[1].bits
    remainder = value << check_bits
    for bit in range(ID_BITS + check_bits - 1, check_bits - 1, -1):
        if remainder >> bit & 1:
            remainder ^= GENERATOR << (bit - check_bits)
    parity = (value.bit_count() + remainder.bit_count()) & 1
    return remainder << 1 | parity


def _chunk_tables() -> npt.NDArray[np.uint32]:
    """Tabulate the redundancy of each chunk of an id, (chunks, 128)."""
    return np.array(
        [
            [_redundancy_of(value << _CHUNK_BITS * chunk) for value in range(1 << _CHUNK_BITS)]
            for chunk in range(_CHUNKS)
        ],
        dtype=np.uint32,
    )


_REDUNDANCY = _chunk_tables()
_REDUNDANCY_LISTS: list[list[int]] = _REDUNDANCY.tolist()


def _redundancy(ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Add up the redundancy of the chunks; the code is linear."""
    total = np.zeros_like(ids)
    for chunk, table in enumerate(_REDUNDANCY):
        total ^= table[ids >> _CHUNK_BITS * chunk & (1 << _CHUNK_BITS) - 1]
    return total


def _syndrome_tables() -> tuple[Words, npt.NDArray[np.uint8]]:
    """Tabulate the error and its weight for each syndrome of up to two wrong bits."""
    error = np.zeros(1 << REDUNDANT_BITS, dtype=np.uint32)
    weight = np.full(1 << REDUNDANT_BITS, REFUSED, dtype=np.uint8)
    for count in range(CORRECTABLE + 1):
        patterns = [sum(1 << bit for bit in bits) for bits in combinations(range(WORD_BITS), count)]
        wrong = np.array(patterns, dtype=np.uint32)
        places = syndromes(wrong ^ _MASK)
        error[places] = wrong
        weight[places] = count
    return error, weight


_ERROR, _ERROR_WEIGHT = _syndrome_tables()
assert ID_COUNT == 1 << _CHUNK_BITS * _CHUNKS
