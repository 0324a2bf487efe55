"""Pictures that look like a mark to a careless detector, or like nothing it was made for."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def noise(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8, every value as likely as any other."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def checkerboard(height: int, width: int, *, period: float, contrast: int = 255) -> np.ndarray:
    """(H, W, 3) uint8: squares of half a period in pixels, ``contrast`` levels apart."""
    y, x = np.mgrid[:height, :width]
    white = (np.floor(2 * y / period) + np.floor(2 * x / period)) % 2
    return np.repeat((128 + contrast * (white - 0.5))[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)


def halftone(photo: Image.Image, *, period: float = 6.0, angle_deg: float = 45.0) -> np.ndarray:
    """(H, W, 3) uint8: black dots on a turned grid, as in a scanned newspaper, slightly blurred."""
    grey = np.asarray(photo.convert("L"), np.float64) / 255
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    angle = np.deg2rad(angle_deg)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    screen = 0.5 + 0.25 * (np.cos(2 * np.pi * u / period) + np.cos(2 * np.pi * v / period))
    dots = np.clip((grey - screen) * 3 + 0.5, 0, 1)
    return np.repeat((dots * 255).astype(np.uint8)[..., None], 3, axis=2)


def screenshot(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8: black text on white, line below line."""
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13)
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "while", "wizards", "wait"]
    for row, top in enumerate(range(6, height, 16)):
        draw.text((8, top), " ".join(words[row % len(words) :] + words * 3), fill=(20, 20, 20), font=font)
    return np.asarray(picture)


def moire(height: int, width: int, *, period: float = 3.1) -> np.ndarray:
    """(H, W, 3) uint8: two gratings of nearly the same period, one of them turned by 4 degrees."""
    y, x = np.mgrid[:height, :width]
    one = np.sin(2 * np.pi * x / period)
    other = np.sin(2 * np.pi * (x * np.cos(0.07) + y * np.sin(0.07)) / (period * 1.03))
    return np.repeat((128 + 60 * (one + other))[..., None], 3, axis=2).astype(np.uint8)
