"""Captions: beside what they name, inside the picture, apart from one another, near what they name."""

from __future__ import annotations

import numpy as np
import pytest

from wam.pictures.caption_layout import Layout, Place
from wam.region import Region, outline

SIZE = (400, 300)  # width, height


def region(left: int, top: int, width: int, height: int, *, size: tuple[int, int] = SIZE) -> Region:
    mask = np.zeros((size[1], size[0]), bool)
    mask[top : top + height, left : left + width] = True
    return outline(mask, (size[1], size[0]))


def placed(regions: list[Region], caption: tuple[int, int], *, forced: bool = False) -> list[Place]:
    places = Layout(SIZE, regions, gap=2).place([caption] * len(regions), forced=forced)
    assert places is not None
    return places


def overlaps(one: Place, other: Place) -> bool:
    a, b = one.box, other.box
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_a_caption_goes_beside_its_region_when_there_is_room() -> None:
    (place,) = placed([region(100, 50, 200, 200)], (80, 40))
    left, top, right, bottom = place.box
    assert place.line is None
    assert not overlaps(place, Place((100, 50, 300, 250), None, 0.0))
    assert 90 <= left < right <= 310 and (bottom <= 50 or top >= 250)  # above it or below
    assert (right - left, bottom - top) == (80, 40)


def test_a_caption_goes_into_a_region_that_fills_the_picture() -> None:
    (place,) = placed([region(0, 0, 400, 300)], (80, 40))
    assert place.line is None and max(place.box[:2]) < 20  # its upper left corner


def test_a_small_region_is_named_beside_it() -> None:
    (place,) = placed([region(190, 140, 12, 12)], (80, 40))
    assert place.line is None
    assert not overlaps(place, Place((190, 140, 202, 152), None, 0.0))
    assert overlaps(place, Place((180, 130, 212, 162), None, 0.0))


def test_where_others_are_all_around_a_line_leads_there() -> None:
    around = [region(100, 50, 90, 200), region(202, 50, 90, 200), region(190, 50, 12, 90), region(190, 152, 12, 98)]
    place = placed([region(190, 140, 12, 12), *around], (80, 40))[0]
    assert place.line is not None
    (x, y), (to_x, to_y) = place.line
    assert 190 <= to_x <= 202 and 140 <= to_y <= 152
    assert x in (place.box[0], place.box[2]) or y in (place.box[1], place.box[3])
    assert not overlaps(place, Place((100, 50, 292, 250), None, 0.0))


def test_a_caption_between_two_regions_is_avoided() -> None:
    """It could be taken for that of either."""
    places = placed([region(100, 20, 200, 100), region(100, 170, 200, 100)], (80, 40))
    assert [place.box[1] < 120 or place.box[3] > 170 for place in places] == [True, True]
    assert not any(overlaps(place, Place((100, 120, 300, 170), None, 0.0)) for place in places)


@pytest.mark.parametrize("corner", [(0, 0), (390, 0), (0, 290), (390, 290)])
def test_captions_stay_in_the_picture(corner: tuple[int, int]) -> None:
    (place,) = placed([region(*corner, 10, 10)], (150, 60))
    left, top, right, bottom = place.box
    assert 0 <= left < right <= SIZE[0] and 0 <= top < bottom <= SIZE[1]


def test_twelve_captions_do_not_cover_one_another() -> None:
    regions = [region(100 * (index % 4), 100 * (index // 4), 100, 100) for index in range(12)]
    places = placed(regions, (90, 40))
    assert not any(overlaps(one, other) for index, one in enumerate(places) for other in places[:index])


def test_captions_of_regions_in_one_another_are_apart() -> None:
    places = placed([region(0, 0, 400, 300), region(5, 5, 120, 100), region(10, 10, 60, 50)], (110, 40))
    assert not any(overlaps(one, other) for index, one in enumerate(places) for other in places[:index])


def test_a_caption_avoids_the_other_regions() -> None:
    left, right = placed([region(0, 0, 200, 300), region(200, 0, 200, 300)], (100, 40))
    assert left.box[2] <= 200 <= right.box[0]


def test_where_there_is_no_room_there_are_no_places() -> None:
    regions = [region(0, 0, 200, 300), region(200, 0, 200, 300)]
    assert Layout(SIZE, regions, gap=2).place([(390, 200)] * 2) is None


def test_forced_captions_all_have_a_place() -> None:
    regions = [region(0, 0, 200, 300), region(200, 0, 200, 300)]
    assert len(placed(regions, (390, 200), forced=True)) == 2


def test_a_caption_larger_than_the_picture_starts_at_its_corner() -> None:
    (place,) = placed([region(0, 0, 400, 300)], (500, 400), forced=True)
    assert place.box[:2] == (0, 0)


def test_a_region_without_outline_is_named_at_its_box() -> None:
    (place,) = placed([Region((300, 200, 0, 0), 0.0, ())], (60, 30))
    assert abs(place.box[0] - 300) < 100 and abs(place.box[1] - 200) < 100
