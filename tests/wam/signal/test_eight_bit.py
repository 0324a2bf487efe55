"""Pictures of 8 bits, taken in strips, against the same as floats."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wam.signal.eight_bit import as_given, floats, resized, view_of
from wam.signal.filters import luma, resize, to_pixels

PIXELS = np.random.default_rng(2).integers(0, 256, (2500, 2300, 3), dtype=np.uint8)  # several strips
VIEW = view_of(PIXELS)


@pytest.mark.parametrize("size", [(64, 59), (2500, 400), (300, 2300), (2500, 2300), (2300, 2299)])
def test_strips_are_resized_as_the_whole_is(size: tuple[int, int]) -> None:
    assert torch.equal(resize(VIEW, size), resize(floats(VIEW), size))


def test_what_is_made_of_strips_is_resized_as_that_of_the_whole_is() -> None:
    assert torch.equal(resized(VIEW, (64, 59), luma), resize(luma(floats(VIEW)), (64, 59)))


def test_samples_come_back_as_they_were_given() -> None:
    assert (to_pixels(as_given(floats(VIEW), VIEW)[0]) == PIXELS).all()
    assert (to_pixels(VIEW[0]) == PIXELS).all()
    assert as_given(floats(VIEW), floats(VIEW)).dtype == torch.float32
