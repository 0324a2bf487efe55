from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payload.codes import bch
from payload.layout import (
    ID_BITS,
    ID_COUNT,
    LINK_LAYOUT,
    LINK_MASK,
    WORD_BITS,
    bits_from_word,
    word_from_bits,
)


def test_the_fields_fill_a_word_of_32_bits() -> None:
    assert sum(field.bits for field in LINK_LAYOUT) == WORD_BITS == 32
    assert ID_COUNT == 1 << ID_BITS >= 2_000_000


def test_the_mask_is_the_hash_it_claims_to_be() -> None:
    assert int.from_bytes(sha256(b"wam link word").digest()[4:8], "big") == LINK_MASK


def test_plain_words_are_refused_by_the_hard_decoder() -> None:
    repeated = [format(value, f"0{period}b") for period in (1, 2, 4) for value in range(2**period)]
    runs = [first * size + second * size for size in (8, 16) for first, second in ("01", "10")]
    words = [word_from_bits(part * (WORD_BITS // len(part))) for part in repeated + runs]
    assert not bch.decode(words).accepted.any()


@given(st.integers(0, 2**32 - 1))
def test_words_survive_being_written_as_bits(word: int) -> None:
    assert word_from_bits(bits_from_word(word)) == word


def test_the_first_character_is_the_most_significant_bit() -> None:
    assert bits_from_word(1 << 31) == "1" + "0" * 31


@pytest.mark.parametrize("bits", ["", "0" * 31, "0" * 33, "2" * 32, " " + "0" * 31, "0_" * 16])
def test_bad_bit_strings_are_refused(bits: str) -> None:
    with pytest.raises(ValueError, match="expected 32 characters 0 or 1, found"):
        word_from_bits(bits)


@pytest.mark.parametrize("word", [-1, 1 << 32])
def test_bad_words_are_refused(word: int) -> None:
    with pytest.raises(ValueError, match="expected a word of 32 bits"):
        bits_from_word(word)
