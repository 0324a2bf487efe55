"""Colour: what a colour-managed viewer shows is what is marked, and only the mark changes in it."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.wam.pictures.pictures import (
    SRGB,
    colours,
    curve_tag,
    icc,
    marked,
    opened,
    png16,
    profile,
    resaved,
    sample,
    saved,
)
from tests.wam.synthetic import smooth_picture
from wam.pictures.colour import coded_space, png_space, profile_space
from wam.pictures.files import encode_image, read_image
from wam.pictures.quality import psnr
from wam.watermarker import Watermarker

WIDE = ("Display P3", "Adobe RGB", "linear")
BITS = "01100111000011110000111100001111"


def shown(content: bytes) -> np.ndarray:
    """What the file looks like in sRGB, by LittleCMS and not by the toolkit."""
    picture = opened(content)
    srgb, relative = ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
    own = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    managed = ImageCms.profileToProfile(picture, own, srgb, renderingIntent=relative, outputMode="RGB")
    assert managed is not None
    return np.asarray(managed)


def srgb_encoded(linear: np.ndarray) -> np.ndarray:
    """Light in [0, 1] as sRGB in [0, 1] (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def wide(name: str, *, height: int = 128, width: int = 128) -> bytes:
    return saved(Image.fromarray(smooth_picture(height, width)), "PNG", icc_profile=profile(name))


@pytest.mark.parametrize("name", WIDE)
def test_pixels_are_those_of_a_colour_managed_viewer(name: str) -> None:
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 5, dtype=np.uint8)] * 3), axis=-1).reshape(-1, 52, 3)
    content = saved(Image.fromarray(cube), "PNG", icc_profile=profile(name))
    error = np.abs(read_image(content).pixels.astype(int) - shown(content))
    assert np.abs(shown(content).astype(int) - cube).max() > 20
    assert error.max() <= 2 and error.mean() < 0.3


def test_grey_profile_is_applied() -> None:
    content = saved(sample("L"), "PNG", icc_profile=profile("grey 1.8"))
    expected = 255 * srgb_encoded((np.array(sample("L")) / 255) ** 1.8)
    assert np.abs(read_image(content).pixels[..., 0] - expected).max() < 0.51
    assert opened(resaved(content)).mode == "L"


@pytest.mark.parametrize("name", WIDE)
def test_only_the_mark_shows_after_colour_management(name: str, light: Watermarker, tmp_path: Path) -> None:
    content = wide(name)
    picture = read_image(content)
    result = light.embed(picture.pixels, BITS).image
    after, lost = encode_image(np.asarray(result), like=picture, format="PNG")
    assert opened(after).info["icc_profile"] == profile(name)
    assert lost == ()
    assert psnr(shown(after), shown(content)) == pytest.approx(psnr(np.asarray(result), picture.pixels), abs=0.6)
    assert [found.bits for found in light.detect(read_image(after).pixels)] == [BITS]
    assert [found.bits for found in light.detect(shown(after))] == [BITS]  # a copy that was converted to sRGB


def test_dark_linear_light_is_not_marked_more_than_it_hides() -> None:
    linear = (np.linspace(0.001, 0.05, 64 * 64).reshape(64, 64, 1) * np.ones(3) * 65535).astype(np.uint16)
    content = png16(linear, gAMA=struct.pack(">I", 100_000))
    picture = read_image(content)
    assert picture.pixels.min() >= 3 and picture.pixels.max() < 70
    again = read_image(resaved(content))
    assert again.samples is not None and picture.samples is not None
    change = srgb_encoded(again.samples / 65535) - srgb_encoded(picture.samples / 65535)
    wanted = (marked(picture).astype(int) - picture.pixels) / 255
    assert np.abs(change - wanted).max() * 255 < 0.6
    assert np.abs(again.samples.astype(int) - picture.samples).max() < 3 * 257 / 2  # as numbers they barely move


def test_unchanged_pixels_keep_their_samples() -> None:
    picture = read_image(wide("Display P3"))
    content, _ = encode_image(picture.pixels, like=picture, format="PNG")
    assert (np.array(opened(content)) == smooth_picture()).all()


def test_colours_outside_srgb_stay_outside() -> None:
    samples = np.full((40, 40, 3), (20, 250, 30), np.uint8)  # a green that sRGB has not
    content = saved(Image.fromarray(samples), "PNG", icc_profile=profile("Display P3"))
    picture = read_image(content)
    assert picture.pixels.min() == 0
    again = np.array(opened(resaved(content))).astype(int)
    assert np.abs(again - samples).max() < 20
    assert np.abs(again - samples).mean() < 4


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("format", ["BMP", "GIF"])
def test_format_without_profiles_gets_srgb(name: str, format: str) -> None:
    content = wide(name)
    picture = read_image(content)
    again, lost = encode_image(picture.pixels, like=picture, format=format)
    assert {"ICC profile", "colours beyond sRGB"} <= set(lost)
    error = np.abs(np.array(opened(again).convert("RGB")).astype(int) - shown(content))
    assert error.mean() < (0.5 if format == "BMP" else 3)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_profile_goes_along_to_another_format(format: str) -> None:
    content = wide("Adobe RGB")
    picture = read_image(content)
    again, lost = encode_image(picture.pixels, like=picture, format=format)
    assert lost == ()
    assert np.abs(shown(again).astype(int) - shown(content)).mean() < 1.5


def test_sixteen_bits_of_a_wide_picture_become_eight() -> None:
    deep = colours().astype(np.uint16) * 257
    content = png16(deep, iCCP=b"ICC Profile\0\0" + zlib.compress(profile("Display P3")))
    picture = read_image(content)
    again, lost = encode_image(picture.pixels, like=picture, format="WEBP")
    assert lost == ("bits beyond 8",)
    assert (np.array(opened(again)) == colours()).all()


def test_srgb_profiles_change_nothing() -> None:
    assert profile_space(SRGB, grey=False) is None
    assert coded_space(1, 13, grey=False) is None
    assert png_space({b"gAMA": struct.pack(">I", 45455)}, grey=False) is None
    assert read_image(saved(sample("RGB"), "PNG", icc_profile=SRGB)).space is None


def test_codes_and_chromaticities_say_the_same() -> None:
    chromaticities = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    stated = png_space({b"gAMA": struct.pack(">I", 45455), b"cHRM": struct.pack(">8I", *chromaticities)}, grey=False)
    coded = coded_space(12, 13, grey=False)
    from_profile = profile_space(profile("Display P3"), grey=False)
    assert stated is not None and coded is not None and from_profile is not None
    assert png_space({b"cICP": bytes([12, 13, 0, 1])}, grey=False) is coded
    assert np.abs(coded.to_srgb - from_profile.to_srgb).max() < 1e-3
    assert np.abs(coded.to_srgb - stated.to_srgb).max() < 1e-6


@pytest.mark.parametrize("values", [(1.8,), (2.2, 0.9, 0.1), (2.2, 0.8, 0.1, 0.05), (3.0, 0.8, 0.2, 0.2, 0.2)])
def test_parametric_curves_are_those_of_littlecms(values: tuple[float, ...]) -> None:
    tags = {band + b"TRC": curve_tag(values) for band in (b"r", b"g", b"b")}
    tags |= {b"rXYZ": b"", b"gXYZ": b"", b"bXYZ": b""}
    plain = profile("linear")
    start = struct.unpack_from(">I", plain, 128)[0]
    for entry in range(start):
        kind, at, size = struct.unpack_from(">4sII", plain, 132 + 12 * entry)
        if kind in tags and kind.endswith(b"XYZ"):
            tags[kind] = plain[at : at + size]
    steps = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    content = saved(Image.fromarray(steps), "PNG", icc_profile=icc(b"RGB ", tags))
    assert np.abs(read_image(content).pixels.astype(int) - shown(content)).max() <= 1


def test_damaged_profiles_are_taken_for_srgb() -> None:
    random = np.random.default_rng(0)
    whole = profile("Adobe RGB")
    for size in (0, 3, 100, 128, 131, 140, 200):
        assert profile_space(whole[:size], grey=False) is None
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(5):
            damaged[random.integers(128, len(damaged))] = random.integers(256)
        space = profile_space(bytes(damaged), grey=False)
        if space is not None:
            assert np.isfinite(space.show(colours())).all()
            assert space.shift(colours(), np.ones_like(colours(), dtype=int)).dtype == np.uint8


def test_avif_keeps_its_colour_codes() -> None:
    plain = saved(sample("RGB"), "AVIF", quality=95)
    at = plain.find(b"colrnclx") + 8
    content = plain[:at] + struct.pack(">HH", 12, 13) + plain[at + 4 :]
    picture = read_image(content)
    assert picture.settings.colour_codes == (12, 13)
    assert picture.space is coded_space(12, 13, grey=False)
    again = resaved(content)
    assert read_image(again).settings.colour_codes == (12, 13)
    assert np.abs(np.array(opened(again)).astype(int) - np.array(opened(content))).mean() < 4
