"""Sketches of pictures, and parts compared with them."""

from __future__ import annotations

import numpy as np
import pytest

from payload.sketch import CELL, MOST_CELLS, Sketch

PERIOD = 32 // CELL


def cells(seed: int, shape: tuple[int, int] = (32, 48)) -> np.ndarray:
    """Mean values of a picture of many shapes, 8-bit levels."""
    return np.random.default_rng(seed).normal(128, 30, shape)


def test_a_part_agrees_where_it_was_cut_from_a_whole_number_of_periods_away() -> None:
    whole = cells(0)
    sketch = Sketch.of(whole)
    part = whole[8:20, 12:32]
    found = sketch.compare(part, np.ones(part.shape, bool), period=PERIOD)
    assert found.share == 1 and found.edges > 150
    elsewhere = whole[9:21, 13:33]  # no whole number of periods: its place is known better than that
    assert sketch.compare(elsewhere, np.ones(part.shape, bool), period=PERIOD).share < 0.7


def test_another_picture_agrees_by_halves() -> None:
    sketch = Sketch.of(cells(0))
    found = [sketch.compare(cells(seed), np.ones((32, 48), bool), period=PERIOD).share for seed in range(1, 6)]
    assert max(found) < 0.65


def test_tone_and_contrast_do_not_matter_and_noise_matters_little() -> None:
    whole = cells(0)
    changed = 60 + 0.5 * whole + np.random.default_rng(9).normal(0, 1.5, whole.shape)
    assert Sketch.of(whole).compare(changed, np.ones(whole.shape, bool), period=PERIOD).share > 0.95


def test_what_is_not_seen_does_not_count_and_flat_parts_say_nothing() -> None:
    whole = cells(0)
    foreign = np.where(np.arange(48) < 24, whole, cells(1))
    seen = np.broadcast_to(np.arange(48) < 24, whole.shape)
    assert Sketch.of(whole).compare(foreign, seen, period=PERIOD).share == 1
    flat = Sketch.of(whole).compare(np.full((12, 12), 90.0), np.ones((12, 12), bool), period=PERIOD)
    assert (flat.share, flat.edges) == (0, 0)


@pytest.mark.parametrize("shape", [(2, 2), (32, 48), (32, 5000)])
def test_text_reads_back(shape: tuple[int, int]) -> None:
    sketch = Sketch.of(cells(3, shape))
    again = Sketch.from_text(sketch.to_text())
    assert (again.right == sketch.right).all() and (again.down == sketch.down).all()
    assert sketch.shape == (shape[0], min(shape[1], MOST_CELLS // shape[0]))


@pytest.mark.parametrize(
    "text",
    ["", "2x2", "2x2:", "2x2:oA", "2x2:oAAA", "1x9:oA==", "+2x2:oA==", "2x2:oQ==", "9999999x9999999:oA==", "2x2:ö"],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a sketch"):
        Sketch.from_text(text)


def test_a_picture_of_one_row_has_no_sketch() -> None:
    with pytest.raises(ValueError, match="larger picture"):
        Sketch.of(np.ones((1, 30)))
