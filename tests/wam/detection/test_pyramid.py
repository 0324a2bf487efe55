"""The resolutions that a picture is looked at from."""

from __future__ import annotations

import pytest

from wam.detection.config import DEFAULT_SEARCH
from wam.detection.pyramid import pyramid, view_sizes

PYRAMID = DEFAULT_SEARCH.pyramid


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (32, [32, 256]),
        (64, [64, 256]),
        (100, [100, 256, 62]),
        (256, [256, 160, 100, 62]),
        (400, [256, 160, 100, 62, 400]),
        (430, [256, 160, 100, 62, 430]),
        (750, [256, 160, 100, 62, 438, 750]),
        (1024, [256, 160, 100, 62, 512, 1024]),
    ],
)
def test_pyramid(side: int, sides: list[int]) -> None:
    assert list(pyramid(side, PYRAMID)) == sides


def test_pyramid_of_a_large_picture_is_bounded() -> None:
    views = list(view_sizes(10_000, 10_000, PYRAMID))
    assert views[0] == (256, (256, 256))
    assert min(side for side, _ in views) >= PYRAMID.coarsest
    assert PYRAMID.largest_view / 3 < max(size[0] * size[1] for _, size in views) <= PYRAMID.largest_view
    assert len(views) < 10
