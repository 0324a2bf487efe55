"""Draws the smooth pictures of tests/data/smooth, on which a mark has no texture to hide in.

    python scripts/smooth_pictures.py --out tests/data/smooth

Skies, skin, backdrops, products, nights, drawings, screens: soft shading, in some the noise of a sensor after a
camera's denoising, all rounded to 8 bits. Everything is drawn here, from fixed seeds: the same pictures come out again,
and none has a licence but this project's. --only NAME[,NAME...] draws some of them.
"""

from __future__ import annotations

import argparse
import io
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.pictures.files import write_bytes
from wam.pictures.samples import Pixels

Field = NDArray[np.float64]
Colour = tuple[float, float, float]
Stops = Sequence[tuple[float, Colour]]

TEXT = (
    "the light of late summer fell over the harbour and every window held a small sun of its own while boats came in "
    "one after another with nets and baskets and the talk of a long day at sea nobody hurried the tide would wait"
)
WORDS = TEXT.split()


class Canvas:
    """A picture in the making. ``rgb`` (H, W, 3) in 8-bit levels; ``x`` and ``y`` in heights from the upper left;
    ``random``: the picture's own generator."""

    def __init__(self, name: str, width: int, height: int, colour: Colour = (0, 0, 0)) -> None:
        self.width, self.height = width, height
        self.random = np.random.default_rng(zlib.crc32(name.encode()))
        row, column = np.mgrid[:height, :width]
        self.y: Field = (row + 0.5) / height
        self.x: Field = (column + 0.5) / height
        self.wide = width / height
        self.rgb: Field = np.ones((height, width, 3)) * colour

    def paint(self, colour: Colour | Field, cover: Field | float = 1.0) -> None:
        """Lay a colour, or a picture, over what is there; ``cover`` in [0, 1]."""
        share = np.broadcast_to(np.asarray(cover, dtype=float), self.x.shape)[..., None]
        self.rgb += share * (np.asarray(colour, dtype=float) - self.rgb)

    def glow(self, colour: Colour, amount: Field) -> None:
        """Add light."""
        self.rgb += amount[..., None] * np.asarray(colour, dtype=float)

    def shade(self, factor: Field) -> None:
        """Multiply by a brightness."""
        self.rgb *= factor[..., None]

    def inside(self, distance: Field, softness: float = 0.0) -> Field:
        """Cover of what has a negative distance (in heights), its edge as sharp as pixels are, or as soft as said."""
        width = max(softness, 1.0 / self.height)
        share: Field = np.clip(0.5 - distance / width, 0, 1)
        return share * share * (3 - 2 * share)

    def ellipse(self, x: float, y: float, a: float, b: float, turn: float = 0.0) -> Field:
        """About the distance from an ellipse with half axes a and b; negative inside."""
        u, v = self.turned(x, y, turn)
        return (np.hypot(u / a, v / b) - 1) * min(a, b)

    def box(self, x: float, y: float, a: float, b: float, corner: float = 0.0, turn: float = 0.0) -> Field:
        """Distance from a rectangle with half sides a and b and round corners."""
        u, v = self.turned(x, y, turn)
        u, v = np.abs(u) - a + corner, np.abs(v) - b + corner
        return np.hypot(np.maximum(u, 0), np.maximum(v, 0)) + np.minimum(np.maximum(u, v), 0) - corner

    def turned(self, x: float, y: float, turn: float) -> tuple[Field, Field]:
        u, v = self.x - x, self.y - y
        cosine, sine = np.cos(turn), np.sin(turn)
        return u * cosine + v * sine, v * cosine - u * sine

    def spot(self, x: float, y: float, radius: float) -> Field:
        """A Gaussian spot of light, one in its middle."""
        return np.asarray(np.exp(-((self.x - x) ** 2 + (self.y - y) ** 2) / (2 * radius**2)))

    def cloud(self, scale: float, *, flat: float = 1.0, octaves: int = 4) -> Field:
        """Smooth random hills, mean 0 and deviation 1; ``scale`` of the largest in heights, wider by ``flat``."""
        total = np.zeros(self.x.shape)
        for octave in range(octaves):
            spread = scale * self.height / 2**octave
            if spread < 1:
                break
            step = max(1, int(spread / 4))  # drawn coarsely, then enlarged: the same hills for less work
            shape = self.height // step + 2, self.width // step + 2
            coarse = gaussian_filter(self.random.normal(size=shape), (spread / step, flat * spread / step), mode="wrap")
            fine = Image.fromarray(coarse.astype(np.float32)).resize(
                (self.width, self.height), Image.Resampling.BICUBIC
            )
            hills = np.asarray(fine, dtype=float)
            total += hills / (hills.std() + 1e-9) / 1.8**octave
        return _unit(total)

    def grain(self, levels: float, *, soft: float = 0.5, colour: float = 0.35) -> None:
        """The noise of a sensor after denoising: ``levels`` of luma rms, blurred by ``soft`` pixels, and a share of
        ``colour`` that is apart in each channel; stronger in the middle tones, as cameras' noise is after gamma."""
        common = _unit(gaussian_filter(self.random.normal(size=self.x.shape), soft))[..., None]
        apart = np.stack([_unit(gaussian_filter(self.random.normal(size=self.x.shape), 2 * soft)) for _ in "rgb"], -1)
        tone = 0.6 + 1.6 * (value := self.rgb.clip(0, 255) / 255) * (1 - value)
        self.rgb += levels * tone * (common + colour * apart)

    def drawn(self, draw: Callable[[ImageDraw.ImageDraw, float], None], *, finer: int = 4) -> None:
        """Draw with Pillow, ``finer`` times larger and reduced; the function gets pixels per height."""
        scaled = Image.fromarray(self.pixels()).resize(
            (self.width * finer, self.height * finer), Image.Resampling.NEAREST
        )
        draw(ImageDraw.Draw(scaled), float(self.height * finer))
        self.rgb = np.asarray(scaled.reduce(finer), dtype=float)

    def write(self, text: str, x: float, y: float, size: float, colour: Colour) -> None:
        """A line of text from its upper left, ``size`` in heights."""
        layer = Image.new("L", (self.width, self.height))
        font = ImageFont.load_default(size * self.height)
        ImageDraw.Draw(layer).text((x * self.height, y * self.height), text, fill=255, font=font)
        self.paint(colour, np.asarray(layer, dtype=float) / 255)

    def pixels(self) -> Pixels:
        """As an 8-bit file keeps it."""
        levels: Pixels = np.rint(self.rgb.clip(0, 255)).astype(np.uint8)
        return levels


def ramp(place: Field, stops: Stops) -> Field:
    """Colours (H, W, 3) along a way through stops, smooth at each of them."""
    places = [at for at, _ in stops]
    fine = np.linspace(places[0], places[-1], 512)
    spread = 512 * 0.12
    tables = [
        gaussian_filter(np.interp(fine, places, [c[i] for _, c in stops]), spread / 3, mode="nearest") for i in range(3)
    ]
    return np.stack([np.interp(place, fine, table) for table in tables], -1)


def _unit(field: Field) -> Field:
    return np.asarray((field - field.mean()) / field.std())


def sky_noon() -> Canvas:
    one = Canvas("sky_noon", 1200, 800)
    one.paint(
        ramp(
            one.y + 0.08 * one.x,
            [(0, (52, 108, 186)), (0.5, (106, 158, 220)), (1, (176, 208, 236)), (1.2, (206, 224, 238))],
        )
    )
    one.glow((60, 56, 46), one.spot(1.25, -0.1, 0.45))
    one.grain(0.25)
    return one


def sky_dusk() -> Canvas:
    one = Canvas("sky_dusk", 1200, 800)
    one.paint(
        ramp(
            one.y,
            [
                (0, (28, 36, 84)),
                (0.35, (96, 72, 132)),
                (0.6, (214, 122, 108)),
                (0.8, (252, 190, 116)),
                (1, (255, 216, 150)),
            ],
        )
    )
    one.glow((90, 70, 30), one.spot(0.95, 0.82, 0.16))
    one.paint((255, 244, 214), one.inside(one.ellipse(0.95, 0.79, 0.045, 0.045), 0.008))
    for depth, colour in enumerate([(120, 74, 92), (74, 48, 72), (30, 24, 44)]):
        hills = (
            0.82
            + 0.06 * depth
            + 0.03 * np.sin(one.x * (3 + 2 * depth) + 2 * depth)
            + 0.012 * np.sin(one.x * 11 + depth)
        )
        one.paint(colour, one.inside(hills - one.y, 0.004))
    return one


def sky_clouds() -> Canvas:
    one = Canvas("sky_clouds", 960, 640)
    one.paint(ramp(one.y, [(0, (70, 124, 192)), (1, (186, 212, 234))]))
    hills = one.cloud(0.16, flat=2.0)
    cover = 1 / (1 + np.exp(-2.2 * (hills - 0.5)))
    one.paint(ramp(one.cloud(0.12, flat=2.0, octaves=2), [(-2, (196, 204, 218)), (2, (250, 250, 252))]), 0.92 * cover)
    one.grain(0.2)
    return one


def skin(one: Canvas, height: Field, tone: Colour, *, light: tuple[float, float] = (-0.6, -0.7)) -> Field:
    """Skin over a surface of this height (in heights): soft light from a side, redder where it turns away."""
    slope_y, slope_x = np.gradient(height * one.height)
    normal = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    lit = (normal * 0.75 - (slope_x * light[0] + slope_y * light[1]) * normal * 0.55).clip(0, 1.3)
    away = (1 - lit).clip(0, 1)[..., None]
    base = np.asarray(tone) * (0.42 + 0.72 * lit[..., None])
    base = base * (1 - away * np.array([0.0, 0.16, 0.2]))
    gloss = np.clip(lit - 0.78, 0, 1)[..., None] ** 2 * 160
    blotch = one.cloud(0.1, octaves=2)[..., None] * np.array([0.5, 0.9, 0.8])
    return np.asarray(base + gloss + blotch)


def skin_cheek() -> Canvas:
    one = Canvas("skin_cheek", 768, 512)
    height = 0.32 * one.spot(0.65, 0.55, 0.42) + 0.10 * one.spot(1.32, 0.62, 0.12) - 0.07 * one.spot(0.3, 0.18, 0.16)
    one.paint(skin(one, height, (226, 176, 152)))
    one.paint((178, 92, 92), 0.22 * one.spot(0.72, 0.6, 0.16))  # a blush
    lips = one.ellipse(1.28, 0.93, 0.26, 0.09, -0.25)
    one.paint((172, 84, 86), 0.8 * one.inside(lips, 0.06))
    one.grain(0.35)
    return one


def skin_shoulder() -> Canvas:
    one = Canvas("skin_shoulder", 800, 600, (46, 42, 44))
    one.glow((26, 20, 18), one.spot(1.1, 0.2, 0.5))
    edge = one.ellipse(0.42, 1.15, 0.62, 0.72, 0.35)
    height = 0.5 * np.sqrt(np.clip(-edge, 0, None) + 1e-3) + 0.05 * one.spot(0.35, 0.62, 0.1)
    one.paint(skin(one, gaussian_filter(height, 10), (146, 98, 74), light=(0.7, -0.6)), one.inside(edge, 0.012))
    one.grain(0.5)
    return one


def portrait() -> Canvas:
    one = Canvas("portrait", 640, 800)
    one.paint(
        ramp(
            one.y + 0.25 * one.cloud(0.2, octaves=1),
            [(0, (108, 126, 112)), (0.6, (152, 156, 132)), (1.3, (78, 88, 84))],
        )
    )
    for x, y, size, colour in [
        (0.08, 0.2, 0.1, (190, 196, 160)),
        (0.72, 0.12, 0.13, (176, 190, 170)),
        (0.75, 0.5, 0.09, (130, 150, 140)),
    ]:
        one.paint(colour, 0.5 * one.inside(one.ellipse(x, y, size, size), 0.03))
    one.paint((58, 66, 92), one.inside(one.ellipse(0.4, 1.16, 0.44, 0.36), 0.015))
    one.shade(1 - 0.25 * one.spot(0.62, 1.0, 0.2))
    neck = one.box(0.4, 0.72, 0.1, 0.16, 0.06)
    one.paint(skin(one, 0.2 * one.spot(0.38, 0.8, 0.14), (204, 158, 136)) * 0.86, one.inside(neck, 0.02))
    face = one.ellipse(0.4, 0.44, 0.2, 0.27)
    height = 0.5 * np.sqrt(np.clip(-face, 0, None) + 0.002) + 0.05 * one.spot(0.4, 0.5, 0.035)
    one.paint((52, 36, 30), one.inside(one.ellipse(0.4, 0.36, 0.245, 0.27), 0.03))
    one.paint(skin(one, gaussian_filter(height, 8), (224, 178, 154)), one.inside(face, 0.012))
    one.paint((52, 36, 30), one.inside(one.ellipse(0.4, 0.2, 0.21, 0.1, -0.1), 0.05))
    for x in (0.315, 0.485):
        one.paint((84, 58, 48), 0.85 * one.inside(one.box(x, 0.375, 0.04, 0.007, 0.007), 0.014))
        one.paint((236, 230, 226), one.inside(one.ellipse(x, 0.42, 0.03, 0.013), 0.008))
        one.paint((62, 46, 36), one.inside(one.ellipse(x, 0.42, 0.013, 0.013), 0.006))
    one.paint((156, 108, 92), 0.5 * one.inside(one.ellipse(0.4, 0.535, 0.034, 0.01), 0.02))
    one.paint((178, 92, 88), one.inside(one.ellipse(0.4, 0.6, 0.06, 0.018), 0.014))
    one.grain(0.3)
    return one


def studio_grey() -> Canvas:
    one = Canvas("studio_grey", 1024, 768, (150, 150, 152))
    one.shade(0.55 + 0.75 * one.spot(0.62, 0.42, 0.62))
    one.shade(1 + 0.1 * np.tanh((one.y - 0.78) * 14))
    one.grain(0.15, colour=0.2)
    return one


def studio_gels() -> Canvas:
    one = Canvas("studio_gels", 1200, 800, (22, 20, 30))
    one.glow((210, 40, 110), one.spot(0.1, 0.4, 0.5))
    one.glow((30, 110, 220), one.spot(1.45, 0.5, 0.55))
    one.glow((40, 34, 60), one.spot(0.75, 1.1, 0.5))
    return one


def studio_paper() -> Canvas:
    one = Canvas("studio_paper", 720, 900, (226, 196, 178))
    one.shade(0.86 + 0.16 * one.spot(0.3, 0.25, 0.6))
    one.paint((236, 212, 198), 0.6 * one.inside(0.72 - one.y, 0.25))
    egg = one.ellipse(0.42, 0.66, 0.13, 0.165, 0.2)
    one.paint((150, 118, 104), 0.5 * one.inside(one.ellipse(0.5, 0.82, 0.17, 0.03), 0.09))
    light = np.clip(1.08 - 1.7 * np.hypot(one.x - 0.36, one.y - 0.58), 0.35, 1)
    one.paint(np.array([248, 238, 226]) * light[..., None], one.inside(egg, 0.004))
    return one


def product_white() -> Canvas:
    one = Canvas("product_white", 800, 800, (252, 252, 253))
    one.paint((238, 239, 242), 0.9 * one.inside(0.74 - one.y, 0.3))
    one.paint((176, 178, 184), 0.55 * one.inside(one.ellipse(0.56, 0.855, 0.24, 0.03), 0.1))
    profile = np.cos(((one.x - 0.5) / 0.17).clip(-1, 1) * 1.35)
    body = ramp(profile, [(0.1, (196, 198, 204)), (0.5, (236, 237, 240)), (1.0, (253, 253, 253))])
    one.paint(body, one.inside(one.box(0.5, 0.56, 0.17, 0.3, 0.05)))
    one.paint(body * 0.93, one.inside(one.box(0.5, 0.2, 0.08, 0.09, 0.015)))
    one.paint((226, 228, 232), one.inside(one.box(0.5, 0.285, 0.081, 0.004)))
    one.paint((190, 206, 198), 0.9 * one.inside(one.box(0.5, 0.6, 0.17, 0.1)))
    one.shade(1 - 0.12 * one.inside(one.box(0.5, 0.6, 0.17, 0.1)) * (1 - profile))
    one.write("hydra", 0.42, 0.56, 0.06, (92, 108, 102))
    return one


def product_gloss() -> Canvas:
    one = Canvas("product_gloss", 900, 720, (214, 216, 220))
    one.paint(
        ramp(one.y, [(0, (226, 228, 232)), (0.6, (208, 210, 216)), (0.66, (186, 188, 194)), (1, (228, 230, 233))])
    )
    one.paint((70, 72, 80), 0.6 * one.inside(one.ellipse(0.66, 0.86, 0.3, 0.03), 0.09))
    ball = one.ellipse(0.62, 0.55, 0.3, 0.3)
    depth = np.sqrt(np.clip(1 - ((one.x - 0.62) ** 2 + (one.y - 0.55) ** 2) / 0.09, 0, 1))
    one.paint(
        ramp(depth - 0.25 * (one.y - 0.55) / 0.3, [(-0.2, (14, 22, 48)), (0.5, (26, 58, 132)), (1.2, (78, 128, 214))]),
        one.inside(ball),
    )
    one.paint((236, 242, 252), 0.85 * one.inside(one.box(0.53, 0.4, 0.06, 0.045, 0.03, -0.5), 0.03) * one.inside(ball))
    one.glow((50, 60, 80), one.spot(0.74, 0.76, 0.06) * one.inside(ball))
    return one


def night_moon() -> Canvas:
    one = Canvas("night_moon", 960, 640)
    one.paint(ramp(one.y, [(0, (7, 10, 24)), (0.6, (16, 24, 48)), (1, (34, 44, 68))]))
    one.glow((70, 74, 84), one.spot(1.05, 0.32, 0.2))
    for _ in range(70):
        x, y, light = one.random.uniform(0, one.wide), one.random.uniform(0, 0.85), one.random.uniform(20, 130)
        one.glow((light, light, light * 1.06), one.spot(x, y, 0.0016))
    moon = one.ellipse(1.05, 0.32, 0.085, 0.085)
    one.paint(
        np.array([236, 232, 220]) * (0.93 + 0.035 * one.cloud(0.02, octaves=3))[..., None], one.inside(moon, 0.004)
    )
    one.paint((4, 6, 12), one.inside(0.9 + 0.02 * np.sin(5 * one.x) - one.y, 0.004))
    one.grain(0.5)
    return one


def night_aurora() -> Canvas:
    one = Canvas("night_aurora", 768, 512)
    one.paint(ramp(one.y, [(0, (6, 8, 22)), (1, (18, 30, 46))]))
    for number, (x, colour) in enumerate([(0.4, (30, 170, 110)), (0.8, (40, 190, 130)), (1.15, (90, 80, 170))]):
        centre = x + 0.12 * np.sin(4 * one.y + 2 * number)
        band = np.exp(-((one.x - centre) ** 2) / (2 * 0.07**2)) * np.exp(-((one.y - 0.42) ** 2) / (2 * 0.2**2))
        one.glow(colour, 0.75 * band)
    one.paint((3, 5, 8), one.inside(0.87 + 0.03 * np.sin(3 * one.x + 1) - one.y, 0.006))
    one.grain(0.4)
    return one


def anime_face() -> Canvas:
    one = Canvas("anime_face", 720, 900, (186, 222, 240))
    one.paint((206, 234, 246), one.inside(one.ellipse(0.1, 0.25, 0.3, 0.08), 0.0))
    hair, face_colour, shadow = (92, 70, 122), (252, 226, 208), (234, 190, 176)
    one.paint((66, 48, 94), one.inside(one.ellipse(0.4, 0.5, 0.33, 0.4)))
    one.paint((246, 246, 250), one.inside(one.box(0.4, 1.0, 0.3, 0.16, 0.12)))
    one.paint((52, 76, 132), one.inside(one.box(0.4, 0.98, 0.12, 0.12, 0.02, 0.78)))
    one.paint(shadow, one.inside(one.box(0.4, 0.78, 0.065, 0.12, 0.03)))
    face = np.maximum(one.ellipse(0.4, 0.5, 0.23, 0.25), one.box(0.4, 0.5, 0.23, 0.26, 0.2))
    one.paint(face_colour, one.inside(face))
    one.paint(shadow, one.inside(np.maximum(face, one.y - 0.42 - 0.03 * np.sin(20 * one.x))) * (one.y > 0.36))
    for x in (0.3, 0.5):
        one.paint((255, 255, 255), one.inside(one.ellipse(x, 0.53, 0.05, 0.06)))
        one.paint(
            ramp(one.y, [(0.47, (48, 44, 110)), (0.58, (120, 170, 232))]),
            one.inside(one.ellipse(x, 0.535, 0.036, 0.052)),
        )
        one.paint((255, 255, 255), one.inside(one.ellipse(x - 0.013, 0.51, 0.012, 0.015)))
        one.paint((58, 40, 60), one.inside(one.box(x, 0.475, 0.056, 0.008, 0.008, 0.1 if x > 0.4 else -0.1)))
        one.paint((250, 176, 172), 0.7 * one.inside(one.ellipse(x * 1.3 - 0.12, 0.62, 0.045, 0.018), 0.02))
    one.paint((196, 104, 104), one.inside(one.box(0.4, 0.68, 0.03, 0.004, 0.004)))
    for x, turn in [(0.24, 0.35), (0.32, 0.15), (0.42, -0.05), (0.52, -0.25), (0.58, -0.45)]:
        one.paint(hair, one.inside(one.ellipse(x, 0.28, 0.075, 0.17, turn)))
    one.paint((128, 104, 160), one.inside(one.box(0.4, 0.21, 0.16, 0.012, 0.012, -0.06)))
    return one


def flat_mountains() -> Canvas:
    one = Canvas("flat_mountains", 1200, 800)
    one.paint(ramp(one.y, [(0, (250, 214, 186)), (0.7, (246, 232, 214))]))
    one.paint((250, 250, 240), one.inside(one.ellipse(1.05, 0.28, 0.1, 0.1)))
    for depth, colour in enumerate([(214, 176, 178), (172, 136, 164), (120, 98, 146), (76, 66, 116), (44, 42, 82)]):
        peak = 0.42 + 0.11 * depth + 0.1 * np.abs(((one.x * (1.1 + 0.3 * depth) + 0.37 * depth) % 1) - 0.5)
        one.paint(colour, one.inside(peak - one.y))
    return one


def flat_fruit() -> Canvas:
    one = Canvas("flat_fruit", 640, 640, (255, 238, 200))
    one.paint((250, 200, 150), one.inside(one.ellipse(0.5, 0.86, 0.34, 0.03)))
    one.paint(
        (232, 84, 72), one.inside(np.minimum(one.ellipse(0.41, 0.56, 0.23, 0.27), one.ellipse(0.59, 0.56, 0.23, 0.27)))
    )
    one.paint(
        (206, 62, 60), one.inside(np.maximum(one.ellipse(0.59, 0.56, 0.23, 0.27), -one.ellipse(0.5, 0.5, 0.25, 0.3)))
    )
    one.paint((250, 150, 130), one.inside(one.ellipse(0.33, 0.46, 0.035, 0.08, 0.3)))
    one.paint((104, 72, 52), one.inside(one.box(0.51, 0.25, 0.012, 0.075, 0.01, 0.15)))
    one.paint((110, 168, 92), one.inside(one.ellipse(0.6, 0.23, 0.09, 0.035, -0.4)))
    return one


def line_art() -> Canvas:
    one = Canvas("line_art", 1000, 750, (255, 255, 255))

    def draw(pen: ImageDraw.ImageDraw, size: float) -> None:
        def line(points: NDArray[np.float64], width: float = 0.004) -> None:
            pen.line(
                [(float(x) * size, float(y) * size) for x, y in points],
                fill=(20, 20, 24),
                width=round(width * size),
                joint="curve",
            )

        turn = np.linspace(0, 2 * np.pi, 120)
        line(np.stack([0.66 + 0.22 * np.cos(turn), 0.45 + 0.27 * np.sin(turn)], 1), 0.006)  # a cat's head and more
        for side in (-1, 1):
            line(np.array([[0.66 + side * 0.2, 0.34], [0.66 + side * 0.23, 0.1], [0.66 + side * 0.07, 0.2]]), 0.006)
            line(np.stack([0.66 + side * 0.09 + 0.03 * np.cos(turn), 0.4 + 0.045 * np.sin(turn)], 1))
            for drop in (0.0, 0.03, 0.06):
                line(np.array([[0.66 + side * 0.06, 0.53 + drop / 2], [0.66 + side * 0.32, 0.5 + 1.6 * drop]]), 0.0025)
        line(np.array([[0.64, 0.49], [0.68, 0.49], [0.66, 0.51], [0.64, 0.49]]))
        line(np.stack([0.66 + 0.04 * np.cos(turn[:60]), 0.53 + 0.03 * np.sin(turn[:60])], 1))
        line(np.stack([0.66 + 0.34 * np.cos(turn[60:] + 0.1), 0.96 + 0.3 * np.sin(turn[60:] + 0.1)], 1), 0.006)
        tail = np.linspace(0, 1, 80)
        line(np.stack([0.98 + 0.22 * tail, 0.9 - 0.5 * tail + 0.08 * np.sin(7 * tail)], 1), 0.006)
        line(np.array([[0.05, 0.965], [1.28, 0.965]]))

    one.drawn(draw)
    return one


def ui_dashboard() -> Canvas:
    one = Canvas("ui_dashboard", 1200, 750, (244, 246, 250))
    one.paint((255, 255, 255), one.inside(one.box(0.8, 0.04, 0.8, 0.04)))
    one.paint((32, 42, 66), one.inside(one.box(0.1, 0.5, 0.11, 0.5)))
    one.write("Overview", 0.25, 0.022, 0.032, (40, 46, 60))
    for row, name in enumerate(["Home", "Reports", "Customers", "Invoices", "Settings"]):
        one.paint((58, 92, 168), float(row == 1) * one.inside(one.box(0.1, 0.185 + 0.07 * row, 0.09, 0.026, 0.01)))
        one.write(name, 0.035, 0.168 + 0.07 * row, 0.026, (214, 222, 238))
    for column, (title, value) in enumerate([("Revenue", "48,210"), ("Orders", "1,204"), ("Returns", "2.1 %")]):
        x = 0.42 + 0.44 * column
        one.paint((216, 222, 234), 0.8 * one.inside(one.box(x, 0.206, 0.2, 0.092, 0.012), 0.018))
        one.paint((255, 255, 255), one.inside(one.box(x, 0.2, 0.2, 0.09, 0.012)))
        one.write(title, x - 0.17, 0.13, 0.024, (120, 130, 150))
        one.write(value, x - 0.17, 0.18, 0.056, (34, 40, 56))
    one.paint((255, 255, 255), one.inside(one.box(0.86, 0.64, 0.64, 0.31, 0.012)))
    curve = 0.7 - 0.12 * np.sin(3 * one.x) - 0.08 * np.sin(7 * one.x + 1)
    frame = one.inside(one.box(0.86, 0.64, 0.6, 0.27))
    one.paint((70, 120, 220), 0.22 * frame * one.inside(curve - one.y))
    one.paint((70, 120, 220), frame * one.inside(np.abs(one.y - curve) - 0.003))
    return one


def ui_phone_dark() -> Canvas:
    one = Canvas("ui_phone_dark", 600, 900, (18, 18, 22))
    one.paint(ramp(one.y, [(0, (40, 30, 76)), (0.35, (22, 20, 34)), (1, (18, 18, 22))]))
    one.write("Good evening", 0.05, 0.06, 0.045, (240, 240, 246))
    one.paint(
        ramp(one.x + one.y, [(0.2, (96, 60, 220)), (0.9, (220, 80, 150))]),
        one.inside(one.box(0.333, 0.29, 0.285, 0.12, 0.03)),
    )
    one.write("Daily mix", 0.09, 0.33, 0.032, (255, 255, 255))
    for row in range(5):
        y = 0.49 + 0.088 * row
        one.paint((34, 34, 42), one.inside(one.box(0.333, y, 0.285, 0.036, 0.015)))
        one.paint((80 + 25 * row, 96, 190 - 20 * row), one.inside(one.box(0.09, y, 0.028, 0.028, 0.008)))
        one.write(" ".join(WORDS[4 * row : 4 * row + 4]), 0.14, y - 0.016, 0.023, (196, 196, 208))
    one.paint((28, 28, 36), one.inside(one.box(0.333, 0.96, 0.34, 0.05)))
    return one


def slide() -> Canvas:
    one = Canvas("slide", 1200, 675)
    one.paint(ramp(one.x * 0.7 + one.y * 0.5, [(0, (18, 60, 110)), (0.8, (32, 116, 150)), (1.8, (70, 176, 160))]))
    one.glow((40, 50, 50), one.spot(1.5, 0.2, 0.35))
    one.write("Quarterly review", 0.12, 0.34, 0.11, (255, 255, 255))
    one.write("What changed, and what comes next", 0.125, 0.5, 0.045, (206, 232, 236))
    one.paint((255, 255, 255), 0.7 * one.inside(one.box(0.27, 0.62, 0.15, 0.003)))
    return one


def text_page() -> Canvas:
    one = Canvas("text_page", 700, 900, (255, 255, 255))
    one.write("Harbour, in the evening", 0.09, 0.08, 0.034, (18, 18, 20))
    place = 0
    for row in range(36):
        if row % 9 == 8:
            continue
        count = 13 + int(one.random.integers(0, 2)) if row % 9 != 7 else 6
        line = " ".join(WORDS[(place + offset) % len(WORDS)] for offset in range(count))
        place += count
        one.write(line, 0.09, 0.15 + 0.0215 * row, 0.0165, (24, 24, 28))
    return one


def text_paper() -> Canvas:
    one = Canvas("text_paper", 640, 800, (238, 230, 214))  # a page as a phone sees it: lit from one side
    one.shade(1.03 - 0.16 * one.x - 0.1 * one.y)
    place = 0
    for row in range(14):
        line = " ".join(WORDS[(place + offset) % len(WORDS)] for offset in range(6))
        place += 6
        one.write(line, 0.08, 0.1 + 0.034 * row, 0.024, (66, 60, 58))
    one.rgb = gaussian_filter(one.rgb, (0.6, 0.6, 0))
    one.grain(0.3)
    return one


def fog() -> Canvas:
    one = Canvas("fog", 960, 640)
    one.paint(ramp(one.y, [(0, (206, 210, 214)), (1, (186, 192, 196))]))
    for depth, grey in enumerate([196, 182, 164, 138]):
        ridge = (
            0.4 + 0.13 * depth + 0.04 * np.sin(one.x * (2.3 + depth) + 1.7 * depth) + 0.01 * np.sin(one.x * 13 + depth)
        )
        fade = np.exp(-np.clip(one.y - ridge, 0, None) / 0.16)
        one.paint((grey - 4, grey, grey + 2), 0.85 * one.inside(ridge - one.y, 0.02) * fade)
    one.paint((208, 212, 214), 0.3 * (0.5 + 0.25 * one.cloud(0.2, flat=3.0, octaves=2)).clip(0, 1))
    one.grain(0.15)
    return one


def water() -> Canvas:
    one = Canvas("water", 960, 640)
    one.paint(ramp(one.y, [(0, (196, 208, 216)), (0.3, (150, 178, 190)), (1, (38, 84, 104))]))
    depth = 0.02 + 0.5 * one.y**2
    ripples = np.sin(2.4 * np.cumsum(1 / (depth * 60), axis=0) * 0.2 + 1.2 * one.cloud(0.1, flat=3.0, octaves=2))
    one.rgb += (3 + 7 * one.y)[..., None] * ripples[..., None] * np.array([0.8, 1.0, 1.0])
    one.glow((70, 62, 40), np.exp(-((one.x - 0.8) ** 2) / 0.03) * (1 - one.y) ** 2)
    one.grain(0.15)
    return one


def bokeh() -> Canvas:
    one = Canvas("bokeh", 900, 600, (20, 16, 24))
    one.glow((30, 22, 12), one.spot(0.7, 0.6, 0.5))
    colours = [(255, 190, 110), (255, 140, 90), (250, 220, 160), (150, 180, 255), (240, 110, 130)]
    for number in range(34):
        x, y = one.random.uniform(0, one.wide), one.random.uniform(0.1, 0.95)
        size, light = one.random.uniform(0.03, 0.09), one.random.uniform(0.15, 0.5)
        disc = one.ellipse(x, y, size, size)
        red, green, blue = colours[number % len(colours)]
        one.glow((red, green, blue), light * one.inside(disc, 0.012) * (0.75 + 0.25 * np.exp(disc / 0.01).clip(0, 1)))
    one.grain(0.35)
    return one


def pixel_art() -> Canvas:
    one = Canvas("pixel_art", 768, 576)
    side = 12  # pixels of the file for one of the drawing
    rows, columns = one.height // side, one.width // side
    art = np.zeros((rows, columns, 3))
    sky = [(92, 148, 252), (116, 168, 252), (144, 190, 252), (180, 212, 252)]
    for row in range(rows):
        art[row] = sky[min(3, row * 5 // rows)]
    for x, y in [(6, 8), (28, 5), (48, 10)]:
        art[y : y + 2, x : x + 9] = (252, 252, 252)
        art[y - 1, x + 2 : x + 6] = (252, 252, 252)
    hill = (rows - 16 + 4 * np.sin(np.arange(columns) / 6)).astype(int)
    for x in range(columns):
        art[hill[x] :, x] = (0, 148, 68)
        art[hill[x], x] = (104, 204, 104)
    art[-6:] = (176, 104, 56)
    art[-6] = (232, 168, 96)
    art[-10:-6, 40:44] = (0, 168, 0)
    art[-11:-9, 39:45] = (88, 216, 84)
    hero = [
        "..wwww..",
        ".wwwwww.",
        ".wvvvvw.",
        ".wvvvvw.",
        "..wwww..",
        ".oggggo.",
        "ooggggoo",
        "..gggg..",
        "..g..g..",
        ".oo..oo.",
    ]
    palette = {"w": (236, 240, 244), "v": (64, 96, 160), "g": (168, 176, 188), "o": (232, 140, 60)}
    for dy, line in enumerate(hero):
        for dx, letter in enumerate(line):
            if letter in palette:
                art[rows - 16 + dy, 18 + dx] = palette[letter]
    one.rgb = art.repeat(side, axis=0).repeat(side, axis=1)
    return one


def snow() -> Canvas:
    one = Canvas("snow", 1024, 683)
    one.paint(ramp(one.y, [(0, (170, 196, 226)), (0.36, (214, 226, 240))]))
    ground = 0.38 + 0.05 * np.sin(2.2 * one.x + 0.4)
    drift = np.sin(3 * one.x + 9 * one.y + 0.8 * one.cloud(0.35, flat=2.0, octaves=1))
    one.paint(
        ramp(drift, [(-1.2, (204, 216, 236)), (0.2, (236, 241, 249)), (1.2, (253, 253, 252))]),
        one.inside(ground - one.y, 0.006),
    )
    one.paint((150, 174, 212), 0.35 * one.inside(one.ellipse(0.5, 0.75, 0.4, 0.05, -0.2), 0.12))
    return one


def dunes() -> Canvas:
    one = Canvas("dunes", 1200, 800)
    one.paint(ramp(one.y, [(0, (120, 168, 214)), (0.4, (210, 214, 206))]))
    for depth, (light, dark) in enumerate(
        [((226, 184, 138), (184, 134, 96)), ((232, 182, 122), (168, 112, 72)), ((238, 180, 108), (150, 92, 54))]
    ):
        crest = 0.36 + 0.17 * depth + 0.07 * np.sin(one.x * (2.6 - 0.5 * depth) + 2.1 * depth)
        side = np.clip((one.y - crest) / 0.3, 0, 1)
        turn = 0.5 + 0.5 * np.tanh(4 * np.sin(one.x * (2.6 - 0.5 * depth) + 2.1 * depth + 1.2 + 1.5 * side))
        slope = np.asarray(light) * turn[..., None] + np.asarray(dark) * (1 - turn[..., None])
        one.paint(slope * (1.04 - 0.16 * side)[..., None], one.inside(crest - one.y, 0.003))
    return one


def wall_lamp() -> Canvas:
    one = Canvas("wall_lamp", 900, 675, (176, 164, 148))
    one.shade(0.42 + 0.7 * np.exp(-((one.x - 0.9) ** 2) / 0.18 - (one.y - 0.38) ** 2 / 0.12))
    shade = np.abs(one.x - 0.9) - (0.07 + 0.3 * (one.y - 0.3))
    lamp = np.maximum(shade, np.abs(one.y - 0.4) - 0.1)
    one.paint(ramp(one.y, [(0.3, (255, 226, 170)), (0.5, (255, 240, 206))]), one.inside(lamp, 0.006))
    one.paint((70, 60, 54), one.inside(one.box(0.9, 0.63, 0.008, 0.13)))
    one.paint(
        ramp(one.x, [(0, (84, 82, 82)), (0.9, (134, 128, 122)), (1.4, (92, 90, 90))]), one.inside(0.76 - one.y, 0.004)
    )
    one.grain(0.3)
    return one


def metal() -> Canvas:
    one = Canvas("metal", 900, 600)
    wave = one.y + 0.12 * np.sin(2.4 * one.x) - 0.05 * one.x
    one.paint(
        ramp(
            wave,
            [
                (-0.1, (96, 20, 26)),
                (0.25, (170, 30, 36)),
                (0.4, (236, 120, 116)),
                (0.5, (150, 22, 28)),
                (0.85, (60, 8, 14)),
                (1.1, (120, 18, 24)),
            ],
        )
    )
    one.glow((120, 110, 110), np.exp(-((wave - 0.39) ** 2) / 0.0012) * one.spot(0.7, 0.3, 0.4))
    one.paint((24, 20, 22), one.inside(np.abs(wave - 0.72) - 0.003))
    return one


def gradient_mesh() -> Canvas:
    one = Canvas("gradient_mesh", 1200, 750, (240, 236, 248))
    for x, y, size, colour in [
        (0.2, 0.2, 0.35, (250, 170, 190)),
        (1.3, 0.25, 0.4, (150, 190, 255)),
        (0.8, 0.9, 0.4, (190, 240, 220)),
        (0.4, 0.8, 0.25, (255, 220, 160)),
    ]:
        one.paint(colour, 0.85 * one.spot(x, y, size))
    return one


def xray() -> Canvas:
    one = Canvas("xray", 640, 800, (12, 12, 12))
    body = one.inside(one.ellipse(0.4, 0.6, 0.36, 0.52), 0.16)
    one.glow((120, 120, 120), body)
    for x in (0.27, 0.53):
        one.shade(1 - 0.62 * one.inside(one.ellipse(x, 0.5, 0.1, 0.3, 0.12 if x < 0.4 else -0.12), 0.08))
    one.glow((70, 70, 70), one.inside(np.abs(one.x - 0.4) - 0.03, 0.03) * one.inside(0.1 - one.y, 0.1))
    one.glow((46, 46, 46), one.inside(one.ellipse(0.45, 0.62, 0.11, 0.13, 0.4), 0.07))
    for row in range(8):
        rib = np.abs(one.y - (0.22 + 0.075 * row) - 0.5 * (one.x - 0.4) ** 2 * (1 + row / 4)) - 0.008
        one.glow((22, 22, 22), one.inside(rib, 0.016) * body)
    one.rgb = gaussian_filter(one.rgb, (1, 1, 0))
    one.grain(0.6, colour=0.0)
    return one


def plate() -> Canvas:
    one = Canvas("plate", 800, 640, (206, 220, 214))
    one.shade(0.9 + 0.14 * one.spot(0.3, 0.2, 0.7))
    one.paint((150, 166, 162), 0.55 * one.inside(one.ellipse(0.66, 0.56, 0.4, 0.38), 0.08))
    radius = np.hypot(one.x - 0.62, one.y - 0.5)
    light = 0.97 - 0.06 * (one.x - 0.62 + one.y - 0.5)
    rim = 0.03 * np.exp(-((radius - 0.27) ** 2) / 0.0004)
    one.paint(np.array([250, 249, 246]) * (light - rim)[..., None], one.inside(radius - 0.39))
    for x, y, turn in [(0.55, 0.47, 0.3), (0.7, 0.5, 0.9), (0.6, 0.6, -0.4)]:
        one.paint((170, 160, 150), 0.4 * one.inside(one.ellipse(x + 0.015, y + 0.02, 0.1, 0.06, turn), 0.04))
        one.paint((232, 168, 96), one.inside(one.ellipse(x, y, 0.1, 0.06, turn), 0.006))
        one.glow((22, 26, 26), one.spot(x - 0.02, y - 0.02, 0.03))
    one.grain(0.2)
    return one


PICTURES: dict[str, Callable[[], Canvas]] = {
    draw.__name__: draw
    for draw in (
        sky_noon, sky_dusk, sky_clouds, skin_cheek, skin_shoulder, portrait, studio_grey, studio_gels, studio_paper,
        product_white, product_gloss, night_moon, night_aurora, anime_face, flat_mountains, flat_fruit, line_art,
        ui_dashboard, ui_phone_dark, slide, text_page, text_paper, fog, water, bokeh, pixel_art, snow, dunes, wall_lamp,
        metal, gradient_mesh, xray, plate,
    )
}  # fmt: skip


def encoded(pixels: Pixels) -> bytes:
    """The picture as a WebP file without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return buffer.getvalue()


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--only", help="names separated by commas; default: all")
    return options


def main() -> int:
    arguments = parser().parse_args()
    names = arguments.only.split(",") if arguments.only else list(PICTURES)
    unknown = [name for name in names if name not in PICTURES]
    if unknown:
        print(f"error: --only: expected some of {', '.join(PICTURES)}, found {unknown[0]}", file=sys.stderr)
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        content = encoded(PICTURES[name]().pixels())
        write_bytes(arguments.out / f"{name}.webp", content)
        print(f"{name}.webp: {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
