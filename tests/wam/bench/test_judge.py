"""What is counted, on readings made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from payload import bits_from_word
from tests.wam.bench.doubles import reading
from wam.bench.judge import judge, overlap
from wam.bench.views import View
from wam.bench.words import WordBook, seed_of

BOOK = WordBook.of(0)
WORDS = (BOOK.word(0), BOOK.word(1))


def half(side: str) -> np.ndarray:
    mask = np.zeros((8, 8), dtype=bool)
    mask[:, slice(0, 4) if side == "left" else slice(4, 8)] = True
    return mask


def view(*sides: str) -> View:
    truths = torch.from_numpy(np.array([half(side) for side in sides], dtype=bool).reshape(len(sides), 8, 8))
    return View(torch.zeros(1, 3, 8, 8), truths, WORDS[: len(sides)])


def bits(word: int, *, wrong: int = 0) -> str:
    right = bits_from_word(word)
    return "".join(str(1 - int(bit)) for bit in right[:wrong]) + right[wrong:]


def test_the_margin_of_a_mark_is_that_of_its_reading() -> None:
    found = replace(reading(bits(WORDS[0]), half("left")), margin_db=41.25)
    first, second = judge(view("left", "right"), [found], BOOK, decides=True).marks
    assert (first.margin_db, second.margin_db) == (41.25, None)


def test_marks_are_matched_by_overlap_not_by_order() -> None:
    found = [reading(bits(WORDS[1]), half("right")), reading(bits(WORDS[0]), half("left"))]
    result = judge(view("left", "right"), found, BOOK, decides=True)
    assert [mark.bits for mark in result.marks] == [1.0, 1.0]
    assert [mark.iou for mark in result.marks] == [1.0, 1.0]
    assert all(mark.found and mark.word and mark.record for mark in result.marks)
    assert (result.detections, result.wrong, result.foreign) == (2, 0, 0)


def test_a_missed_mark_counts_half_of_its_bits() -> None:
    result = judge(view("left", "right"), [reading(bits(WORDS[0]), half("left"))], BOOK, decides=True)
    missed = result.marks[1]
    assert (missed.found, missed.bits, missed.word, missed.record, missed.iou) == (False, 0.5, False, False, None)


def test_a_detection_elsewhere_is_not_one_of_several_marks() -> None:
    corner = np.zeros((8, 8), dtype=bool)
    corner[0, 7] = True
    result = judge(view("left", "right"), [reading(bits(WORDS[0]), corner)], BOOK, decides=True)
    assert [mark.found for mark in result.marks] == [False, False]


def test_a_mark_alone_is_found_wherever_its_mask_lies() -> None:
    result = judge(view("left"), [reading(bits(WORDS[0]), half("right"))], BOOK, decides=True)
    assert result.marks[0].found and result.marks[0].iou == 0.0


def test_one_wrong_bit_is_corrected() -> None:
    (mark,) = judge(view("left"), [reading(bits(WORDS[0], wrong=1), half("left"))], BOOK, decides=True).marks
    assert mark.bits == 31 / 32 and mark.word and mark.record


def test_a_wrong_record_is_counted_and_spoils_the_right_one() -> None:
    found = [reading(bits(WORDS[0]), half("left")), reading(bits(WORDS[1]), half("right"))]
    result = judge(view("left"), found, BOOK, decides=True)
    assert result.wrong == 1
    assert result.marks[0].word and not result.marks[0].record


def test_records_of_the_other_registry_are_counted() -> None:
    foreign = bits_from_word(int(BOOK.foreign[3]))
    assert judge(view("left"), [reading(foreign, half("left"))], BOOK, decides=True).foreign == 1


def test_a_faint_reading_counts_only_with_a_record() -> None:
    named = reading(bits(WORDS[0]), half("left"), plain=False, log10_p=-2.0)
    nameless = reading("01" * 16, half("left"), plain=False, log10_p=-2.0)
    assert judge(view("left"), [named], BOOK, decides=True).marks[0].record
    result = judge(view("left"), [nameless], BOOK, decides=True)
    assert result.detections == 0 and result.marks[0].found is False


def test_a_method_that_always_reads_has_no_presence_and_no_mask() -> None:
    result = judge(view("left"), [reading(bits(WORDS[0]), log10_p=0.0)], BOOK, decides=False)
    assert result.marks[0].found is None and result.marks[0].iou is None
    assert result.marks[0].record and result.detections == 0


def test_overlap() -> None:
    assert overlap(half("left"), half("left")) == 1.0
    assert overlap(half("left"), half("right")) == 0.0
    assert overlap(half("left"), np.ones((8, 8), dtype=bool)) == pytest.approx(0.5)
    assert overlap(np.zeros((8, 8), dtype=bool), np.zeros((8, 8), dtype=bool)) == 0.0


def test_words_come_from_the_seed() -> None:
    assert WordBook.of(0).word(7, 2) == BOOK.word(7, 2) != WordBook.of(1).word(7, 2)
    nearby = [BOOK.word(photo, mark) for photo in range(20) for mark in range(9)]
    assert len(set(nearby)) == len(nearby)
    assert not set(BOOK.own.tolist()) & set(BOOK.foreign.tolist())


def test_seeds_depend_on_every_part() -> None:
    assert len({seed_of(0, "a", "b"), seed_of(1, "a", "b"), seed_of(0, "ab", ""), seed_of(0, "a", "c")}) == 4
    assert 0 <= seed_of("x") < 2**63
