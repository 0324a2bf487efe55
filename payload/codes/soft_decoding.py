"""Soft decisions: the link word that fits 32 bit logits best, and the chance that it fits by luck.

A word is judged by its discrepancy: the weights of the bits in which it differs from the signs of
the logits, added up. Weights are the magnitudes of the logits in whole steps, so the sign patterns
that are at least as close as the word found can be counted exactly. Divided by 2^32 and times the
number of words that were compared, that count bounds the probability of so close a match for random
signs, whatever the magnitudes are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb, log10

import numpy as np
import numpy.typing as npt

from payload.codes import bch
from payload.layout import ID_COUNT, WORD_BITS, Words

MAX_CORRECTED = 6  # bits that soft decisions may change at most

_FLIPPED_BITS = 8  # the Chase search tries every sign of these least certain bits
_STEPS = 255  # weight of the most certain bits
_MANY = 1 << 14  # words from which on larger tables pay
_CERTAIN = 4.0  # a logit counts at most this many times the median magnitude


@dataclass(frozen=True)
class Candidate:
    """The word that fits a reading best.

    ``corrected`` is the number of bits in which it differs from the reading, ``patterns`` the number of
    sign patterns, of 2^32, that are at least as close to the reading, and ``log10_p`` the probability
    that random signs come as close to any of the words that were compared. ``certainty``, of a word
    that was sought among few, is the probability that the mark is that one, see ``nearest``.
    """

    word: int
    corrected: int
    patterns: int
    log10_p: float
    certainty: float = 1.0

    def within(self, patterns: int) -> bool:
        """Tell whether two bits at most were corrected, or more, up to ``MAX_CORRECTED``, that are so
        uncertain that no more than ``patterns`` sign patterns are as close.
        """
        few = self.corrected <= bch.CORRECTABLE
        return few or (self.corrected <= MAX_CORRECTED and self.patterns <= patterns)


@dataclass(frozen=True, eq=False)
class WeighedBits:
    """32 logits as hard decisions and whole weights, (32,) int64, bit 0 first; ``step``: the logit that
    one unit of weight stands for.
    """

    word: int
    weights: npt.NDArray[np.int64]
    step: float

    def variants(self) -> Words:
        """Give the word with every sign of its eight least certain bits, (256,), for a Chase search."""
        weakest = np.argsort(self.weights, kind="stable")[:_FLIPPED_BITS]
        flips: Words = (_BYTE_BITS << (WORD_BITS - 1 - weakest)).sum(axis=1).astype(np.uint32)
        variants: Words = flips ^ np.uint32(self.word)
        return variants

    def discrepancies(self, words: Words) -> npt.NDArray[np.int64]:
        """Add up the weights of the bits in which words differ from this reading, byte by byte, or of many
        words half by half.
        """
        wrong = words ^ np.uint32(self.word)
        sums = [_BYTE_BITS @ self.weights[first : first + 8] for first in range(0, WORD_BITS, 8)]
        if words.size < _MANY:
            total = np.zeros(words.shape, dtype=np.int64)
            for place, table in enumerate(reversed(sums)):
                total += table[wrong >> np.uint32(8 * place) & np.uint32(0xFF)]
            return total
        upper, lower = ((high[:, None] + low).ravel() for high, low in (sums[:2], sums[2:]))
        found: npt.NDArray[np.int64] = upper[wrong >> np.uint32(16)]
        found += lower[wrong & np.uint32(0xFFFF)]
        return found

    def patterns_within(self, discrepancy: int) -> int:
        """Count the sign patterns, of 2^32, that differ from this reading by no more than that."""
        counts = np.zeros(discrepancy + 1, dtype=np.int64)
        counts[0] = 1
        for weight in self.weights:
            if weight <= discrepancy:
                counts[weight:] += counts[: discrepancy + 1 - weight].copy()
        return int(counts.sum())

    def certainty(self, words: Words, discrepancies: npt.NDArray[np.int64]) -> float:
        """Give the probability that a mark is the closest of words, (N,) with their discrepancies.

        Beforehand it is one of them or, as likely, of another registry: any other link word, the
        near ones found by a Chase search, the far ones taken together.
        """
        # few discrepancies are possible, and many words share each of them
        counts = np.bincount(discrepancies)
        likely = np.exp(-self.step * np.arange(counts.size)) / words.size
        decoded = bch.decode(self.variants())
        near = self._without(np.unique(decoded.words[decoded.accepted]), words, discrepancies)
        others = max(1, ID_COUNT - words.size)
        foreign = np.exp(-self.step * self.discrepancies(near)).sum() / others
        far = np.exp(np.log1p(np.exp(-self.step * self.weights)).sum()) / 2.0**WORD_BITS
        return float(likely[discrepancies.min()] / (counts @ likely + foreign + far))

    def _without(self, near: Words, words: Words, discrepancies: npt.NDArray[np.int64]) -> Words:
        """Leave out those of a few words that are among many with their discrepancies: only such as are no further from
        this reading are compared.
        """
        if not near.size:
            return near
        furthest = self.discrepancies(near).max()
        return near[~np.isin(near, words[discrepancies <= furthest])]

    def candidate(self, word: int, discrepancy: int, *, compared: int) -> Candidate:
        """Describe the word that fitted best among ``compared`` words."""
        patterns = self.patterns_within(discrepancy)
        chance = log10(compared * patterns) - WORD_BITS * log10(2)
        return Candidate(word, (word ^ self.word).bit_count(), patterns, min(0.0, chance))


def patterns_of(wrong_bits: int) -> int:
    """Count the sign patterns with at most so many wrong bits: 529 for two, 5489 for three."""
    return sum(comb(WORD_BITS, count) for count in range(wrong_bits + 1))


def check_logits(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Check that logits are 32 finite numbers, greater than zero for a one, bit 0 first."""
    array = np.asarray(logits, dtype=np.float64)
    if array.shape != (WORD_BITS,):
        raise ValueError(f"expected {WORD_BITS} logits, found shape {array.shape}; pass one word")
    if not np.isfinite(array).all():
        raise ValueError("expected finite logits, found NaN or infinity; check the extractor")
    return array


def hard_word(logits: npt.ArrayLike) -> int:
    """Read the signs of 32 logits as a word; a zero counts as 0."""
    signs = np.packbits(check_logits(logits) > 0)
    return int.from_bytes(signs.tobytes(), "big")


def decode_soft(logits: npt.ArrayLike) -> Candidate | None:
    """Find the link word that fits 32 logits best, by Chase's second algorithm.

    Every sign of the eight least certain bits is tried with hard decoding of the rest (Chase, A
    class of algorithms for decoding block codes with channel measurement information, 1972). None
    if the best word found changes more than two bits, unless they are at most six and so uncertain
    that no more sign patterns are as close than for two wrong bits of equal weight. Equal
    magnitudes thus give exactly the hard decoder. ``log10_p`` counts all 2^21 words.
    """
    reading = weigh(logits)
    decoded = bch.decode(reading.variants())
    words = decoded.words[decoded.accepted]
    if not words.size:
        return None
    discrepancies = reading.discrepancies(words)
    best = int(discrepancies.argmin())
    found = reading.candidate(int(words[best]), int(discrepancies[best]), compared=ID_COUNT)
    return found if found.within(patterns_of(bch.CORRECTABLE)) else None


def nearest(logits: npt.ArrayLike, words: Words) -> Candidate | None:
    """Find which of words, (N,) uint32, is the likeliest for 32 logits.

    None if there are no words or two of them fit equally well. ``log10_p`` counts the N words; the
    caller decides whether that and ``certainty`` will do: the posterior probability of the word, own
    and foreign marks being equally likely and logits true log-odds.
    """
    reading = weigh(logits)
    if not words.size:
        return None
    discrepancies = reading.discrepancies(words)
    least = discrepancies.min()
    best = words[discrepancies == least]
    if best.size > 1:
        return None
    found = reading.candidate(int(best[0]), int(least), compared=words.size)
    return replace(found, certainty=reading.certainty(words, discrepancies))


def weigh(logits: npt.ArrayLike) -> WeighedBits:
    """Round magnitudes to steps of a limit, so that one huge logit does not silence the others."""
    magnitudes = np.abs(check_logits(logits))
    limit = _CERTAIN * float(np.median(magnitudes)) or float(magnitudes.max())
    shares = np.minimum(magnitudes / limit, 1.0) if limit else magnitudes
    return WeighedBits(hard_word(logits), np.rint(shares * _STEPS).astype(np.int64), limit / _STEPS)


_BYTE_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int64)
assert _BYTE_BITS.shape == (1 << _FLIPPED_BITS, 8)
