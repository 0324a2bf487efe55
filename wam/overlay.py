"""Pictures for people: each watermark outlined and named on the picture it was found in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wam.outline import Region

# distinct on dark and bright pictures and for the common colour blindnesses: Okabe and Ito (2008), then tints of them
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (255, 255, 255), (150, 220, 120), (180, 130, 255), (255, 120, 120), (120, 255, 240),
)  # fmt: skip
WASH = 0.18  # share of colour over the region


def overlay(pixels: NDArray[np.uint8], regions: Sequence[Region], captions: Sequence[str]) -> Image.Image:
    """Draws regions with captions over (H, W, 3) uint8 RGB."""
    picture = Image.fromarray(pixels).convert("RGB")
    stroke = max(2, min(picture.size) // 250)
    font = ImageFont.load_default(size=max(12, min(picture.size) // 32))
    for index, region in enumerate(regions):
        colour = COLOURS[index % len(COLOURS)]
        wash = picture.copy()
        draw = ImageDraw.Draw(wash)
        for polygon in region.polygons:
            if len(polygon) > 2:
                draw.polygon(polygon, fill=colour)
        picture = Image.blend(picture, wash, WASH)
        draw = ImageDraw.Draw(picture)
        for polygon in region.polygons:
            closed = [*polygon, polygon[0]]
            draw.line(closed, fill=(0, 0, 0), width=stroke * 2 + 2, joint="curve")
            draw.line(closed, fill=colour, width=stroke * 2 - 1, joint="curve")
    draw = ImageDraw.Draw(picture)
    for index, (region, caption) in enumerate(zip(regions, captions, strict=True)):
        _label(draw, picture.size, region, caption, COLOURS[index % len(COLOURS)], font)
    return picture


def _label(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    region: Region,
    caption: str,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """The caption on a black plate in the region's upper left corner, kept inside the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), caption, font=font)
    width, height = right - left, bottom - top
    margin = max(4, height // 4)
    x = max(margin, min(region.bbox[0] + 2 * margin, size[0] - width - 2 * margin))
    y = max(margin, min(region.bbox[1] + 2 * margin, size[1] - height - 2 * margin))
    draw.rectangle((x - margin, y - margin, x + width + margin, y + height + margin), fill=(0, 0, 0), outline=colour)
    draw.text((x - left, y - top), caption, fill=colour, font=font)
