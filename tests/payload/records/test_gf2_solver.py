from __future__ import annotations

import numpy as np
import pytest

from payload.records.erasure_code import split_frame
from payload.records.gf2_solver import consistent_choices

RNG = np.random.default_rng(11)


def frames(count: int, *, size: int = 16) -> list[bytes]:
    return [RNG.bytes(size) for _ in range(count)]


def pooled(made: list[bytes], lost: dict[int, set[int]]) -> dict[int, list[tuple[int, int]]]:
    """Marks of all frames by index, in an order that says nothing; `lost` maps frame to indices."""
    candidates: dict[int, list[tuple[int, int]]] = {}
    for number, frame in enumerate(made):
        for mark in split_frame(frame):
            if mark.index not in lost.get(number, set()):
                candidates.setdefault(mark.index, []).append(mark.symbols)
    return {index: sorted(set(options)) for index, options in candidates.items()}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_record_is_among_the_consistent_choices(count: int) -> None:
    made = frames(count)
    chosen = list(consistent_choices(pooled(made, {}), 12))
    assert len(chosen) == count
    for frame in made:
        assert {mark.index: mark.symbols for mark in split_frame(frame)} in chosen


def test_marks_that_neither_record_has_are_unknown() -> None:
    made = frames(2)
    chosen = list(consistent_choices(pooled(made, {0: {0, 5}, 1: {0, 5}}), 12))
    for frame in made:
        assert {m.index: m.symbols for m in split_frame(frame) if m.index not in (0, 5)} in chosen


def test_a_mark_that_only_one_record_has_belongs_to_it() -> None:
    made = frames(2)
    chosen = list(consistent_choices(pooled(made, {1: {3}}), 12))
    assert chosen == [{mark.index: mark.symbols for mark in split_frame(made[0])}]


def test_marks_of_no_code_word_have_no_consistent_choice() -> None:
    candidates = {index: [(int(a), int(b))] for index, (a, b) in enumerate(RNG.integers(0, 256, (12, 2)))}
    assert list(consistent_choices(candidates, 12)) == []


def test_too_many_unknowns_are_not_searched() -> None:
    candidates = pooled(frames(2), {number: set(range(6)) for number in range(2)})
    assert list(consistent_choices(candidates, 12)) == []
