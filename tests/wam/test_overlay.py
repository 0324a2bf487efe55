"""Overlays: what is drawn, where, and what is left alone."""

from __future__ import annotations

import numpy as np

from wam.outline import Region
from wam.overlay import COLOURS, overlay

PIXELS = np.full((200, 300, 3), 120, np.uint8)
SQUARE = Region((100, 60, 100, 100), 1 / 6, (((100, 60), (200, 60), (200, 160), (100, 160)),))
CORNER = Region((260, 180, 40, 20), 0.01, (((260, 180), (300, 180), (300, 200), (260, 200)),))


def drawn(*regions: Region) -> np.ndarray:
    return np.asarray(overlay(PIXELS, regions, [f"mark {number}" for number in range(len(regions))]))


def test_nothing_found_is_the_picture_itself() -> None:
    np.testing.assert_array_equal(drawn(), PIXELS)


def test_the_region_is_outlined_and_tinted() -> None:
    picture = drawn(SQUARE)
    assert (picture[:, :90] == 120).all() and (picture[175:] == 120).all()
    assert tuple(picture[110, 200]) == COLOURS[0]
    inside = picture[140, 150].astype(int)
    assert (np.sign(inside - 120) == np.sign(np.array(COLOURS[0]) - 120)).all()


def test_the_caption_is_written_inside_the_picture() -> None:
    plain, captioned = (np.asarray(overlay(PIXELS, [CORNER], [text])) for text in ("", "123 · acme · wm:7Q3F-K2ND"))
    changed = np.argwhere((plain != captioned).any(-1))
    assert len(changed) > 200
    assert changed.max(0).tolist() < [200, 300]
    assert changed[:, 1].min() > 4 and changed[:, 1].max() < 298


def test_each_region_has_a_colour_of_its_own() -> None:
    shifted = Region((20, 60, 60, 100), 0.1, (((20, 60), (80, 60), (80, 160), (20, 160)),))
    picture = drawn(SQUARE, shifted)
    assert tuple(picture[110, 200]) == COLOURS[0]
    assert tuple(picture[110, 20]) == COLOURS[1]


def test_more_regions_than_colours_can_be_drawn() -> None:
    assert drawn(*[SQUARE] * (len(COLOURS) + 1)).shape == PIXELS.shape


def test_a_region_without_polygons_is_only_captioned() -> None:
    empty = Region((100, 60, 0, 0), 0.0, ())
    picture = drawn(empty)
    assert (picture[:50] == 120).all() and (picture != 120).any()


def test_the_pixels_given_are_left_alone() -> None:
    before = PIXELS.copy()
    drawn(SQUARE)
    np.testing.assert_array_equal(PIXELS, before)
