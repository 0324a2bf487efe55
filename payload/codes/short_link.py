"""Short links: a link word as ``wm:3ZT3-GTKS``, to print, read aloud and type.

Seven Crockford base 32 symbols carry the 32-bit word, most significant first (the first symbol is 0
to 3, as 35 bits have room to spare); the eighth is a check symbol from the same alphabet. With a
the root of x^5 + x^2 + 1 in GF(32), the sum of a^(7-i) times symbol i over i = 0..7 is zero. No
weight is zero and no two are equal, so any one wrong symbol and any two swapped symbols are
noticed.

A word of a later generation of a registry has twelve: seven of the word, four of the generation, and the check symbol,
its weights from a^11 on, which are different ones too: ``wm:1X1Q-M7X0-0011``.
"""

from __future__ import annotations

from payload.codes import bch
from payload.layout import WORD_BITS

PREFIX = "wm:"
# Crockford's base 32, https://www.crockford.com/base32.html; I, L, O and U are left out.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_SYMBOL_BITS = 5
_DATA_SYMBOLS = -(-WORD_BITS // _SYMBOL_BITS)
_SYMBOLS = _DATA_SYMBOLS + 1
_GENERATION_SYMBOLS = 4
_LONG_SYMBOLS = _SYMBOLS + _GENERATION_SYMBOLS
_GROUP = 4
MOST_GENERATIONS = 1 << _GENERATION_SYMBOLS * _SYMBOL_BITS
_FIELD_POLYNOMIAL = 0b100101
_VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)}
# each element of GF(32) multiplied by the root
_TIMES_ROOT = tuple(value << 1 ^ (_FIELD_POLYNOMIAL if value >> _SYMBOL_BITS - 1 else 0) for value in range(32))
_MISREAD = str.maketrans("OIL", "011")


def format_link(word: int, generation: int = 0) -> str:
    """Write a link word, of a generation of its registry's words, as its short link.

    >>> format_link(0x7A1BD0FD), format_link(0x7A1BD0FD, 1)
    ('wm:1X1Q-M7XX', 'wm:1X1Q-M7X0-0011')
    """
    if not _is_link_word(word):
        raise ValueError(f"expected a link word, found {word:#010x}; correct wrong bits first")
    if not 0 <= generation < MOST_GENERATIONS:
        raise ValueError(f"expected a generation in [0, {MOST_GENERATIONS}), found {generation}; check it")
    values = _in_symbols(word, _DATA_SYMBOLS) + (_in_symbols(generation, _GENERATION_SYMBOLS) if generation else [])
    text = "".join(ALPHABET[value] for value in [*values, _TIMES_ROOT[_weighted_sum(values)]])
    return PREFIX + "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def parse_link(text: str) -> int:
    """Read a short link as its link word; one of a later generation is refused.

    Lower case, a missing prefix, missing or extra hyphens, O for 0 and I or L for 1 are accepted.
    """
    word, generation = parse_link_parts(text)
    if generation:
        raise ValueError(f"link {text!r}: expected 8 symbols, found {_LONG_SYMBOLS}, of generation {generation}")
    return word


def parse_link_parts(text: str) -> tuple[int, int]:
    """Read a short link, as ``parse_link`` does, as its word and generation."""
    values = _symbol_values(text)
    if _weighted_sum(values):
        raise ValueError(f"link {text!r}: its check symbol does not fit; compare it with the source")
    word, generation = _from_symbols(values[:_DATA_SYMBOLS]), _from_symbols(values[_DATA_SYMBOLS:-1])
    # there is one way to write each: generation 0 is the short one
    if not _is_link_word(word) or (not generation) != (len(values) == _SYMBOLS):
        raise ValueError(f"link {text!r}: expected a link made by wam; compare it with the source")
    return word, generation


def _in_symbols(number: int, count: int) -> list[int]:
    """Write a number as so many symbols' values, most significant first."""
    return [number >> shift & len(ALPHABET) - 1 for shift in range((count - 1) * _SYMBOL_BITS, -1, -_SYMBOL_BITS)]


def _from_symbols(values: list[int]) -> int:
    """Read what ``_in_symbols`` gives."""
    number = 0
    for value in values:
        number = number << _SYMBOL_BITS | value
    return number


def _is_link_word(word: int) -> bool:
    """Tell whether a number is a word of the code."""
    return bch.is_word(word)


def _symbol_values(text: str) -> list[int]:
    """Strip a link to its symbols and look up their values."""
    plain = text.strip().upper().removeprefix(PREFIX.upper())
    symbols = plain.replace("-", "").replace(" ", "").translate(_MISREAD)
    unknown = sorted(set(symbols).difference(_VALUES))
    if unknown:
        raise ValueError(
            f"link {text!r}: expected digits and letters other than U, found {unknown[0]!r}; "
            "a link looks like wm:3ZT3-GTKS"
        )
    if len(symbols) not in (_SYMBOLS, _LONG_SYMBOLS):
        raise ValueError(
            f"link {text!r}: expected {_SYMBOLS} symbols, found {len(symbols)}; a link looks like wm:3ZT3-GTKS"
        )
    return [_VALUES[symbol] for symbol in symbols]


def _weighted_sum(values: list[int]) -> int:
    """Evaluate the symbols as a polynomial at the root, first symbol highest (Horner)."""
    total = 0
    for value in values:
        total = _TIMES_ROOT[total] ^ value
    return total
