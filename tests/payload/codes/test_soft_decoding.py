from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payload.codes import bch
from payload.codes.soft_decoding import MAX_CORRECTED, decode_soft, hard_word, nearest, patterns_of
from payload.layout import ID_COUNT, LINK_MASK, WORD_BITS, bits_from_word

LogitsOf = Callable[..., np.ndarray]
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())
IDS = st.integers(0, ID_COUNT - 1)
POSITIONS = st.integers(0, WORD_BITS - 1)


def closest_of_all(logits: np.ndarray) -> int:
    """Maximum likelihood by comparing with all 2^21 words."""
    correlation = np.zeros(ID_COUNT)
    words = bch.encode(np.arange(ID_COUNT))
    for bit in range(WORD_BITS):
        correlation += np.where(words >> np.uint32(WORD_BITS - 1 - bit) & 1, 1.0, -1.0) * logits[bit]
    return int(words[correlation.argmax()])


@pytest.mark.parametrize("known", VECTORS["soft"], ids=lambda known: known["message"])
def test_uncertain_readings_decode_to_the_known_words(known: dict) -> None:
    found = decode_soft(known["logits"])
    assert found is not None
    assert (bits_from_word(found.word), found.corrected) == (known["message"], known["corrected"])


@given(IDS, st.sets(POSITIONS, max_size=4))
def test_four_wrong_bits_are_corrected_where_they_are_the_uncertain_ones(
    logits_of: LogitsOf, number: int, wrong: set[int]
) -> None:
    word = int(bch.encode(number))
    found = decode_soft(logits_of(word, wrong=dict.fromkeys(wrong, 0.2)))
    assert found is not None
    assert (found.word, found.corrected) == (word, len(wrong))


@given(IDS, st.sets(POSITIONS, max_size=5))
def test_equal_magnitudes_give_the_hard_decoder(logits_of: LogitsOf, number: int, wrong: set[int]) -> None:
    logits = logits_of(int(bch.encode(number)), wrong=dict.fromkeys(wrong, 3.0))
    hard = bch.decode(hard_word(logits))
    soft = decode_soft(logits)
    assert (None if soft is None else soft.word) == (int(hard.words) if hard.accepted else None)


def test_the_search_finds_the_likeliest_of_all_words(logits_of: LogitsOf) -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        word = int(bch.encode(rng.integers(ID_COUNT)))
        logits = logits_of(word) + rng.normal(0, 1.8, WORD_BITS)
        found = decode_soft(logits)
        assert found is not None
        assert found.word == closest_of_all(logits)


def test_more_than_the_stated_number_of_bits_is_never_changed(logits_of: LogitsOf) -> None:
    word = int(bch.encode(1234))
    certain = dict.fromkeys(range(MAX_CORRECTED), 1e-3)
    found = decode_soft(logits_of(word, wrong=certain))
    assert found is not None
    assert found.word == word
    too_many = decode_soft(logits_of(word, wrong=dict.fromkeys(range(MAX_CORRECTED + 1), 1e-3)))
    assert too_many is None or too_many.word != word


def test_silence_is_not_decoded() -> None:
    assert decode_soft(np.zeros(WORD_BITS)) is None


def test_one_huge_logit_does_not_silence_the_others(logits_of: LogitsOf) -> None:
    logits = logits_of(int(bch.encode(9)), wrong={4: 0.1, 5: 0.1, 6: 0.1})
    logits[0] *= 1e6
    found = decode_soft(logits)
    assert found is not None
    assert (found.word, found.corrected) == (int(bch.encode(9)), 3)


def test_nearest_agrees_with_the_correlation() -> None:
    rng = np.random.default_rng(1)
    words = bch.encode(rng.choice(ID_COUNT, 500, replace=False))
    signs = np.array([[1 if bit == "1" else -1 for bit in bits_from_word(int(w))] for w in words])
    for _ in range(20):
        logits = rng.uniform(-1, 1, WORD_BITS)
        found = nearest(logits, words)
        assert found is not None
        best, second = np.sort(signs @ logits)[-1:-3:-1]
        assert best - signs[words == found.word][0] @ logits <= 0.02 or best - second < 0.02


def test_nearest_refuses_a_tie(logits_of: LogitsOf) -> None:
    zero = int(bch.encode(0))
    words = bch.encode(np.arange(ID_COUNT))
    other = int(words[np.bitwise_count(words ^ np.uint32(zero)) == 6][0])
    halfway = [bit for bit in range(32) if (zero ^ other) >> (31 - bit) & 1][:3]
    logits = logits_of(zero, wrong=dict.fromkeys(halfway, 3.0))
    assert nearest(logits, np.array([zero, other], dtype=np.uint32)) is None


def test_nearest_of_no_words_is_none(logits_of: LogitsOf) -> None:
    assert nearest(logits_of(LINK_MASK), np.array([], dtype=np.uint32)) is None


def test_patterns_as_close_are_counted_exactly(logits_of: LogitsOf) -> None:
    rng = np.random.default_rng(5)
    word = int(bch.encode(42))
    certain = 63.75  # four times this median is 255 steps, so that 1 to 15 stay whole
    magnitudes = rng.permutation(np.array([*range(1, 16), *[certain] * 17]))
    logits = np.sign(logits_of(word)) * magnitudes
    logits[magnitudes == 5] *= -1
    found = nearest(logits, np.array([word], dtype=np.uint32))
    assert found is not None
    subsets = (c for size in range(4) for c in combinations(range(1, 6), size))
    assert found.patterns == sum(sum(subset) <= 5 for subset in subsets)


def test_equal_magnitudes_count_like_binomials(logits_of: LogitsOf) -> None:
    logits = logits_of(LINK_MASK, wrong={1: 3.0, 2: 3.0})
    found = nearest(logits, np.array([LINK_MASK], dtype=np.uint32))
    assert found is not None
    assert found.patterns == patterns_of(2) == 529
    assert found.log10_p == pytest.approx(np.log10(529 / 2**32))


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.5])
def test_random_signs_come_as_close_no_more_often_than_stated(spread: float) -> None:
    rng = np.random.default_rng(7)
    words = bch.encode(rng.choice(ID_COUNT, 300, replace=False))
    stated = []
    for _ in range(1500):
        logits = np.exp(rng.normal(0, spread, WORD_BITS)) * rng.choice([-1, 1], WORD_BITS)
        found = nearest(logits, words)
        stated.append(0.0 if found is None else found.log10_p)
    for level in (0.5, 0.1, 0.02):
        share = np.mean(np.array(stated) <= np.log10(level))
        assert share <= level + 3 * np.sqrt(level / len(stated))
    if spread:  # equal weights make few distinct values, so their bound is coarse
        assert np.mean(np.array(stated) <= np.log10(0.1)) >= 0.06


@pytest.mark.parametrize("shape", [(31,), (1, 32), (33,), ()])
def test_logits_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected 32 logits, found shape"):
        decode_soft(np.ones(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected finite logits"):
        nearest(np.full(32, value), np.array([1], dtype=np.uint32))
