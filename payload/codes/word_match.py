"""From the 32 bit logits of one region to a word, and how far that word can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, log10
from typing import Literal

import numpy as np
import numpy.typing as npt

from payload.codes.bch import CORRECTABLE
from payload.codes.soft_decoding import Candidate, check_logits, decode_soft, hard_word, nearest, patterns_of
from payload.layout import ID_COUNT, Words, bits_from_word

# ``read_word`` knows no states: who asks the registry tells a ``withdrawn`` word from an ``unregistered`` one.
Status = Literal["verified", "withdrawn", "unregistered", "unreadable"]

MAX_LOG10_P = -4.0  # chance matches that ``verified`` allows over all that was tried, as a power of ten

# Chance matches that ``verified`` allows for a region that does carry a mark, but a foreign one.
MAX_LOG10_WORD_P = -2.0

# Chance that a mark of another registry passes for one of ours, label and word together, that ``verified`` allows of
# words that are read under a label, as a power of ten. It holds however many records there are: of 477 generations that
# are full (10^9 records) the label alone has to say as much. Of 60 worn copies 59 were read, the least sure label with
# 10^-6.0 (scripts/generations_cost.py --photos ../shared/corpus/train --side 512 --most 10 --worn --generations 477).
MAX_LOG10_NAME_P = -6.0

# The same chance of a word without a label, up to which the word alone gives a name: that of 20,971 records (2^21 words
# divided by 100). Beyond, the picture has to agree; see ``may_be_named`` and docs/what-a-match-means.md.
MAX_LOG10_PLAIN_NAME_P = -2.0

MIN_CERTAINTY = 0.98  # probability that ``verified`` asks for that a mark is the registered word, see ``soft.nearest``

_MAX_PATTERNS = patterns_of(CORRECTABLE + 1) - 1  # so that three equal wrong bits are refused


@dataclass(frozen=True)
class Match:
    """What a reading of 32 bits amounts to.

    ``bits`` is the reading before correction and ``message`` the accepted word as 32 characters;
    ``message``, ``word`` and ``corrected`` are None where no word was accepted. ``bit_confidence`` has 32
    numbers in [0.5, 1], bit 0 first. ``log10_p`` is the probability, for a picture without a
    watermark, of a result at least this strong, counting all that was tried; of an ``unreadable`` one
    it is that of the presence alone. ``name_log10_p`` of a ``verified`` one is the probability that a mark of another
    registry is read as a registered word, None for others.
    """

    bits: str
    message: str | None
    word: int | None
    corrected: int | None
    bit_confidence: tuple[float, ...]
    status: Status
    log10_p: float
    name_log10_p: float | None = None


def read_word(
    logits: npt.ArrayLike,
    registry_words: Words | None,
    *,
    presence_log10_p: float = 0.0,
    max_log10_p: float = MAX_LOG10_P,
    label_log10_p: float | None = None,
) -> Match:
    """Judge 32 bit logits, (32,) float, greater than zero for a one, against the registered words.

    ``verified``: the nearest registered word differs in at most two bits, or in at most six so
    uncertain that fewer sign patterns are as close than for three of equal weight; ``log10_p`` is at
    most ``max_log10_p``; the chance that random bits come as close to any of the N registered
    words is at most 10^``MAX_LOG10_WORD_P``, however certain it is that there is a mark; and it is
    the registered word with a probability of ``MIN_CERTAINTY``, not a foreign one that fits better.
    ``unregistered``: otherwise, a word that ``decode_soft`` accepts. About 26% of random words are
    within two bits of some link word, so ``unregistered`` proves nothing: whether a watermark is
    present must come from the detector. ``unreadable``: neither. ``registry_words`` is (N,) uint32, or
    None without a registry: nothing is ``verified`` then.

    ``presence_log10_p`` is the probability that any of all poses and regions that were read looks as
    marked as this one by luck, if the detector can tell, independent of the bits. A mark from another
    registry, read without error, is one of 2^21 words: it is taken for one of these with probability
    N / 2^21, which ``log10_p`` cannot cover, and ``name_log10_p`` says: whoever knows the picture asks ``may_be_named``
    before a record is given out.
    ``label_log10_p``, of a mark that was read under a label, is the probability that one of another label passes for
    it: ``verified`` asks for 10^``MAX_LOG10_NAME_P`` then, both together.
    """
    if presence_log10_p > 0:
        raise ValueError(f"expected presence_log10_p <= 0, found {presence_log10_p}; pass log10 of a probability")
    registered = None if registry_words is None else nearest(logits, registry_words)
    if registered is not None:
        log10_p = _both(presence_log10_p, registered.log10_p)
        trusted = registered.log10_p <= MAX_LOG10_WORD_P and log10_p <= max_log10_p
        trusted = trusted and registered.certainty >= MIN_CERTAINTY
        name = _log10_name(registered, registry_words, label_log10_p or 0.0)
        trusted = trusted and (label_log10_p is None or name <= MAX_LOG10_NAME_P)
        if trusted and registered.within(_MAX_PATTERNS):
            return replace(_match(logits, "verified", registered, log10_p), name_log10_p=name)
    decoded = decode_soft(logits)
    if decoded is not None and not _contains(registry_words, decoded.word):
        return _match(logits, "unregistered", decoded, _both(presence_log10_p, decoded.log10_p))
    return _match(logits, "unreadable", None, min(0.0, presence_log10_p))


def may_be_named(name_log10_p: float) -> bool:
    """Whether the mark of a plain word, which any registry may have, is given the name of its record: of a chance as in
    ``Match``, with that of another picture that agrees as well where its own does."""
    return name_log10_p <= MAX_LOG10_PLAIN_NAME_P


def without_name(match: Match) -> Match:
    """A match whose record is not given out: of the word alone it cannot be told from a mark of another registry."""
    return replace(match, status="unregistered", name_log10_p=None)


def _log10_name(registered: Candidate, words: Words | None, label_log10_p: float) -> float:
    """The probability that a mark of another registry, of any of 2^21 words as likely, passes for the registered one's
    label, comes as close to any of these words, and is read as near."""
    count = 0 if words is None else words.size
    # a code word within the radius of corrections is at most as likely as a random one of all that are that close
    reach = max(count / ID_COUNT, 10.0**registered.log10_p)
    return min(0.0, label_log10_p + log10(min(1.0, reach)))


def _both(first: float, second: float) -> float:
    """Combine two independent p-values, as log10, by Fisher's method: P(p1 p2 <= x) = x (1 - ln x)."""
    product = first + second
    if first >= 0:  # nothing known of the presence: the word alone
        return min(0.0, product)
    return min(0.0, product + log10(1.0 - product * log(10.0)))


def _contains(registry_words: Words | None, word: int) -> bool:
    """Tell whether a word is registered, though it was not accepted."""
    return registry_words is not None and bool((registry_words == np.uint32(word)).any())


def _match(logits: npt.ArrayLike, status: Status, accepted: Candidate | None, log10_p: float) -> Match:
    """Put the reading and the accepted word together."""
    magnitudes = np.abs(check_logits(logits))
    confidence = 1.0 / (1.0 + np.exp(-magnitudes))
    return Match(
        bits=bits_from_word(hard_word(logits)),
        message=None if accepted is None else bits_from_word(accepted.word),
        word=None if accepted is None else accepted.word,
        corrected=None if accepted is None else accepted.corrected,
        bit_confidence=tuple(float(value) for value in confidence),
        status=status,
        log10_p=log10_p,
    )
