from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from payload.codes import bch
from payload.codes.soft_decoding import nearest
from payload.codes.word_match import MAX_LOG10_P, may_be_named, read_word, without_name
from payload.layout import ID_COUNT, WORD_BITS, bits_from_word, word_from_bits

LogitsOf = Callable[..., np.ndarray]
WORD = int(bch.encode(77))
REGISTERED = bch.encode(np.arange(70, 80))
OTHERS = bch.encode(np.arange(100, 120))
FROZEN = json.loads((Path(__file__).parents[1] / "data" / "matches.json").read_text())
"""240 readings, clean to random, with and without ties, and what 0.3.0 made of them before its search for the nearest
word was made faster: against the first ``count`` of ``SPREAD``."""
SPREAD = bch.encode(((np.arange(60_000, dtype=np.uint64) * 1_234_567 + 89) % ID_COUNT).astype(np.uint32))


def many_words(count: int) -> np.ndarray:
    """Register so many words, WORD among them."""
    return bch.encode(np.arange(77, 77 + count))


@pytest.mark.parametrize("wrong", [(), (0,), (31,), (8, 21)])
def test_up_to_two_wrong_bits_are_verified(logits_of: LogitsOf, wrong: tuple[int, ...]) -> None:
    match = read_word(logits_of(WORD, wrong=dict.fromkeys(wrong, 3.0)), REGISTERED)
    assert (match.status, match.word, match.corrected) == ("verified", WORD, len(wrong))
    assert match.message == bits_from_word(WORD)
    assert [i for i in range(32) if match.bits[i] != match.message[i]] == list(wrong)
    assert match.log10_p <= MAX_LOG10_P


def test_five_wrong_bits_are_verified_where_they_are_uncertain(logits_of: LogitsOf) -> None:
    match = read_word(logits_of(WORD, wrong=dict.fromkeys((1, 9, 17, 25, 30), 0.2)), REGISTERED)
    assert (match.status, match.word, match.corrected) == ("verified", WORD, 5)


def test_three_certain_wrong_bits_never_name_a_record(logits_of: LogitsOf) -> None:
    rng = np.random.default_rng(0)
    patterns = list(combinations(range(WORD_BITS), 3))
    for index in rng.choice(len(patterns), 300, replace=False):
        match = read_word(logits_of(WORD, wrong=dict.fromkeys(patterns[index], 3.0)), REGISTERED)
        assert match.status == "unreadable"
        assert (match.message, match.word, match.corrected) == (None, None, None)


def test_random_logits_name_no_record() -> None:
    rng = np.random.default_rng(1)
    words = many_words(1000)
    statuses = [read_word(rng.normal(0, 1, 32), words).status for _ in range(500)]
    assert "verified" not in statuses
    assert {"unregistered", "unreadable"} == set(statuses)


@pytest.mark.parametrize("words", [OTHERS, np.array([], dtype=np.uint32), None])
def test_a_word_of_no_record_is_unregistered(logits_of: LogitsOf, words: np.ndarray | None) -> None:
    match = read_word(logits_of(WORD, wrong={3: 3.0}), words)
    assert (match.status, match.word, match.corrected) == ("unregistered", WORD, 1)
    assert match.log10_p == pytest.approx(np.log10(33 / 2**11))


def test_a_registered_word_is_refused_rather_than_called_unregistered(logits_of: LogitsOf) -> None:
    words = many_words(20_000)
    match = read_word(logits_of(WORD, wrong={3: 3.0, 4: 3.0}), words)
    assert (match.status, match.word) == ("unreadable", None)
    assert match.log10_p == 0.0  # nothing was said of the presence, and the word counts for nothing


def test_the_limit_of_chance_matches_can_be_set(logits_of: LogitsOf) -> None:
    logits = logits_of(WORD, wrong={3: 3.0, 4: 3.0})
    assert read_word(logits, REGISTERED, max_log10_p=-5).status == "verified"
    assert read_word(logits, REGISTERED, max_log10_p=-6).status == "unreadable"


def test_presence_makes_up_for_a_large_registry(logits_of: LogitsOf) -> None:
    logits = logits_of(WORD, wrong={3: 3.0, 4: 3.0})
    alone = read_word(logits, many_words(20_000))
    present = read_word(logits, many_words(20_000), presence_log10_p=-5)
    assert (alone.status, present.status) == ("unreadable", "verified")
    product = np.log10(20_000 * 529 / 2**32) - 5
    assert present.log10_p == pytest.approx(product + np.log10(1 - product * np.log(10)))  # Fisher's method


def test_presence_does_not_make_up_for_a_word_that_any_mark_would_match(
    logits_of: LogitsOf,
) -> None:
    logits = logits_of(WORD, wrong={3: 3.0, 4: 3.0})
    match = read_word(logits, many_words(200_000), presence_log10_p=-20)
    assert match.status == "unreadable"


def test_the_probability_is_never_above_one() -> None:
    match = read_word(np.zeros(32), many_words(1000))
    assert (match.status, match.log10_p) == ("unreadable", 0.0)


def test_confidence_is_the_logistic_of_the_magnitude(logits_of: LogitsOf) -> None:
    logits = logits_of(WORD)
    logits[:3] = [0.0, -2.0, 50.0]
    confidence = read_word(logits, REGISTERED).bit_confidence
    assert len(confidence) == 32
    assert confidence[:3] == pytest.approx((0.5, 1 / (1 + np.exp(-2.0)), 1.0))


def test_false_names_stay_below_the_stated_probability() -> None:
    rng = np.random.default_rng(2)
    words = bch.encode(rng.choice(ID_COUNT, 2000, replace=False))
    limit = -2.0
    named = [read_word(rng.normal(0, 1, 32), words, max_log10_p=limit).status == "verified" for _ in range(1000)]
    assert np.mean(named) <= 10**limit + 3 * np.sqrt(10**limit / len(named))


def test_a_foreign_mark_is_not_named_after_a_record_that_fits_worse() -> None:
    """A reading of a mark of another registry after a median filter: two weak bits from its own word, four from a
    registered one."""
    logits = np.array(
        [1.6, -6.0, -8.5, 5.0, 6.9, -0.6, -9.0, -2.8, 3.2, 8.3, -6.6, -6.3, -3.0, 1.9, 8.6, 5.7, 10.9, 3.0, -2.8, 6.3,
         8.6, -6.1, 6.7, 3.5, 0.9, 7.1, 2.9, -6.3, 1.0, -8.4, 8.1, -7.9]
    )  # fmt: skip
    registered = word_from_bits("10001000110001111111101101100010")
    foreign = word_from_bits("00011100110001111101101111101010")
    others = many_words(20_000)
    words = np.append(others[others != foreign], np.uint32(registered))
    found = nearest(logits, words)
    assert found is not None and found.word == registered and found.certainty < 0.5
    assert read_word(logits, words, presence_log10_p=-5.8).status == "unregistered"
    assert read_word(logits, np.append(words, np.uint32(foreign)), presence_log10_p=-5.8).word == foreign


def weak_reading(rng: np.random.Generator, word: int, amplitude: float) -> np.ndarray:
    """True log-odds of bits in white noise."""
    signs = np.array([1.0 if bit == "1" else -1.0 for bit in bits_from_word(word)])
    return 2 * amplitude * (amplitude * signs + rng.normal(0, 1, WORD_BITS))


@pytest.mark.parametrize(("amplitude", "share"), [(1.3, 0.55), (1.6, 0.88), (2.0, 0.97)])
def test_weak_marks_are_named_but_foreign_ones_are_not(amplitude: float, share: float) -> None:
    rng = np.random.default_rng(4)
    numbers = rng.choice(ID_COUNT, 20_600, replace=False)
    words, foreign = bch.encode(numbers[600:]), bch.encode(numbers[:600])
    own = [read_word(weak_reading(rng, int(word), amplitude), words, presence_log10_p=-6.0) for word in words[:600]]
    named = [match.word == int(word) for match, word in zip(own, words, strict=False) if match.status == "verified"]
    assert all(named) and len(named) >= share * len(own)
    read = [read_word(weak_reading(rng, int(word), amplitude), words, presence_log10_p=-6.0) for word in foreign]
    assert "verified" not in [match.status for match in read]


@pytest.mark.parametrize("count", [1, 1000, 200_000])
def test_a_clear_reading_is_certain_however_many_records_there_are(logits_of: LogitsOf, count: int) -> None:
    found = nearest(logits_of(WORD), many_words(count))
    assert found is not None and found.certainty > 0.999


def test_impossible_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected presence_log10_p <= 0, found 0\.1"):
        read_word(np.zeros(32), None, presence_log10_p=0.1)


def judged(case: dict[str, Any], words: np.ndarray) -> list[Any]:
    match = read_word(case["logits"], words, presence_log10_p=case["presence"], label_log10_p=case["label"])
    return [match.status, match.word, match.corrected, match.log10_p, match.name_log10_p]


def frozen(case: dict[str, Any]) -> list[Any]:
    chances = (case["log10_p"], case["name_log10_p"])
    return [case["status"], case["word"], case["corrected"], *(one and pytest.approx(one, abs=1e-8) for one in chances)]


def test_the_same_is_said_of_frozen_readings() -> None:
    assert {case["status"] for case in FROZEN} == {"verified", "unregistered", "unreadable"}
    for case in FROZEN:
        assert judged(case, SPREAD[: case["count"]]) == frozen(case)


def test_the_order_of_the_words_does_not_matter() -> None:
    words = np.random.default_rng(3).permutation(SPREAD)
    for case in FROZEN:
        if case["count"] == SPREAD.size:
            assert judged(case, words) == frozen(case)


@pytest.mark.parametrize(("count", "named"), [(20_000, True), (20_971, True), (20_972, False), (500_000, False)])
def test_a_plain_word_names_a_record_by_itself_among_so_many_only(logits_of: LogitsOf, count: int, named: bool) -> None:
    match = read_word(logits_of(WORD), many_words(count), presence_log10_p=-20)
    assert match.status == "verified" and match.name_log10_p is not None
    assert match.name_log10_p == pytest.approx(np.log10(count / ID_COUNT))
    assert may_be_named(match.name_log10_p) == named


def test_a_name_that_is_kept_back_leaves_the_reading(logits_of: LogitsOf) -> None:
    match = read_word(logits_of(WORD, wrong={3: 3.0}), many_words(500_000), presence_log10_p=-20)
    kept_back = without_name(match)
    assert (kept_back.status, kept_back.name_log10_p) == ("unregistered", None)
    assert (kept_back.word, kept_back.corrected, kept_back.log10_p) == (WORD, 1, match.log10_p)
