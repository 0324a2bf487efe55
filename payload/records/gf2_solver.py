"""Marks of several records under one tag: which of them belong together, by linear algebra over GF(2).

Two records share their tag once in 32 times, and then every index may have been read twice, with
different symbols. The parity checks of the Reed-Solomon code are linear in bits, and so is the
choice of one candidate for each index, so consistent choices are the solutions of a small system of
equations; nothing has to be tried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from reedsolo import rs_calc_syndromes

from payload.layout import MARK_SYMBOLS, MOST_MARKS, SYMBOL_BITS, data_marks
from payload.records.erasure_code import Symbols, codec

MOST_FREE = 6  # dimension of the solution space up to which all its points are looked at; R records make it R - 1


def consistent_choices(candidates: Mapping[int, Sequence[Symbols]], marks: int) -> Iterator[dict[int, Symbols]]:
    """Give the choices of one candidate for each index that are parts of a code word for so many marks.

    Indices without candidates are unknown, as long as there are enough equations.
    """
    known = {index: list(options) for index, options in candidates.items() if index < marks}
    names = [(index, option) for index in known for option in range(len(known[index]))]
    parity_bits = SYMBOL_BITS * MARK_SYMBOLS * (marks - data_marks(marks))
    rows = {index: parity_bits + row for row, index in enumerate(known)}
    unknown = [(index, pair) for index in range(marks) if index not in known for pair in _UNIT_PAIRS]
    if len(names) + len(unknown) > parity_bits + len(rows) + MOST_FREE:
        return
    columns = [_parity(marks, index, known[index][option]) | 1 << rows[index] for index, option in names]
    columns += [_parity(marks, index, pair) for index, pair in unknown]
    target = sum(1 << row for row in rows.values())
    for solution in _solutions(columns, target):
        chosen = [names[place] for place in range(len(names)) if solution >> place & 1]
        if len(chosen) == len(known):  # the equations make it an odd number for each index, this makes it one
            yield {index: known[index][option] for index, option in chosen}


def _solutions(columns: Sequence[int], target: int) -> Iterator[int]:
    """Solve for the sets of columns, as bits, that XOR to the target; none if they are too many to look at."""
    basis: dict[int, tuple[int, int]] = {}  # by leading bit: a combination of columns, and which they are
    free: list[int] = []
    for place, column in enumerate(columns):
        value, used = _reduce(column, 1 << place, basis)
        if value:
            basis[value.bit_length()] = (value, used)
        else:
            free.append(used)
    rest, solution = _reduce(target, 0, basis)
    if rest or len(free) > MOST_FREE:
        return
    for choice in range(1 << len(free)):
        point = solution
        for place, used in enumerate(free):
            if choice >> place & 1:
                point ^= used
        yield point


def _reduce(value: int, used: int, basis: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """Eliminate leading bits as far as the basis goes."""
    while value and (found := basis.get(value.bit_length())):
        value, used = value ^ found[0], used ^ found[1]
    return value, used


def _parity(marks: int, index: int, pair: Symbols) -> int:
    """Compute the syndromes, as bits, of a word that has this mark and zeros elsewhere."""
    table = _parity_table(marks)
    total = 0
    for place, symbol in enumerate(pair):
        for bit in range(SYMBOL_BITS):
            if symbol >> bit & 1:
                total ^= table[index * MARK_SYMBOLS + place][bit]
    return total


@lru_cache(maxsize=MOST_MARKS)
def _parity_table(marks: int) -> list[list[int]]:
    """Tabulate the syndromes of every single bit: by symbol, then by bit."""
    size, checks = marks * MARK_SYMBOLS, int(codec(marks).nsym)
    table = []
    for place in range(size):
        row = []
        for bit in range(SYMBOL_BITS):
            word = bytearray(size)
            word[place] = 1 << bit
            row.append(int.from_bytes(bytes(rs_calc_syndromes(word, checks)[1:]), "big"))
        table.append(row)
    return table


_UNIT_PAIRS = [(1 << bit, 0) for bit in range(SYMBOL_BITS)] + [(0, 1 << bit) for bit in range(SYMBOL_BITS)]
