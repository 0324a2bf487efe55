from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from payload.codes import bch
from payload.codes.short_link import ALPHABET, format_link, parse_link
from payload.layout import ID_COUNT, word_from_bits

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())
WORDS = st.integers(0, ID_COUNT - 1).map(lambda number: int(bch.encode(number)))
SYMBOLS = [3, 4, 5, 6, 8, 9, 10, 11]  # where they are in wm:3ZT3-GTKS
LINK = format_link(int(bch.encode(123_456)))


@pytest.mark.parametrize("known", VECTORS["words"], ids=lambda known: known["link"])
def test_words_print_as_the_known_links(known: dict) -> None:
    assert format_link(word_from_bits(known["message"])) == known["link"]


@given(WORDS)
def test_links_parse_to_their_words(word: int) -> None:
    assert parse_link(format_link(word)) == word


@given(WORDS)
def test_links_may_be_typed_carelessly(word: int) -> None:
    link = format_link(word)
    assert parse_link(link.lower()) == word
    assert parse_link(link.removeprefix("wm:").replace("-", "")) == word
    assert parse_link(f"  {link.replace('-', ' ')}\n") == word
    symbols = link.removeprefix("wm:")
    assert parse_link(symbols.replace("0", "o").replace("1", "l")) == word
    assert parse_link(symbols.replace("0", "O").replace("1", "I")) == word


@given(WORDS, st.sampled_from(SYMBOLS), st.sampled_from(ALPHABET))
def test_any_wrong_symbol_is_noticed(word: int, place: int, symbol: str) -> None:
    link = format_link(word)
    assume(link[place] != symbol)
    with pytest.raises(ValueError, match="check symbol does not fit"):
        parse_link(link[:place] + symbol + link[place + 1 :])


@given(WORDS, st.sampled_from(SYMBOLS), st.sampled_from(SYMBOLS))
def test_any_two_swapped_symbols_are_noticed(word: int, first: int, second: int) -> None:
    symbols = list(format_link(word))
    assume(symbols[first] != symbols[second])
    symbols[first], symbols[second] = symbols[second], symbols[first]
    with pytest.raises(ValueError, match="check symbol does not fit"):
        parse_link("".join(symbols))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 8 symbols, found 0"),
        ("wm:", "expected 8 symbols, found 0"),
        (LINK[:-1], "expected 8 symbols, found 7"),
        (LINK + "0", "expected 8 symbols, found 9"),
        ("wm:UUUU-UUUU", "found 'U'"),
        ("https://example.com", "expected digits and letters other than U"),
        ("wm:0000-0000", "expected a link made by wam"),
    ],
)
def test_bad_links_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_link(text)


@pytest.mark.parametrize("word", [0, int(bch.encode(5)) ^ 1, -1, 1 << 32])
def test_numbers_that_are_no_link_words_are_refused(word: int) -> None:
    with pytest.raises(ValueError, match="expected a link word"):
        format_link(word)
