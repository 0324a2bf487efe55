"""Profiles by table and of inks: what a colour-managed viewer shows is what is marked, and the file stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.wam.pictures.pictures import SRGB, deep_colours, lut_profile, marked, opened, saved
from tests.wam.pictures.test_colour import BITS, shown
from tests.wam.synthetic import smooth_picture
from wam.pictures.files import encode_image, read_image
from wam.pictures.managed_colour import managed_space
from wam.pictures.quality import psnr
from wam.watermarker import Watermarker

INKS = lut_profile(b"CMYK")
TABLE = lut_profile(b"RGB ")


def separated(picture: np.ndarray) -> Image.Image:
    """CMYK with much black in it, and a rim of paper white and of full black."""
    levels = picture.astype(int)
    black = 255 - levels.max(axis=2, keepdims=True) * 3 // 4 - 64
    inks = ((levels.max(axis=2, keepdims=True) - levels) * 3 // 2).clip(0, 255)
    cmyk = np.concatenate([inks, black], axis=2).clip(0, 255).astype(np.uint8)
    cmyk[:2], cmyk[-2:] = 0, 255
    return Image.fromarray(cmyk, "CMYK")


SOURCES = {
    "tiff inks": lambda: saved(separated(smooth_picture()), "TIFF", icc_profile=INKS),
    "jpeg inks": lambda: saved(separated(smooth_picture()), "JPEG", icc_profile=INKS, quality=98, subsampling=0),
    "png table": lambda: saved(Image.fromarray(smooth_picture()), "PNG", icc_profile=TABLE),
}


@pytest.mark.parametrize("name", SOURCES)
def test_pixels_are_those_of_a_colour_managed_viewer(name: str) -> None:
    content = SOURCES[name]()
    picture = read_image(content)
    assert psnr(picture.pixels, shown(content)) > 38  # black point compensation aside
    assert psnr(np.array(opened(content).convert("RGB")), shown(content)) < 28  # by rule of thumb


@pytest.mark.parametrize("name", ["tiff inks", "jpeg inks"])
@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_inks_become_rgb_as_a_viewer_shows_them(name: str, format: str) -> None:
    content = SOURCES[name]()
    picture = read_image(content)
    again, lost = encode_image(picture.pixels, like=picture, format=format)
    assert lost == ("CMYK inks", "ICC profile")
    assert psnr(np.array(opened(again).convert("RGB")), shown(content)) > 38


@pytest.mark.parametrize("name", SOURCES)
def test_only_the_mark_shows_after_colour_management(name: str, light: Watermarker) -> None:
    content = SOURCES[name]()
    picture = read_image(content)
    result = np.asarray(light.embed(picture.pixels, BITS).image)
    after, lost = encode_image(result, like=picture, format=picture.format)
    assert lost == () and opened(after).mode == opened(content).mode
    assert opened(after).info["icc_profile"] == opened(content).info["icc_profile"]
    assert psnr(shown(after), shown(content)) == pytest.approx(psnr(result, picture.pixels), abs=2.0)
    assert [found.bits for found in light.detect(read_image(after).pixels)] == [BITS]
    assert [found.bits for found in light.detect(shown(after))] == [BITS]


def test_the_way_back_comes_near_and_leaves_the_rest_alone() -> None:
    picture = read_image(SOURCES["tiff inks"]())
    assert picture.samples is not None and picture.space is not None
    change = marked(picture).astype(int) - picture.pixels
    change[:, ::2] = 0
    moved = picture.space.shift(picture.samples, change)
    assert (moved[:, ::2] == picture.samples[:, ::2]).all()
    error = np.rint(picture.space.show(moved) * 255) - picture.pixels - change
    assert np.abs(error[8:-8]).mean() < 0.5
    black = moved[..., 3].astype(int) - picture.samples[..., 3]
    assert black.max() == 0 and moved[black < 0][:, :3].min(axis=-1).max() < 8  # only what no colour can lighten


def test_sixteen_bits_keep_their_low_ones() -> None:
    deep = deep_colours()
    space = managed_space(TABLE, "RGB")
    assert space is not None
    moved = space.shift(deep, np.ones(deep.shape, int))
    assert moved.dtype == np.uint16 and 0 < (moved.astype(int) - deep).mean() < 700
    assert len(np.unique(moved % 257)) > 200


@pytest.mark.parametrize(
    ("profile", "mode"), [(INKS, "RGB"), (TABLE, "CMYK"), (TABLE, "L"), (SRGB, "RGB"), (b"", "RGB")]
)
def test_profiles_of_other_bands_are_not_applied(profile: bytes, mode: str) -> None:
    assert managed_space(profile, mode) is None


def test_damaged_profiles_are_not_applied_or_do_no_harm() -> None:
    random = np.random.default_rng(0)
    for size in (0, 3, 100, 128, 140, 300, 1000):
        assert managed_space(INKS[:size], "CMYK") is None
    for _ in range(60):
        damaged = bytearray(INKS)
        for _ in range(4):
            damaged[random.integers(128, 1000)] = random.integers(256)
        space = managed_space(bytes(damaged), "CMYK")
        if space is not None:
            assert np.isfinite(space.show(np.zeros((2, 2, 4), np.uint8))).all()
