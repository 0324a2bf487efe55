"""Outlines: a mask of any resolution -> bounding box, area and polygons in pixels of the full picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import LinearRing, Polygon

SMALLEST = 0.02  # share of the largest part below which a part of a mask is not outlined
TOLERANCE = 1.5  # mask pixels by which a polygon may cut corners
POINTS = 200  # most vertices a polygon keeps


@dataclass(frozen=True)
class Region:
    """Where a watermark is, in pixels of the picture as shown.

    ``bbox`` x, y, width, height; ``area`` share of the picture; ``polygons`` outer outlines as (x, y) vertices.
    """

    bbox: tuple[int, int, int, int]
    area: float
    polygons: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def polygon(self) -> tuple[tuple[int, int], ...]:
        """The outline of its largest part; empty where nothing is outlined."""
        solid = (polygon for polygon in self.polygons if len(polygon) > 2)
        return max(solid, key=lambda polygon: Polygon(polygon).area, default=())


def reading_order(regions: Sequence[Region]) -> list[int]:
    """The places of regions as people read a page: row by row from the top, each from the left.

    >>> boxes = [(200, 10, 50, 50), (0, 90, 50, 50), (0, 0, 50, 50)]
    >>> reading_order([Region(box, 0.1, ()) for box in boxes])
    [2, 0, 1]
    """
    boxes = [region.bbox for region in regions]
    rest = sorted(range(len(boxes)), key=lambda place: (boxes[place][1], boxes[place][0]))
    order: list[int] = []
    while rest:
        _, top, _, height = boxes[rest[0]]
        row = [place for place in rest if place == rest[0] or _share_a_row(top, height, *boxes[place][1::2])]
        order += sorted(row, key=lambda place: boxes[place][0])
        rest = [place for place in rest if place not in row]
    return order


def _share_a_row(top: int, height: int, other_top: int, other_height: int) -> bool:
    """Whether two boxes are beside one another for more than half of the taller one."""
    beside = min(top + height, other_top + other_height) - max(top, other_top)
    return 2 * beside > max(height, other_height)


def outline(mask: NDArray[np.bool_], size: tuple[int, int]) -> Region:
    """Describes a mask (h, w) in pixels of a picture of ``size`` (height, width)."""
    from scipy import ndimage
    from skimage import measure  # seconds to import, and most runs need it late or never

    contours_of: Callable[[NDArray[np.float64], float], list[NDArray[np.float64]]] = measure.find_contours

    height, width = size
    scale_y, scale_x = height / mask.shape[0], width / mask.shape[1]
    kept = keep_large_parts(mask)
    rows, columns = np.flatnonzero(kept.any(1)), np.flatnonzero(kept.any(0))
    if not len(rows):
        return Region((0, 0, 0, 0), 0.0, ())
    left, top = round(columns[0] * scale_x), round(rows[0] * scale_y)
    right, bottom = round((columns[-1] + 1) * scale_x), round((rows[-1] + 1) * scale_y)
    first = np.array([rows[0], columns[0]])
    kept = kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    polygons = []
    labels, count = ndimage.label(kept)
    for part in range(1, count + 1):
        solid = ndimage.binary_fill_holes(labels == part)
        contour = max(contours_of(np.pad(solid, 1).astype(float), 0.5), key=len)
        corners = _simplify(contour + first - 0.5)  # undo the padding; a pixel is named by its corner
        x = np.clip(np.round(corners[:, 1] * scale_x), 0, width).astype(int)
        y = np.clip(np.round(corners[:, 0] * scale_y), 0, height).astype(int)
        polygons.append(tuple(zip(x.tolist(), y.tolist(), strict=True)))
    return Region((left, top, right - left, bottom - top), round(float(mask.mean()), 6), tuple(polygons))


def keep_large_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without specks: parts of at least ``SMALLEST`` of its largest part."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= SMALLEST * sizes.max())[labels])


def _simplify(contour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Closed contour with few vertices, the last not repeating the first."""
    outline, tolerance = LinearRing(contour), TOLERANCE
    simple = outline.simplify(tolerance)
    while len(simple.coords) > POINTS:
        tolerance *= 1.5
        simple = outline.simplify(tolerance)
    return np.asarray(simple.coords)[:-1]
