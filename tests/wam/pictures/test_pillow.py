"""Samples to Pillow and back in strips, and small pictures of them, against Pillow's own ways."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from wam.pictures.paged import let_go, paged
from wam.pictures.pillow import averaged, image_of, samples_of, squared


def noise(height: int, width: int, bands: int = 3) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, bands), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
def test_samples_are_the_same_both_ways(mode: str) -> None:
    samples = noise(701, 999, len(mode))
    whole = Image.frombytes(mode, (999, 701), samples.tobytes())
    image = image_of(samples, mode)
    assert (image.mode, image.tobytes()) == (mode, whole.tobytes())
    np.testing.assert_array_equal(samples_of(whole), samples)


@pytest.mark.parametrize("size", [(37, 51), (970, 2000), (2113, 961), (3201, 911)])
def test_a_square_is_pillows(size: tuple[int, int]) -> None:
    pixels = noise(*size)
    own = Image.fromarray(pixels).resize((320, 320), Image.Resampling.BILINEAR, reducing_gap=3.0)
    np.testing.assert_array_equal(np.asarray(squared(pixels, 320)), np.asarray(own))


@pytest.mark.parametrize("size", [(300, 200), (9000, 2300), (2300, 9000)])
def test_averages_are_pillows_to_a_level(size: tuple[int, int]) -> None:
    pixels = noise(*size)
    own = np.asarray(Image.fromarray(pixels).resize((48, 48), Image.Resampling.BOX)).astype(int)
    apart = np.abs(np.asarray(averaged(pixels, 48)) - own).max()
    assert apart <= (1 if pixels.size > 1_000_000 else 0)


def test_pixels_in_a_file_are_the_same_after_they_were_let_go() -> None:
    pixels = noise(501, 333)
    kept = paged(pixels, least=1)
    assert kept is not pixels
    let_go(kept)
    np.testing.assert_array_equal(kept, pixels)
    assert paged(pixels) is pixels
    let_go(pixels)  # nothing to be let go of
    assert pixels.any()
