"""Text and logo for the overlays, drawn by Pillow, (4, h, w) float32 RGBA in [0, 1]."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

TEXT = "Read more at example.com"
FINER = 4  # the logo is drawn this many times larger and reduced, which gives it smooth edges


@lru_cache(maxsize=8)
def text(width: int) -> Tensor:
    """One line, white with a dark outline, about ``width`` pixels wide."""
    trial = 100
    length = ImageFont.load_default(trial).getlength(TEXT)
    font_size = max(6, round(trial * width / length))
    font = ImageFont.load_default(font_size)
    outline = max(1, font_size // 16)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(TEXT, stroke_width=outline))
    image = Image.new("RGBA", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), TEXT, "white", font, stroke_width=outline, stroke_fill="black")
    return _tensor(image)


@lru_cache(maxsize=8)
def logo(side: int) -> Tensor:
    """A red disc with a white ring and a white triangle, ``side`` pixels wide and high."""
    image = Image.new("RGBA", (side * FINER, side * FINER), (255, 255, 255, 0))
    draw = ImageDraw.Draw(image)
    unit = side * FINER / 16
    draw.ellipse([0, 0, 16 * unit, 16 * unit], fill="white")
    draw.ellipse([unit, unit, 15 * unit, 15 * unit], fill=(200, 30, 40))
    draw.polygon([(6 * unit, 4 * unit), (6 * unit, 12 * unit), (13 * unit, 8 * unit)], fill="white")
    return _tensor(image.resize((side, side), Image.Resampling.BOX))


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
