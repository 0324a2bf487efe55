from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payload.layout import LEAST_DATA_MARKS, MOST_DATA_MARKS, MOST_MARKS, bits_from_word, data_marks, marks_for
from payload.records.erasure_code import frame_sizes, join_frame, split_frame

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "record_vectors.json").read_text())
FRAMES = st.integers(LEAST_DATA_MARKS, MOST_DATA_MARKS).flatmap(
    lambda data: st.binary(min_size=2 * data, max_size=2 * data)
)


def symbols_of(frame: bytes) -> dict[int, tuple[int, int]]:
    return {mark.index: mark.symbols for mark in split_frame(frame)}


@pytest.mark.parametrize(
    "known", [*VECTORS["records"], VECTORS["version_2"]], ids=lambda known: f"{len(known['marks'])} marks"
)
def test_frames_split_into_the_known_marks(known: dict) -> None:
    marks = split_frame(bytes.fromhex(known["frame"]))
    assert [bits_from_word(mark.word) for mark in marks] == known["marks"]
    assert {mark.tag for mark in marks} == {known["tag"]}


@given(FRAMES, st.data())
def test_any_third_of_the_marks_may_be_lost(frame: bytes, data: st.DataObject) -> None:
    symbols = symbols_of(frame)
    marks = len(symbols)
    lost = data.draw(st.sets(st.integers(0, marks - 1), max_size=marks // 3))
    kept = {index: pair for index, pair in symbols.items() if index not in lost}
    assert next(join_frame(kept, marks)) == frame


@given(FRAMES, st.data())
def test_half_as_many_wrong_marks_are_corrected(frame: bytes, data: st.DataObject) -> None:
    symbols = symbols_of(frame)
    marks = len(symbols)
    wrong = data.draw(st.sets(st.integers(0, marks - 1), max_size=(marks - data_marks(marks)) // 2))
    for index in wrong:
        symbols[index] = (symbols[index][0] ^ 1, symbols[index][1] ^ 0x80)
    assert next(join_frame(symbols, marks)) == frame


@given(FRAMES, st.data())
def test_doubtful_marks_are_dropped_until_the_rest_agrees(frame: bytes, data: st.DataObject) -> None:
    symbols = symbols_of(frame)
    marks = len(symbols)
    wrong = data.draw(st.permutations(range(marks)))[: marks - data_marks(marks)]
    for index in wrong:
        symbols[index] = (symbols[index][0] ^ 7, symbols[index][1] ^ 9)
    assert frame in list(join_frame(symbols, marks, doubtful=wrong))


def test_fewer_marks_than_needed_give_nothing() -> None:
    symbols = symbols_of(bytes(range(16)))
    few = {index: symbols[index] for index in range(data_marks(12) - 1)}
    assert list(join_frame(few, 12)) == []


@pytest.mark.parametrize("size", [0, 12, 15, 44])
def test_frames_of_another_size_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"expected 14 to 42 bytes, an even number, found {size}"):
        split_frame(bytes(size))


def test_sizes_are_those_that_the_marks_read_allow() -> None:
    assert frame_sizes(7) == [11]
    assert frame_sizes(9) == [11, 12, 14]
    assert frame_sizes(MOST_MARKS) == [marks_for(data) for data in range(LEAST_DATA_MARKS, MOST_DATA_MARKS + 1)]
