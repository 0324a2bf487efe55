from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payload.codes import bch
from payload.layout import ID_COUNT, LINK_MASK, WORD_BITS, bits_from_word, word_from_bits

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())
IDS = st.integers(0, ID_COUNT - 1)


def wrong_patterns(count: int) -> np.ndarray:
    chosen = combinations(range(WORD_BITS), count)
    return np.array([sum(1 << bit for bit in bits) for bits in chosen], dtype=np.uint32)


@pytest.mark.parametrize("known", VECTORS["words"], ids=lambda known: str(known["id"]))
def test_ids_encode_to_the_known_words(known: dict) -> None:
    assert bits_from_word(int(bch.encode(known["id"]))) == known["message"]


@pytest.mark.parametrize("known", VECTORS["readings"], ids=lambda known: known["bits"])
def test_readings_decode_to_the_known_words(known: dict) -> None:
    decoded = bch.decode(word_from_bits(known["bits"]))
    assert decoded.accepted == (known["message"] is not None)
    if decoded.accepted:
        assert bits_from_word(int(decoded.words)) == known["message"]
        assert decoded.corrected == known["wrong"]


def test_the_distance_of_the_code_is_six() -> None:
    words = bch.encode(np.arange(ID_COUNT)) ^ np.uint32(LINK_MASK)  # linear without the mask
    assert np.bitwise_count(words[1:]).min() == 6


@given(IDS, st.sets(st.integers(0, WORD_BITS - 1), max_size=2))
def test_up_to_two_wrong_bits_are_corrected(number: int, wrong: set[int]) -> None:
    word = int(bch.encode(number))
    decoded = bch.decode(word ^ sum(1 << bit for bit in wrong))
    assert (decoded.accepted, decoded.ids, decoded.words) == (True, number, word)
    assert decoded.corrected == len(wrong)


@pytest.mark.parametrize("number", [0, 1, 77_777, ID_COUNT - 1])
def test_every_three_wrong_bits_are_refused(number: int) -> None:
    assert not bch.decode(bch.encode(number) ^ wrong_patterns(3)).accepted.any()


def test_about_26_percent_of_random_words_decode() -> None:
    words = np.random.default_rng(0).integers(0, 1 << 32, 200_000)
    assert bch.decode(words).accepted.mean() == pytest.approx(529 / 2048, abs=0.005)


def test_arrays_keep_their_shape() -> None:
    decoded = bch.decode(bch.encode(np.arange(6).reshape(2, 3)))
    assert decoded.ids.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert decoded.accepted.shape == decoded.corrected.shape == (2, 3)


@pytest.mark.slow  # of a clock, which a busy machine may spoil
def test_100_000_words_decode_in_a_second() -> None:
    words = np.random.default_rng(0).integers(0, 1 << 32, 100_000)
    start = perf_counter()
    bch.decode(words)
    assert perf_counter() - start < 1.0


@pytest.mark.parametrize("number", [-1, ID_COUNT])
def test_ids_out_of_range_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=r"expected ids in \[0, 2\^21\), found"):
        bch.encode([5, number])


def test_words_that_are_not_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="expected integer words, found float64"):
        bch.decode([0.5])


def test_one_number_is_judged_as_arrays_are() -> None:
    generator = np.random.default_rng(3)
    words = bch.encode(generator.integers(0, ID_COUNT, 200))
    others = generator.integers(0, 1 << 32, 200, dtype=np.uint32)
    flipped = words ^ np.uint32(1 << 7)
    for some in (words, others, flipped):
        assert [bch.is_word(word) for word in some.tolist()] == (bch.decode(some).corrected == 0).tolist()
    assert not bch.is_word(-1) and not bch.is_word(1 << 32)
