"""Rectangles of a given area and their places."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attacks.rectangles import Box, put, sides


@given(st.integers(20, 400), st.integers(20, 400), st.floats(0.05, 1), st.floats(0, 1))
def test_sides_give_the_area(height: int, width: int, area: float, shape: float) -> None:
    found = sides((height, width), area, shape)
    assert 0 < found[0] <= height and 0 < found[1] <= width
    longest = max(height, width)
    assert abs(found[0] * found[1] - area * height * width) <= longest


def test_shape_goes_from_wide_to_tall() -> None:
    wide, square, tall = (sides((100, 100), 0.1, shape) for shape in (0, 0.5, 1))
    assert wide == (22, 45)
    assert square == (32, 31)
    assert tall == (45, 22)


def test_put_reaches_both_ends() -> None:
    assert put((10, 20), (4, 5), 0, 0) == Box(0, 0, 4, 5)
    assert put((10, 20), (4, 5), 0.999, 0.999) == Box(6, 15, 4, 5)


@pytest.mark.parametrize("box", [Box(1, 2, 3, 4), Box(0, 0, 0, 0)])
def test_mask_has_the_area_of_the_box(box: Box) -> None:
    mask = box.mask((6, 8))
    assert mask.sum() == box.height * box.width
    assert torch.equal(mask[box.index], torch.ones(box.height, box.width))
