"""Modes, transparency, inks and orientation: what a marked picture keeps of its source."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.wam.pictures.pictures import (
    HEIGHT,
    SRGB,
    WIDTH,
    XMP,
    colours,
    header,
    marked,
    opened,
    ramp,
    resaved,
    sample,
    saved,
)
from wam.errors import ImageError
from wam.pictures.files import encode_image, read_image

LOSSY = {"JPEG": 12, "WEBP": 12, "AVIF": 12}  # the largest error of a lossy format on ``colours()``, in grey levels

EXACT = [
    *(("PNG", mode) for mode in ("L", "LA", "RGB", "RGBA")),
    *(("TIFF", mode) for mode in ("L", "LA", "RGB", "RGBA", "CMYK")),
    *(("BMP", mode) for mode in ("L", "RGB")),
]


@pytest.mark.parametrize(("format", "mode"), EXACT)
def test_lossless_format_keeps_mode_and_marked_pixels(format: str, mode: str) -> None:
    picture = read_image(saved(sample(mode), format))
    expected = marked(picture)
    content, lost = encode_image(expected, like=picture, format=format)
    again = read_image(content)
    visible = slice(None) if picture.alpha is None else picture.alpha > 0
    assert opened(content).mode == picture.mode == mode
    assert (again.pixels[visible] == expected[visible]).all()
    assert lost == ()


@pytest.mark.parametrize(
    ("format", "mode"), [("JPEG", "L"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGB"),
                         ("WEBP", "RGBA"), ("AVIF", "L"), ("AVIF", "RGB"), ("AVIF", "RGBA")]
)  # fmt: skip
def test_lossy_format_keeps_mode_and_nearly_the_pixels(format: str, mode: str) -> None:
    picture = read_image(saved(sample(mode), format, quality=95))
    expected = marked(picture)
    content, _ = encode_image(expected, like=picture, format=format)
    error = np.abs(read_image(content).pixels.astype(int) - expected)
    if picture.alpha is not None:
        error = error[picture.alpha > 0]
    assert opened(content).mode == picture.mode == mode
    assert error.max() <= LOSSY[format]


@pytest.mark.parametrize(("mode", "expected"), [("P", "RGB"), ("1", "L")])
def test_few_colours_become_many(mode: str, expected: str) -> None:
    picture = read_image(saved(sample(mode), "PNG"))
    content, lost = encode_image(marked(picture), like=picture, format="PNG")
    assert opened(content).mode == expected
    assert len(lost) == 1


def test_transparent_palette_becomes_rgba() -> None:
    source = saved(sample("P"), "PNG", transparency=bytes(range(0, 256, 4)))
    again = opened(resaved(source))
    assert again.mode == "RGBA"
    assert (np.array(again)[..., 3] == np.array(opened(source).convert("RGBA"))[..., 3]).all()


def test_palette_of_greys_becomes_grey() -> None:
    picture = read_image(saved(sample("L"), "GIF"))
    content, lost = encode_image(marked(picture), like=picture, format="GIF")
    assert (read_image(content).pixels == marked(picture)).all()
    assert lost == ()


def test_palette_of_greys_with_a_colour_profile_becomes_rgb() -> None:
    content = resaved(saved(sample("L").convert("P"), "PNG", icc_profile=SRGB))
    assert (opened(content).mode, opened(content).info["icc_profile"]) == ("RGB", SRGB)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_colour_key_becomes_alpha(mode: str) -> None:
    key = sample(mode).getpixel((5, 5))
    content = saved(sample(mode), "PNG", transparency=key)
    picture = read_image(content)
    assert picture.alpha is not None and picture.alpha[5, 5] == 0
    assert opened(resaved(content)).mode == mode + "A"


def test_grey_is_exact_where_channels_are_equal() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    picture = read_image(saved(Image.fromarray(levels[..., 0]), "PNG"))
    content, _ = encode_image(levels, like=picture, format="PNG")
    assert (np.array(opened(content)) == levels[..., 0]).all()


def test_hidden_colours_stay() -> None:
    source = np.dstack([colours(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    content = resaved(saved(Image.fromarray(source), "PNG"))
    assert (np.array(opened(content)) == source).all()


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_bit_exact(format: str) -> None:
    content = resaved(saved(sample("RGBA"), "PNG"), format)
    assert (np.array(opened(content))[..., 3] == ramp()).all()


@pytest.mark.parametrize("format", ["JPEG", "BMP"])
def test_format_without_alpha_refuses_transparency(format: str) -> None:
    picture = read_image(saved(sample("RGBA"), "PNG"))
    with pytest.raises(ImageError, match=r"transparent parts, write a \.png$"):
        encode_image(picture.pixels, like=picture, format=format)


def test_format_without_alpha_takes_an_opaque_picture() -> None:
    opaque = Image.fromarray(np.dstack([colours(), np.full((HEIGHT, WIDTH), 255, np.uint8)]))
    assert opened(resaved(saved(opaque, "PNG"), "JPEG")).mode == "RGB"


def test_avif_says_that_alpha_is_not_exact() -> None:
    picture = read_image(saved(sample("RGBA"), "PNG"))
    assert "exact transparency" in encode_image(picture.pixels, like=picture, format="AVIF")[1]


def test_transparent_gif_stays_transparent() -> None:
    again = read_image(resaved(saved(sample("RGBA"), "PNG"), "GIF"))
    assert again.alpha is not None
    assert ((again.alpha == 0) == (ramp() < 128)).all()


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_is_shown_by_pillows_rule(format: str) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    content = saved(_cmyk(noise), format)
    assert (read_image(content).pixels == np.array(opened(content).convert("RGB"))).all()


def _cmyk(inks: np.ndarray) -> Image.Image:
    return Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), inks.tobytes())


def test_unmarked_cmyk_keeps_its_inks() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    picture = read_image(saved(_cmyk(noise), "TIFF"))
    content, _ = encode_image(picture.pixels, like=picture, format="TIFF")
    assert (np.array(opened(content)) == noise).all()


def test_black_ink_alone_takes_a_mark() -> None:
    inks = np.zeros((32, 32, 4), np.uint8)
    inks[..., 3] = 128
    picture = read_image(saved(_cmyk(inks), "TIFF"))
    for change in (-5, 5):
        wanted = (picture.pixels.astype(int) + change).astype(np.uint8)
        content, _ = encode_image(wanted, like=picture, format="TIFF")
        assert (read_image(content).pixels == wanted).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_applied_and_kept(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    content = saved(sample("RGB"), format, exif=exif, quality=95)
    picture = read_image(content)
    upright = np.array(ImageOps.exif_transpose(opened(content)))
    assert (picture.pixels == upright).all()
    again = encode_image(marked(picture), like=picture, format=format)[0]
    assert header(again).getexif().get(274, 1) == orientation
    shown = np.array(ImageOps.exif_transpose(opened(again))).astype(int)
    assert np.abs(shown - marked(picture)).max() <= LOSSY.get(format, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_orientation_becomes_one_in_another_format(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    exif[271] = "Maker"
    picture = read_image(saved(sample("RGB"), "JPEG", exif=exif, xmp=XMP))
    content = encode_image(marked(picture), like=picture, format=format)[0]
    assert (np.array(opened(content)) == marked(picture)).all()
    assert header(content).getexif()[274] == 1
    assert header(content).getexif()[271] == "Maker"


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_that_means_nothing_is_upright(value: int) -> None:
    exif = Image.Exif()
    exif[274] = value
    picture = read_image(saved(sample("RGB"), "PNG", exif=exif))
    assert picture.orientation == 1
    assert (picture.pixels == colours()).all()
