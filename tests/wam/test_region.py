"""Outlines: boxes, areas and polygons of masks with known shapes."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Polygon

from wam.region import POINTS, SMALLEST, Region, keep_large_parts, outline, reading_order


def rectangle(top: int, left: int, bottom: int, right: int, *, size: tuple[int, int] = (100, 150)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def covered(region: Region) -> float:
    return sum(Polygon(polygon).area for polygon in region.polygons)


def test_a_rectangle() -> None:
    region = outline(rectangle(20, 30, 60, 110), (100, 150))
    assert region.bbox == (30, 20, 80, 40)
    assert region.area == pytest.approx(80 * 40 / 15000, abs=1e-6)
    (polygon,) = region.polygons
    assert Polygon(polygon).bounds == (30, 20, 110, 60)
    assert covered(region) == pytest.approx(80 * 40, rel=0.01)


def test_a_whole_picture() -> None:
    region = outline(np.ones((100, 150), bool), (200, 300))
    assert region.bbox == (0, 0, 300, 200) and region.area == 1.0
    assert covered(region) == pytest.approx(60000, rel=0.01)


def test_an_empty_mask() -> None:
    assert outline(np.zeros((20, 30), bool), (200, 300)) == Region((0, 0, 0, 0), 0.0, ())


def test_the_polygon_is_that_of_the_largest_part() -> None:
    region = outline(rectangle(5, 5, 25, 25) | rectangle(40, 40, 90, 100), (100, 150))
    assert len(region.polygons) == 2 and Polygon(region.polygon).bounds == (40, 40, 100, 90)
    assert outline(np.zeros((20, 30), bool), (200, 300)).polygon == ()


def test_a_coarse_mask_is_described_in_pixels_of_the_picture() -> None:
    region = outline(rectangle(20, 30, 60, 110), (250, 300))
    assert region.bbox == (60, 50, 160, 100)
    assert covered(region) == pytest.approx(160 * 100, rel=0.02)


def test_each_part_has_a_polygon() -> None:
    region = outline(rectangle(10, 10, 50, 50) | rectangle(60, 90, 90, 140), (100, 150))
    assert len(region.polygons) == 2
    assert region.bbox == (10, 10, 130, 80)
    assert covered(region) == pytest.approx(40 * 40 + 30 * 50, rel=0.02)


def test_a_speck_is_not_outlined() -> None:
    region = outline(rectangle(10, 10, 60, 70) | rectangle(90, 140, 92, 142), (100, 150))
    assert region.bbox == (10, 10, 60, 50) and len(region.polygons) == 1


def test_holes_are_not_outlined() -> None:
    ring = rectangle(10, 10, 90, 140) & ~rectangle(30, 30, 70, 120)
    region = outline(ring, (100, 150))
    assert len(region.polygons) == 1
    assert region.area == pytest.approx(ring.mean(), abs=1e-6)


def test_a_disc_is_outlined_with_few_points() -> None:
    y, x = np.mgrid[:100, :150]
    disc = (y - 50) ** 2 + (x - 70) ** 2 < 40**2
    (polygon,) = outline(disc, (100, 150)).polygons
    assert len(polygon) < 40
    assert Polygon(polygon).area == pytest.approx(disc.sum(), rel=0.05)


def test_a_ragged_outline_is_limited() -> None:
    ragged = np.repeat(np.random.default_rng(0).integers(5, 90, 400)[None], 100, axis=0) > np.arange(100)[:, None]
    (polygon,) = outline(ragged, (100, 400)).polygons
    assert 3 <= len(polygon) <= POINTS


def test_a_single_pixel() -> None:
    region = outline(rectangle(5, 7, 6, 8), (100, 150))
    assert region.bbox == (7, 5, 1, 1)
    assert all(0 <= x <= 150 and 0 <= y <= 100 for polygon in region.polygons for x, y in polygon)


def test_all_numbers_are_plain_integers() -> None:
    region = outline(rectangle(20, 30, 60, 110), (100, 150))
    assert {type(number) for number in region.bbox} == {int}
    assert {type(number) for polygon in region.polygons for point in polygon for number in point} == {int}


def test_specks_are_dropped_and_parts_are_kept() -> None:
    large, speck, part = rectangle(0, 0, 50, 100), rectangle(90, 140, 95, 145), rectangle(60, 0, 75, 10)
    assert speck.sum() < SMALLEST * large.sum() < part.sum()
    np.testing.assert_array_equal(keep_large_parts(large | speck | part), large | part)


def box(left: int, top: int, width: int, height: int) -> Region:
    return Region((left, top, width, height), 0.1, ())


@pytest.mark.parametrize(
    "boxes",
    [
        [(0, 5, 100, 80), (120, 0, 100, 80), (240, 9, 100, 80)],  # one row, a little uneven
        [(0, 0, 100, 80), (120, 0, 100, 80), (0, 100, 100, 80), (120, 100, 100, 80)],
        [(0, 0, 640, 420), (700, 0, 220, 150), (950, 0, 220, 150), (700, 200, 220, 150)],  # a large one beside small
        [(0, 0, 900, 900), (300, 100, 50, 50), (100, 300, 50, 50)],  # a page with two pasted on it
    ],
)
def test_regions_are_read_as_a_page(boxes: list[tuple[int, int, int, int]]) -> None:
    regions = [box(*one) for one in boxes]
    for start in range(len(regions)):
        turned = regions[start:] + regions[:start]
        assert [turned[place] for place in reading_order(turned)] == regions


def test_nothing_to_read() -> None:
    assert reading_order([]) == []
