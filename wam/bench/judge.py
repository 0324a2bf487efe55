"""From what was read to what is counted: marks found, bits, words, records, masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from payload import Match, bits_from_word, read_word
from payload.layout import Words
from wam.bench.contenders import Reading
from wam.bench.view import View
from wam.bench.words import WordBook

OVERLAP = 0.1  # IoU from which a detection counts as one of several marks
CHANCE = 0.5  # bit accuracy of a mark that was not found


@dataclass(frozen=True)
class MarkScore:
    """One embedded mark. ``area`` share of the picture; ``found`` None where the method does not decide presence;
    ``iou`` None where there is no mask; ``word``: all 32 bits right after correction; ``record``: the right one named,
    and no wrong one in the picture; ``margin_db`` evidence over the threshold, None for a mark that was not found."""

    area: float
    found: bool | None
    bits: float
    word: bool
    record: bool
    iou: float | None
    margin_db: float | None = None


@dataclass(frozen=True)
class Judgement:
    """One picture. ``detections``: marks that were reported; ``wrong``: records named that are not in the picture;
    ``foreign``: records of a registry that has nothing to do with it, named by the same readings."""

    marks: tuple[MarkScore, ...]
    detections: int
    wrong: int
    foreign: int

    def to_dict(self) -> dict[str, Any]:
        """For results.jsonl."""
        return asdict(self)


def judge(view: View, readings: Sequence[Reading], book: WordBook, *, decides: bool) -> Judgement:
    """Compare a picture's readings with its marks, matched by overlap.

    As in ``wam detect``, a faint reading counts only if it names a record.
    """
    matched = [(reading, _match(reading, book.own)) for reading in readings]
    kept = [(r, m) for r, m in matched if r.plain or m.status == "verified"]
    named = [match.word for _, match in kept if match.status == "verified"]
    wrong = sum(word not in view.words for word in named)
    foreign = sum(_match(reading, book.foreign).status == "verified" for reading in readings)
    truths = view.truths.numpy()
    pairs = _pair([reading for reading, _ in kept], truths)
    marks = []
    for index, word in enumerate(view.words):
        pair = kept[pairs[index]] if index in pairs else None
        marks.append(_score(pair, truths[index], word, clean=not wrong, decides=decides))
    return Judgement(tuple(marks), len(kept) if decides else 0, wrong, foreign)


def overlap(mask: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """Intersection over union of two (H, W) bool, 0 where both are empty."""
    union = int((mask | truth).sum())
    return int((mask & truth).sum()) / union if union else 0.0


def _match(reading: Reading, words: Words) -> Match:
    return read_word(reading.logits, words, presence_log10_p=reading.presence_log10_p)


def _pair(readings: Sequence[Reading], truths: npt.NDArray[np.bool_]) -> dict[int, int]:
    """Mark -> reading: the pairing with the largest total overlap. A mark alone takes the surest reading if none
    overlaps it, since presence and place are counted apart."""
    if not readings or not len(truths):
        return {}
    table = np.array([[_overlap_with(reading, truth) for reading in readings] for truth in truths])
    marks, chosen = linear_sum_assignment(table, maximize=True)
    least = OVERLAP if len(truths) > 1 else 0.0
    pairs = {int(m): int(r) for m, r in zip(marks, chosen, strict=True) if table[m, r] > least}
    return pairs if len(truths) > 1 else {0: pairs.get(0, 0)}


def _overlap_with(reading: Reading, truth: npt.NDArray[np.bool_]) -> float:
    return 0.0 if reading.mask is None else overlap(reading.mask, truth)


def _score(
    pair: tuple[Reading, Match] | None, truth: npt.NDArray[np.bool_], word: int, *, clean: bool, decides: bool
) -> MarkScore:
    area = float(truth.mean())
    if pair is None:
        return MarkScore(area, False if decides else None, CHANCE, False, False, None)
    reading, match = pair
    bits = bits_from_word(word)
    right = sum(a == b for a, b in zip(match.bits, bits, strict=True)) / len(bits)
    record = clean and match.status == "verified" and match.word == word
    iou = None if reading.mask is None else overlap(reading.mask, truth)
    margin = None if reading.margin_db is None else round(reading.margin_db, 2)
    return MarkScore(area, True if decides else None, right, bits in (match.bits, match.message), record, iou, margin)
