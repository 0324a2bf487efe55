"""Where captions go on a picture: beside their regions where there is room, never over one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wam.region import Region

COARSE = 256  # cells of the longer side of the map on which overlaps are counted
STEPS = 24  # places tried along each side of the picture
INSIDE = 0.96  # share of a caption that lies in its region where it counts as inside
NEAR = 0.02  # of the picture's longer side: how far from its region a caption needs no line
# costs, in lengths of the picture
HIDING = 0.12  # of a caption inside its region: what is marked is what people look at
STRADDLING = 0.3  # of one that lies on its region's border
LINE = 0.05  # of a line, beside its length
OTHERS = 1.0  # of covering other regions
SLACK = 0.04  # share of other regions below a caption that is no more than the map is coarse
OWN = 1.0  # of hiding a region by its own caption
HIDDEN = 0.25  # share of a region that a caption inside it may hide for nothing
CROSSING = 1.0  # of a line that runs below another caption
CORNER = 0.05  # of a length between a caption's upper left corner and its region's, the lower left one outside it
AMBIGUOUS = 0.06  # of being as near to another region
SAMPLES = 12  # points of a line at which that is looked at

Box = NDArray[np.float64]  # left, top, right, bottom in pixels; (4,) or (N, 4)


@dataclass(frozen=True)
class Place:
    """Where a caption is: ``box`` left, top, right, bottom; ``line`` from its border to a point of the region, None for
    a caption in its region or beside it. All in pixels. ``cost`` tells how bad the place is, in lengths of the
    picture."""

    box: tuple[int, int, int, int]
    line: tuple[tuple[int, int], tuple[int, int]] | None
    cost: float


class Layout:
    """Captions of one picture, ``size`` (width, height) in pixels, placed one after another."""

    def __init__(self, size: tuple[int, int], regions: Sequence[Region], *, gap: int) -> None:
        self.size, self.regions, self.gap = size, regions, gap
        self.scale = min(1.0, COARSE / max(size))
        maps = np.stack([_coarse(region, size, self.scale) for region in regions])
        self.counts = np.pad(maps, ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2)  # [region, y, x], summed from a corner
        self.outlines = [_outline(region) for region in regions]
        self.anchors = [_anchor(region, cells, self.scale) for region, cells in zip(regions, maps, strict=True)]

    def place(self, sizes: Sequence[tuple[int, int]], *, forced: bool = False) -> list[Place] | None:
        """A place for each caption of (width, height), None if not all of them have one; ``forced``: whatever overlaps.

        Small regions come first: there is less room near them.
        """
        places: dict[int, Place] = {}
        for index in sorted(range(len(sizes)), key=lambda index: self.regions[index].area):
            place = self._best(index, sizes[index], list(places.values()), forced)
            if place is None:
                return None
            places[index] = place
        return [places[index] for index in range(len(sizes))]

    def _best(self, index: int, size: tuple[int, int], placed: list[Place], forced: bool) -> Place | None:
        """The cheapest free place for one caption."""
        boxes = self._candidates(index, size)
        anchor = self.anchors[index]
        starts = np.stack([anchor[0].clip(boxes[:, 0], boxes[:, 2]), anchor[1].clip(boxes[:, 1], boxes[:, 3])], axis=1)
        far = self._distances(index, boxes)
        share = self._share(boxes)  # (N, regions)
        covered = share[:, index]  # how much of each box lies in its own region
        inside = covered > INSIDE
        near = inside | (far <= NEAR)
        hidden = covered * (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / self._cells(index)
        x, y, _, h = self.regions[index].bbox
        rows = np.minimum(np.abs(boxes[:, 1] - y), np.where(inside, np.inf, np.abs(boxes[:, 1] - y - h)))
        corner = np.hypot(boxes[:, 0] - x, rows) / max(self.size)
        others = (share.sum(1) - covered - SLACK).clip(0)
        outside = far + LINE * ~near + STRADDLING * covered + AMBIGUOUS * self._beside_others(index, boxes)
        cost = CORNER * corner + np.where(inside, HIDING + 1 - covered, outside) + OTHERS * others
        free = np.where(inside, HIDDEN, 0.0)
        cost += OWN * (hidden.clip(free, 1.0) - free)
        taken = np.zeros(len(boxes), bool)
        for other in placed:
            taken |= _overlap(boxes, np.array(other.box, float), self.gap)
            cost += CROSSING * _crosses(starts, anchor, np.array(other.box, float)) * ~near
            if other.line is not None:
                start, end = np.array(other.line, float)
                cost += CROSSING * _crosses(start, end, boxes)
        if taken.all() and not forced:
            return None
        best = int((cost + 100.0 * taken).argmin())  # a place that is taken only where there is no other
        left, top, right, bottom = (round(value) for value in boxes[best])
        start = (round(starts[best, 0]), round(starts[best, 1]))
        line = None if near[best] else (start, (round(anchor[0]), round(anchor[1])))
        return Place((left, top, right, bottom), line, float(cost[best]))

    def _candidates(self, index: int, size: tuple[int, int]) -> Box:
        """Boxes in and around the region, then all over the picture; all of them inside it."""
        (width, height), (x, y, w, h), gap = size, self.regions[index].bbox, self.gap
        anchor = self.anchors[index]
        lefts = [x + 2 * gap, x + (w - width) / 2, x + w - width - 2 * gap, x - width - gap, x + w + gap]
        tops = [y + 2 * gap, y + (h - height) / 2, y + h - height - 2 * gap, y - height - gap, y + h + gap]
        room = np.array([max(0, self.size[0] - width), max(0, self.size[1] - height)])
        steps = np.linspace(0, 1, STEPS)
        near = np.stack(np.meshgrid([*lefts, anchor[0] - width / 2], [*tops, anchor[1] - height / 2]), -1)
        everywhere = np.stack(np.meshgrid(*np.outer(room, steps)), -1)
        corners = np.concatenate([near.reshape(-1, 2), everywhere.reshape(-1, 2)])
        corners = corners.clip(np.minimum(gap, room // 2), np.maximum(room - gap, room // 2)).round()
        return np.concatenate([corners, corners + size], axis=1)

    def _distances(self, index: int, boxes: Box) -> NDArray[np.float64]:
        """How far each box is from a region, in lengths of the picture."""
        return np.asarray(shapely.distance(shapely.box(*boxes.T), self.outlines[index])) / max(self.size)

    def _beside_others(self, index: int, boxes: Box) -> NDArray[np.bool_]:
        """Which boxes are so near to another region's box that they could be taken for its caption."""
        others = [region.bbox for place, region in enumerate(self.regions) if place != index]
        x, y, width, height = np.array(others, float).reshape(-1, 4).T
        left, top, right, bottom = (side[:, None] for side in boxes.T)
        apart = np.hypot(
            np.maximum(x - right, left - x - width).clip(0), np.maximum(y - bottom, top - y - height).clip(0)
        )
        return np.asarray((apart <= NEAR * max(self.size)).any(1))

    def _share(self, boxes: Box) -> NDArray[np.float64]:
        """How much of each box each region covers: -> (N, regions) in [0, 1]."""
        cells = np.rint(boxes * self.scale).astype(int)
        left, top = cells[:, 0], cells[:, 1]
        right, bottom = np.maximum(cells[:, 2], left + 1), np.maximum(cells[:, 3], top + 1)
        limits = np.array(self.counts.shape[1:]) - 1
        left, right = left.clip(0, limits[1]), right.clip(0, limits[1])
        top, bottom = top.clip(0, limits[0]), bottom.clip(0, limits[0])
        count = self.counts
        total = count[:, bottom, right] - count[:, top, right] - count[:, bottom, left] + count[:, top, left]
        area = np.maximum((right - left) * (bottom - top), 1)
        return np.asarray((total / area).T)

    def _cells(self, index: int) -> float:
        """Size of a region in pixels."""
        return max(1.0, float(self.counts[index, -1, -1])) / self.scale**2


def _coarse(region: Region, size: tuple[int, int], scale: float) -> NDArray[np.int64]:
    """The region on the coarse map, (rows, columns) in {0, 1}."""
    small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    canvas = Image.new("L", small)
    draw = ImageDraw.Draw(canvas)
    for polygon in region.polygons:
        if len(polygon) > 2:
            draw.polygon([(x * scale, y * scale) for x, y in polygon], fill=1)
    return np.asarray(canvas, dtype=np.int64)


def _outline(region: Region) -> shapely.Geometry:
    """The region's parts together, or its box where nothing is outlined."""
    parts = [shapely.Polygon(polygon).buffer(0) for polygon in region.polygons if len(polygon) > 2]
    x, y, width, height = region.bbox
    return shapely.union_all(parts) if parts else shapely.box(x, y, x + width, y + height)


def _anchor(region: Region, cells: NDArray[np.int64], scale: float) -> NDArray[np.float64]:
    """The point of a region that is nearest to its middle, (x, y) in pixels."""
    x, y, width, height = region.bbox
    middle = np.array([x + width / 2, y + height / 2])
    rows, columns = np.nonzero(cells)
    if not len(rows):
        return middle
    points = (np.stack([columns, rows], axis=1) + 0.5) / scale
    centre = points.mean(0)
    return np.asarray(points[np.square(points - centre).sum(1).argmin()])


def _overlap(boxes: Box, other: Box, gap: int) -> NDArray[np.bool_]:
    """Which of the boxes come nearer to another than ``gap`` pixels."""
    apart = (boxes[:, 0] >= other[2] + gap) | (boxes[:, 2] <= other[0] - gap)
    return np.asarray(~(apart | (boxes[:, 1] >= other[3] + gap) | (boxes[:, 3] <= other[1] - gap)))


def _crosses(starts: NDArray[np.float64], ends: NDArray[np.float64], boxes: Box) -> NDArray[np.bool_]:
    """Whether lines run through boxes: N lines and one box, or one line and N boxes."""
    steps = np.linspace(0.05, 0.95, SAMPLES)[:, None, None]
    points = np.atleast_2d(starts) * (1 - steps) + np.atleast_2d(ends) * steps  # (S, lines, 2)
    boxes = np.atleast_2d(boxes)
    within = (points >= boxes[:, :2]) & (points <= boxes[:, 2:])
    return np.asarray(within.all(-1).any(0))
