"""Encoder settings: a picture saved again is encoded as its source was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.wam.pictures.pictures import colours, described_exif, marked, opened, ramp, resaved, sample, saved
from wam.errors import ImageError
from wam.pictures.files import encode_image, read_image
from wam.pictures.tiff_writer import TIFF_STRIP_BYTES


def test_lossless_webp_stays_lossless() -> None:
    content = saved(sample("RGBA"), "WEBP", lossless=True, exact=True, exif=described_exif())
    picture = read_image(content)
    again = read_image(encode_image(marked(picture), like=picture, format="WEBP")[0])
    assert again.settings.lossless
    assert (again.pixels[ramp() > 0] == marked(picture)[ramp() > 0]).all()


def test_lossy_webp_stays_lossy() -> None:
    assert not read_image(resaved(saved(sample("RGB"), "WEBP"))).settings.lossless


def test_quality_makes_webp_lossy() -> None:
    picture = read_image(saved(sample("RGB"), "PNG"))
    content, _ = encode_image(picture.pixels, like=picture, format="WEBP", quality=50)
    assert not read_image(content).settings.lossless


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_keeps_tables_subsampling_and_scan(subsampling: str, progressive: bool) -> None:
    options = {"subsampling": subsampling, "progressive": progressive, "quality": 83}
    before = opened(saved(sample("RGB"), "JPEG", **options))
    after = opened(resaved(saved(sample("RGB"), "JPEG", **options)))
    assert after.quantization == before.quantization
    assert after.layer == before.layer
    assert bool(after.info.get("progressive")) == progressive


def test_jpeg_keeps_three_tables() -> None:
    tables = [[value] * 64 for value in (3, 5, 7)]
    after = opened(resaved(saved(sample("RGB"), "JPEG", qtables=tables)))
    assert [after.quantization[component[3]] for component in after.layer] == tables


def test_rgb_jpeg_stays_rgb() -> None:
    after = opened(resaved(saved(sample("RGB"), "JPEG", keep_rgb=True, quality=95)))
    assert after.info["adobe_transform"] == 0


def test_noisy_progressive_jpeg_is_written() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    picture = read_image(saved(Image.fromarray(noise), "JPEG", quality=60, progressive=True))
    content, _ = encode_image(noise, like=picture, format="JPEG", quality=100)
    assert opened(content).info["progressive"]


def test_quality_replaces_the_tables() -> None:
    picture = read_image(saved(sample("RGB"), "JPEG", quality=95))
    low, _ = encode_image(picture.pixels, like=picture, format="JPEG", quality=30)
    assert opened(low).quantization == opened(saved(sample("RGB"), "JPEG", quality=30)).quantization


def test_other_sources_become_fine_jpeg() -> None:
    after = opened(resaved(saved(sample("RGB"), "PNG"), "JPEG"))
    expected = opened(saved(sample("RGB"), "JPEG", quality=95, subsampling="4:4:4"))
    assert (after.quantization, after.layer) == (expected.quantization, expected.layer)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_avif_keeps_subsampling(subsampling: str) -> None:
    content = resaved(saved(sample("RGB"), "AVIF", subsampling=subsampling))
    assert read_image(content).settings.subsampling == subsampling


@pytest.mark.parametrize(("compression", "code"), [("raw", 1), ("tiff_lzw", 8), ("jpeg", 8)])
def test_tiff_compression_is_lossless_and_raw_stays_raw(compression: str, code: int) -> None:
    content = saved(sample("RGB"), "TIFF", compression=compression)
    picture = read_image(content)
    again = opened(encode_image(picture.pixels, like=picture, format="TIFF")[0])
    assert (np.array(again) == picture.pixels).all()
    assert again.tag_v2[259] == code


def test_tiff_with_many_strips() -> None:
    source = saved(Image.fromarray(colours(height=1300, width=600)), "PNG")
    content = resaved(source, "TIFF")
    assert 2 * TIFF_STRIP_BYTES < 1300 * 600 * 3 and len(opened(content).tag_v2[273]) == 3
    assert (read_image(content).pixels == marked(read_image(source))).all()


def test_picture_beyond_the_format_is_refused() -> None:
    picture = read_image(saved(Image.new("RGB", (16_384, 1)), "PNG"))
    with pytest.raises(ImageError, match=r"fits WEBP, found 16384x1 .*, write a \.png"):
        encode_image(picture.pixels, like=picture, format="WEBP")
