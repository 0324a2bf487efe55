"""16-bit pictures: every bit is read, marked and written again."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests.wam.pictures.pictures import deep_colours, interlaced, marked, png16, resaved, tiff16
from wam.pictures.files import encode_image, read_image


def deep_samples(content: bytes) -> np.ndarray:
    samples = read_image(content).samples
    assert samples is not None
    return samples


def deep_sources(bands: int) -> dict[str, bytes]:
    deep = deep_colours(bands=bands)
    sources = {"png": png16(deep)}
    if bands != 2:  # Pillow knows no 16-bit TIFF with grey and alpha
        sources |= {
            "little": tiff16(deep, prefix=b"II"),
            "big": tiff16(deep, prefix=b"MM"),
            "tiled": tiff16(deep, prefix=b"II", tile=16),
        }
    return sources


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_all_sixteen_bits_are_read(bands: int) -> None:
    for name, content in deep_sources(bands).items():
        picture = read_image(content)
        assert picture.samples is not None, name
        assert (picture.samples == deep_colours(bands=bands)).all(), name
        assert picture.mode == ("I;16", "LA;16", "RGB;16", "RGBA;16")[bands - 1]


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_the_mark_is_applied_at_sixteen_bits(bands: int) -> None:
    deep = deep_colours(bands=bands)
    for name, content in deep_sources(bands).items():
        picture = read_image(content)
        change = marked(picture).astype(int) - picture.pixels
        if picture.alpha is not None:
            change[picture.alpha == 0] = 0
            assert picture.alpha.min() == 0
        again = read_image(resaved(content))
        colour = deep.shape[2] - (bands in (2, 4))
        assert again.samples is not None, name
        assert (again.samples[..., :colour] == deep[..., :colour] + 257 * change[..., :colour]).all()
        assert (again.samples[..., colour:] == deep[..., colour:]).all()


@pytest.mark.parametrize(("source", "format"), [("png", "TIFF"), ("little", "PNG")])
def test_sixteen_bits_survive_a_change_of_format(source: str, format: str) -> None:
    content = deep_sources(4)[source]
    picture = read_image(content)
    again = deep_samples(encode_image(picture.pixels, like=picture, format=format)[0])
    assert np.array_equal(again, deep_colours(bands=4))


def test_sixteen_bit_grey_with_alpha_becomes_rgba_in_tiff() -> None:
    picture = read_image(png16(deep_colours(bands=2)))
    again = deep_samples(encode_image(picture.pixels, like=picture, format="TIFF")[0])
    assert np.array_equal(again, deep_colours(bands=2)[..., [0, 0, 0, 1]])


def test_eight_bit_format_says_that_bits_are_lost() -> None:
    picture = read_image(png16(deep_colours()))
    content, lost = encode_image(marked(picture), like=picture, format="WEBP")
    assert (read_image(content).pixels == marked(picture)).all()
    assert lost == ("bits beyond 8",)


def test_sixteen_bit_colour_key_becomes_alpha() -> None:
    deep = deep_colours()
    picture = read_image(png16(deep, tRNS=deep[4, 7].astype(">u2").tobytes()))
    assert picture.alpha is not None
    assert np.argwhere(picture.alpha == 0).tolist() == [[4, 7]]


def test_interlaced_sixteen_bit_png_is_read() -> None:
    deep = deep_colours()
    content = interlaced(deep)
    assert np.array_equal(deep_samples(content), deep)


def test_white_is_zero_grey_is_turned_over() -> None:
    deep = deep_colours(bands=1)
    content = bytearray(tiff16(deep, prefix=b"II"))
    at = content.find(struct.pack("<HHIH", 262, 3, 1, 1))
    content[at + 8] = 0
    assert np.array_equal(deep_samples(bytes(content)), 65535 - deep)
