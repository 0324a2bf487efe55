"""Cells: every pixel in one of them, all about as large, and room that grows with the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wam.signal.mark_grid import LEAST_AREA, WORKING_SIDES, divide, room, working_side

SIDES = st.integers(64, 4000)


@given(SIDES, SIDES, st.integers(1, 32))
def test_cells_cover_the_picture_once(height: int, width: int, count: int) -> None:
    cells = divide(height, width, count)
    assert len(cells) == count
    assert sum(cell.height * cell.width for cell in cells) == height * width
    assert max(cell.top + cell.height for cell in cells) == height
    assert max(cell.left + cell.width for cell in cells) == width


@pytest.mark.parametrize("count", [7, 11, 12, 17, 32])
@pytest.mark.parametrize("size", [(512, 768), (768, 512), (600, 600)])
def test_cells_are_about_square_and_of_one_size(size: tuple[int, int], count: int) -> None:
    cells = divide(*size, count)
    areas = [cell.height * cell.width for cell in cells]
    assert max(areas) < 2.1 * min(areas)
    assert all(0.45 < cell.width / cell.height < 2.2 for cell in cells)


def test_the_working_side_is_the_smallest_with_room_for_all() -> None:
    assert working_side(1500, 2000, 4) == 256
    assert working_side(1500, 2000, 12) == 410
    assert working_side(1500, 2000, 32) == 655
    assert working_side(400, 500, 12) == 400  # the picture's own: it is never enlarged
    assert working_side(3000, 3000, 60) == WORKING_SIDES[-1]


def test_working_sides_are_those_that_detection_looks_from() -> None:
    steps = np.array(WORKING_SIDES[1:]) / np.array(WORKING_SIDES[:-1])
    np.testing.assert_allclose(steps, 1.6, rtol=0.005)


@given(SIDES, SIDES)
def test_what_there_is_room_for_has_cells_of_the_least_area(height: int, width: int) -> None:
    count = room(height, width)
    if count:
        side = working_side(height, width, count)
        assert side * side * max(height, width) / min(height, width) / count >= LEAST_AREA
