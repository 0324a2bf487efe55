"""Samples to Pillow's pictures and back, some rows at a time: Pillow's own ways hold a large picture twice more."""

from __future__ import annotations

import numpy as np
from PIL import Image

from wam.pictures.colour import strips
from wam.pictures.samples import Pixels

WHOLE = 60_000_000  # bytes up to which pixels are averaged at once


def samples_of(image: Image.Image) -> Pixels:
    """(H, W, C) of a loaded picture of 8 bits a sample."""
    samples = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    for rows in strips(image.height, samples.strides[0]):
        part = image.crop((0, rows.start, image.width, rows.stop))
        samples[rows] = np.asarray(part).reshape(samples[rows].shape)
    return samples


def image_of(samples: Pixels, mode: str) -> Image.Image:
    """A picture of samples (H, W, C)."""
    height, width, _ = samples.shape
    image = Image.new(mode, (width, height))
    for rows in strips(height, samples[0].size):
        image.paste(_image_of(samples[rows], mode), (0, rows.start))
    return image


def _image_of(samples: Pixels, mode: str) -> Image.Image:
    height, width, _ = samples.shape
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(samples).tobytes())


def averaged(pixels: Pixels, side: int) -> Image.Image:
    """(H, W, 3) as a square of ``side`` pixels, each the mean of what lies in it: Pillow's ``BOX``, for large pictures
    to a level, since Pillow may make tall ones shorter first."""
    if pixels.nbytes <= WHOLE:
        return _image_of(pixels, "RGB").resize((side, side), Image.Resampling.BOX)
    narrow = Image.new("RGB", (side, len(pixels)))
    for rows in strips(len(pixels), pixels[0].size):
        part = _image_of(pixels[rows], "RGB")
        narrow.paste(part.resize((side, part.height), Image.Resampling.BOX), (0, rows.start))
    return narrow.resize((side, side), Image.Resampling.BOX)


def squared(pixels: Pixels, side: int) -> Image.Image:
    """(H, W, 3) as a square of ``side`` pixels: as Pillow's ``BILINEAR`` with a ``reducing_gap`` of 3, which takes the
    means of whole pixels first where a side has many more than it needs."""
    height, width = pixels.shape[:2]
    down, across = (max(1, int(length / side / 3)) for length in (height, width))
    if down == across == 1:
        return _image_of(pixels, "RGB").resize((side, side), Image.Resampling.BILINEAR)
    reduced = Image.new("RGB", (-(-width // across), -(-height // down)))
    for rows in strips(reduced.height, down * pixels[0].size):
        part = _image_of(pixels[rows.start * down : rows.stop * down], "RGB")
        reduced.paste(part.reduce((across, down)), (0, rows.start))
    return reduced.resize((side, side), Image.Resampling.BILINEAR, box=(0, 0, width / across, height / down))
