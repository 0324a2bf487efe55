"""Windows: what is measured of them does not depend on which go together, nor on what is blank beside them."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from tests.wam.synthetic import message, noise, pattern_at, posed
from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.sliding_windows import Box, Window, all_boxes, cut, sweep
from wam.detection.view import Unexplained
from wam.signal.pattern import Carrier

SIZE = (192, 1500)


def page(carrier: Carrier) -> torch.Tensor:
    """A marked place at the left, and paper."""
    field = 1e-3 * noise(SIZE)
    field[:, :400] = 0.3 * (pattern_at(carrier, message(1), posed(17.0, 1.1), SIZE) + noise(SIZE))[:, :400]
    return field


@pytest.mark.parametrize("size", [(192, 192), (100, 1000), (500, 300), (193, 385)])
def test_windows_cover_a_view_and_overlap_by_half(size: tuple[int, int]) -> None:
    boxes = all_boxes(size, SEARCH)
    covered = torch.zeros(size)
    for box in boxes:
        cut(covered, box).add_(1)
    side = SEARCH.windows.side
    assert bool((covered > 0).all()) and len(set(boxes)) == len(boxes)
    assert {(bottom - top, right - left) for top, left, bottom, right in boxes} == {
        (min(side, size[0]), min(side, size[1]))
    }
    lefts = sorted({box[1] for box in boxes})
    assert all(after - before <= side // 2 for before, after in pairwise(lefts))


@pytest.mark.parametrize("explained", [False, True])
def test_windows_are_measured_alike_whatever_goes_with_them(carrier: Carrier, explained: bool) -> None:
    """The comb and the lattices, of windows in their order, the other way round and one by one."""
    pattern, available = page(carrier), torch.ones(SIZE)
    if explained:
        available[:, 300:330] = 0
    boxes = all_boxes(SIZE, SEARCH)

    def measured(*groups: list[Box]) -> list[Window]:
        swept = [sweep(pattern, available, group, SEARCH, fine=True).windows for group in groups]
        return sorted((one for windows in swept for one in windows), key=lambda one: one.box)

    usual = measured(boxes)
    assert any(one.lattices is not None for one in usual) and any(one.lift == 0 for one in usual)
    for others in (measured(boxes[::-1]), measured(*([box] for box in boxes))):
        for one, same in zip(usual, others, strict=True):
            assert (one.box, one.area) == (same.box, same.area)
            for name in ("lift", "fine_lift", "fine_standing", "prominence"):
                assert getattr(one, name) == pytest.approx(getattr(same, name), rel=1e-3, abs=1e-3)


def test_what_is_left_of_windows_is_counted() -> None:
    left = Unexplained(torch.ones(SIZE))
    boxes = all_boxes(SIZE, SEARCH)
    full = [float(192 * 192)] * len(boxes)
    assert left.areas(boxes) == full == [left.area(box) for box in boxes] and left.weights() is None
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[20:170, 333:900] = True
    left.take(mask)
    assert left.takes == 1 and left.weights() is left.map
    assert left.areas(boxes) == [left.area(box) for box in boxes] != full
    assert left.area() == SIZE[0] * SIZE[1] - 150 * 567 and left.areas([]) == []


def test_blank_windows_are_left_out_of_what_windows_show_together(carrier: Carrier) -> None:
    boxes = all_boxes(SIZE, SEARCH)
    everything = sweep(page(carrier), torch.ones(SIZE), boxes, SEARCH).together
    shown = [box for box in boxes if box[1] < 400]
    marked = sweep(page(carrier), torch.ones(SIZE), shown, SEARCH).together
    assert everything is not None and marked is not None and len(shown) < len(boxes)
    torch.testing.assert_close(everything.values, marked.values)
