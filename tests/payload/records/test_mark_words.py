from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payload.codes import bch
from payload.codes.soft_decoding import decode_soft
from payload.layout import ID_COUNT, MARK_LAYOUT, MARK_MASK, TAG_COUNT, WORD_BITS, bits_from_word, word_from_bits
from payload.records.mark_words import Mark, encode_marks, read_mark

LogitsOf = Callable[..., np.ndarray]
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "record_vectors.json").read_text())
MARKS = st.builds(Mark, st.integers(0, 31), st.integers(0, 31), st.tuples(st.integers(0, 255), st.integers(0, 255)))
POSITIONS = st.integers(0, WORD_BITS - 1)


def least_distance(words: np.ndarray, other: int) -> int:
    return int(np.bitwise_count(words ^ np.uint32(other)).min())


def test_the_fields_fill_a_word() -> None:
    assert sum(field.bits for field in MARK_LAYOUT) == WORD_BITS


def test_the_mask_is_the_hash_it_claims_to_be() -> None:
    assert int.from_bytes(sha256(b"wam record mark 1").digest()[:4], "big") == MARK_MASK


@pytest.mark.parametrize("known", VECTORS["records"], ids=lambda known: known["record"]["asset"])
def test_known_marks_read_as_their_tag_index_and_symbols(logits_of: LogitsOf, known: dict) -> None:
    for index, bits in enumerate(known["marks"]):
        best = read_mark(logits_of(word_from_bits(bits)))[0]
        assert (best.mark.tag, best.mark.index, best.corrected) == (known["tag"], index, 0)
        assert bits_from_word(best.mark.word) == bits


@given(MARKS, st.sets(POSITIONS, max_size=1))
def test_one_wrong_bit_is_corrected_whatever_the_tag(logits_of: LogitsOf, mark: Mark, wrong: set[int]) -> None:
    best = read_mark(logits_of(mark.word, wrong=dict.fromkeys(wrong, 3.0)))[0]
    assert (best.mark, best.corrected) == (mark, len(wrong))


@given(MARKS, st.sets(POSITIONS, max_size=3))
def test_three_wrong_bits_are_corrected_where_they_are_the_uncertain_ones(
    logits_of: LogitsOf, mark: Mark, wrong: set[int]
) -> None:
    best = read_mark(logits_of(mark.word, wrong=dict.fromkeys(wrong, 0.2)))[0]
    assert (best.mark, best.corrected) == (mark, len(wrong))


@given(MARKS, st.sets(POSITIONS, min_size=2, max_size=2))
def test_two_wrong_bits_leave_the_mark_among_those_considered(logits_of: LogitsOf, mark: Mark, wrong: set[int]) -> None:
    found = [one.mark for one in read_mark(logits_of(mark.word, wrong=dict.fromkeys(wrong, 3.0)))]
    assert mark in found


def test_marks_of_one_tag_are_six_bits_apart_and_of_two_tags_four() -> None:
    first = encode_marks(np.arange(ID_COUNT), 0)
    for tag in range(TAG_COUNT):
        other = int(encode_marks([77_777], tag)[0])
        apart = np.sort(np.bitwise_count(first ^ np.uint32(other)))
        assert apart[apart > 0][0] == (6 if tag == 0 else 4)


def test_marks_are_two_bits_at_least_from_every_link_word() -> None:
    links = bch.encode(np.arange(ID_COUNT))
    apart = [least_distance(links, int(encode_marks([5], tag)[0])) for tag in range(TAG_COUNT)]
    assert min(apart) == 2


@given(st.integers(0, ID_COUNT - 1))
def test_a_link_word_reads_better_as_a_link(logits_of: LogitsOf, number: int) -> None:
    logits = logits_of(int(bch.encode(number)))
    link = decode_soft(logits)
    assert link is not None and link.corrected == 0
    assert all(one.corrected >= 2 for one in read_mark(logits))


def test_silence_is_no_mark_to_rely_on() -> None:
    assert all(one.discrepancy == 0 for one in read_mark(np.zeros(WORD_BITS)))
