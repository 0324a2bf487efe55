"""Pictures for people: each watermark outlined, numbered and named on the picture it was found in."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from shapely.geometry import Polygon

from wam.pictures.caption_layout import Layout, Place
from wam.region import Region

# far apart for usual eyes and for the three colour blindnesses: six of Okabe and Ito (2008), the others chosen by
# distance in CIE Lab from all before, as each kind of eye sees them
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (153, 0, 255), (204, 255, 204), (153, 119, 255), (85, 255, 136), (153, 85, 51), (136, 102, 136),
)  # fmt: skip
PLATE = (0, 0, 0, 200)  # behind a caption
TEXT = 42  # lines of text that the picture's side, a mean of both, would hold
SMALLEST = 10  # pixels of the smallest text
LARGEST = 1 / 3  # of its region's area that a caption may have, wherever it is; a number in the smallest text may more
# lines of captions, size of text, and what that costs, in lengths of the picture for each caption
ATTEMPTS = (
    (3, 1.0, 0.0),
    (3, 0.8, 0.03),
    (3, 0.65, 0.06),
    (3, 0.5, 0.1),
    (1, 0.65, 0.06),
    (1, 0.5, 0.1),
    (0, 0.8, 0.0),
)
LOST = 0.4  # what a caption of which nothing but its number is left costs, in the same unit
SHRINK = 0.85  # of a text that is still too large
KEPT = 0.6  # share of a line below which its beginning is not worth writing

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def overlay(pixels: NDArray[np.uint8], regions: Sequence[Region], captions: Sequence[str]) -> Image.Image:
    """Draws regions with captions, of one or more lines each, over (H, W, 3) uint8 RGB, numbered as they are given.

    Colours inside the outlines stay as they are. Where captions would be crowded, or large beside what they name, they
    get smaller, then lose lines; the numbers always stay.
    """
    picture = Image.fromarray(pixels).convert("RGB").copy()
    draw = ImageDraw.Draw(picture, "RGBA")
    stroke = max(2, min(picture.size) // 250)
    for index, region in enumerate(regions):
        _outline(draw, region, COLOURS[index % len(COLOURS)], stroke)
    if regions:
        _write(draw, picture.size, regions, captions, stroke)
    return picture


def _outline(draw: ImageDraw.ImageDraw, region: Region, colour: Colour, stroke: int) -> None:
    """Draws a region's border, inside itself so that regions that touch keep a line each."""
    for points in region.polygons:
        if len(points) < 3:
            continue
        for ring in _inset(points, stroke):
            draw.line(ring, fill=(0, 0, 0), width=stroke * 2 + 2, joint="curve")
            draw.line(ring, fill=colour, width=stroke * 2 - 1, joint="curve")


def _inset(points: Sequence[tuple[int, int]], by: int) -> list[list[tuple[float, float]]]:
    """Closed lines along a polygon's border, ``by`` pixels inside; the border itself where nothing is left."""
    shrunk = Polygon(points).buffer(0).buffer(-by, join_style="mitre")
    parts = [part for part in getattr(shrunk, "geoms", [shrunk]) if not part.is_empty]
    return [list(part.exterior.coords) for part in parts] or [[*points, points[0]]]


def _write(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], regions: Sequence[Region], captions: Sequence[str], stroke: int
) -> None:
    """All captions, as large and with as many lines as they have room for."""
    usual = min((size[0] * size[1]) ** 0.5 / TEXT, min(size) / 4)
    layout = Layout(size, regions, gap=stroke)
    best: tuple[float, list[_Plate], list[Place]] | None = None
    for lines, scale, loss in ATTEMPTS:
        plates = [
            _fitting_plate(index, text, lines, usual * scale, size, regions[index])
            for index, text in enumerate(captions)
        ]
        places = layout.place([plate.size for plate in plates], forced=lines == 0)
        if places is not None:
            cost = sum(place.cost + LOST * plate.lost + loss for plate, place in zip(plates, places, strict=True))
            best = min(best or (cost, plates, places), (cost, plates, places), key=lambda attempt: attempt[0])
    assert best is not None  # the last attempt is forced
    _, plates, places = best
    for plate, place in zip(plates, places, strict=True):
        if place.line is not None:
            draw.line(place.line, fill=(0, 0, 0), width=stroke * 2 + 2)
            draw.line(place.line, fill=plate.colour, width=stroke * 2 - 2)
            (x, y), dot = place.line[1], stroke * 2
            draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=plate.colour, outline=(0, 0, 0), width=stroke // 2)
    for plate, place in zip(plates, places, strict=True):
        plate.draw(draw, place)


def _fitting_plate(
    index: int, text: str, lines: int, text_size: float, size: tuple[int, int], region: Region
) -> _Plate:
    """The plate of a caption, its text made smaller and then its lines fewer until it is small beside its region."""
    _, _, width, height = region.bbox
    room = LARGEST * (region.area * size[0] * size[1] or width * height)
    smallest = min(SMALLEST, text_size)
    for count in dict.fromkeys((lines, min(lines, 1), 0)):
        wanted = text_size
        while True:
            plate = _Plate(index, text, count, wanted, size[0])
            if plate.size[0] * plate.size[1] <= room:
                return plate
            if wanted <= smallest:
                break
            wanted = max(smallest, wanted * SHRINK)
    return plate


class _Plate:
    """One caption: its number on the region's colour, then its text, light on a dark plate."""

    def __init__(self, index: int, text: str, lines: int, text_size: float, widest: int) -> None:
        self.colour = COLOURS[index % len(COLOURS)]
        self.font = font(max(SMALLEST, round(text_size)))
        self.height = sum(self.font.getmetrics()) if isinstance(self.font, ImageFont.FreeTypeFont) else SMALLEST
        self.margin = max(2, self.height // 6)
        self.number = str(index + 1)
        self.badge = max(self.height, round(self.font.getlength(self.number)) + 2 * self.margin)
        self.lines = [self._fitted(line, widest - self.badge - 4 * self.margin) for line in text.splitlines()[:lines]]
        self.lines = [line for line in self.lines if line]
        self.lost = 1 - len("".join(self.lines)) / max(1, len("".join(text.splitlines())))
        width = max((round(self.font.getlength(line)) for line in self.lines), default=-2 * self.margin)
        rows = max(1, len(self.lines))
        self.size = (self.badge + width + 2 * self.margin, rows * self.height + self.margin)

    def _fitted(self, line: str, width: int) -> str:
        """The line, its end left out where it is too long; nothing where too little of it would be left."""
        if self.font.getlength(line) <= width:
            return line
        kept = len(line) - 1
        while kept and self.font.getlength(line[:kept] + "…") > width:
            kept -= 1
        return line[:kept] + "…" if kept > KEPT * len(line) else ""

    def draw(self, draw: ImageDraw.ImageDraw, place: Place) -> None:
        left, top, right, bottom = place.box
        draw.rectangle((left, top, right - 1, bottom - 1), fill=PLATE)
        draw.rectangle((left, top, left + self.badge - 1, bottom - 1), fill=self.colour)
        dark = _luminance(self.colour) > 0.3
        middle = (left + self.badge / 2, (top + bottom) / 2)
        draw.text(middle, self.number, font=self.font, fill=(0, 0, 0) if dark else (255, 255, 255), anchor="mm")
        for row, line in enumerate(self.lines):
            at = (left + self.badge + self.margin, top + self.margin / 2 + row * self.height)
            draw.text(at, line, font=self.font, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
        draw.rectangle((left, top, right - 1, bottom - 1), outline=self.colour)


def font(size: int) -> Font:
    """DejaVu Sans, which comes with matplotlib and has accents, Greek and Cyrillic; else Pillow's own without them."""
    found = find_spec("matplotlib")
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size=size)


def _luminance(colour: Colour) -> float:
    """Relative luminance in [0, 1], about as sRGB defines it."""
    red, green, blue = ((value / 255) ** 2.2 for value in colour)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)
