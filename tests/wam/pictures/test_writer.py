"""Encoder settings: a picture saved again is encoded as its source was."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.wam.pictures.pictures import (
    SRGB,
    colours,
    described_exif,
    marked,
    opened,
    ramp,
    resaved,
    sample,
    saved,
    tiff16,
)
from wam.errors import ImageError
from wam.pictures import exactly
from wam.pictures.containers import heif
from wam.pictures.exactly import encode_exactly
from wam.pictures.files import encode_image, read_image
from wam.pictures.formats import heif_works
from wam.pictures.tiff_writer import TIFF_STRIP_BYTES

SAMPLES = Path(__file__).parents[3] / "wam" / "samples"


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


@pytest.mark.parametrize("format", ["AVIF", *(["HEIF"] if heif_works() else [])])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_was_coded_without_loss_stays_so(format: str, mode: str) -> None:
    pytest.importorskip("imagecodecs", reason="the extra [avif] is not installed")
    source = heif.with_kept(encode_exactly(sample(mode), format), None, exif=None, packet=None, profile=SRGB)
    picture = read_image(source)
    assert picture.settings.exact and (picture.pixels == colours()).all()
    wanted = marked(picture)
    content, lost = encode_image(wanted, like=picture, format=format)
    after = read_image(content)
    seen = slice(None) if after.alpha is None else after.alpha > 0
    assert after.settings.exact and (after.pixels == wanted)[seen].all()
    assert after.metadata.icc_profile == SRGB and "samples" not in " ".join(lost)


def test_without_the_extra_an_exact_avif_is_nearly_so_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exactly, "avif_codec", lambda: None)
    picture = read_image(encode_exactly(sample("RGB"), "AVIF"))
    content, lost = encode_image(marked(picture), like=picture, format="AVIF")
    assert lost == ("samples to the level (exactly with the extra [avif], else within 3 levels)",)
    assert np.abs(read_image(content).pixels.astype(int) - marked(picture)).max() <= 3


@pytest.mark.parametrize("format", ["AVIF", *(["HEIF"] if heif_works() else [])])
@pytest.mark.parametrize("quality", [50, 90])
def test_lossy_coding_is_told_from_exact(format: str, quality: int) -> None:
    assert not read_image(saved(sample("RGB"), format, quality=quality, subsampling="4:4:4")).settings.exact


@pytest.mark.parametrize("format", ["WEBP", "AVIF"])
@pytest.mark.parametrize("quality", [40, 75, 90])
def test_a_lossy_picture_stays_about_as_large(format: str, quality: int) -> None:
    photo = Image.open(next(SAMPLES.glob("*.jpg"))).convert("RGB").resize((384, 288))
    source = saved(photo, format, quality=quality)
    picture = read_image(source)
    stated = picture.settings.source_quality
    assert stated is not None and abs(stated - quality) <= 12
    pattern = np.random.default_rng(0).normal(0, 1.0, picture.pixels.shape)
    content, _ = encode_image((picture.pixels + pattern).clip(0, 255).astype(np.uint8), like=picture, format=format)
    assert 0.8 * len(source) < len(content) <= 1.3 * len(source)


def test_chroma_that_is_not_written_is_said() -> None:
    plain = saved(sample("RGB"), "JPEG", quality=90, subsampling="4:2:0")
    frame = plain.index(b"\xff\xc0")
    assert plain[frame + 11] == 0x22
    tall = plain[: frame + 11] + b"\x12" + plain[frame + 12 :]
    picture = read_image(tall, max_pixels=10**6)
    _, lost = encode_image(picture.pixels, like=picture, format="JPEG")
    assert lost == ("chroma subsampling 4:4:0 (written as 4:4:4)",)


def test_a_grey_picture_with_a_profile_of_colours_becomes_rgb() -> None:
    picture = read_image(saved(sample("L"), "JPEG", quality=92, icc_profile=SRGB))
    content, lost = encode_image(picture.pixels, like=picture, format="PNG")
    assert (opened(content).mode, opened(content).info["icc_profile"], lost) == ("RGB", SRGB, ())
    assert opened(encode_image(picture.pixels, like=picture, format="JPEG")[0]).mode == "L"


def test_associated_alpha_stays_associated() -> None:
    pixels = np.dstack([colours() // 2, np.full(colours().shape[:2], 128, np.uint8)])
    content = tiff16(pixels, prefix=b"II")
    at = content.index(struct.pack("<HHI", 338, 3, 1)) + 8
    content = content[:at] + b"\1" + content[at + 1 :]
    picture = read_image(content)
    output, lost = encode_image(picture.pixels, like=picture, format="TIFF")
    assert lost == () and opened(output).tag_v2[338] == (1,)
    assert np.abs(read_image(output).pixels.astype(int) - picture.pixels).max() <= 2


@pytest.mark.parametrize("format", ["AVIF", "WEBP"])
@pytest.mark.parametrize("quality", [30, 60, 75, 90, 98])
def test_a_lossy_picture_is_encoded_twice_at_most(format: str, quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = read_image(saved(sample("RGB").resize((300, 200)), format, quality=quality))
    qualities: list[int] = []
    save = Image.Image.save

    def counted(image: Image.Image, stream: Any, *arguments: Any, **options: Any) -> None:
        qualities.append(options["quality"])
        save(image, stream, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", counted)
    encode_image(marked(picture), like=picture, format=format)
    least = min(96, picture.settings.source_quality or 0)
    assert len(qualities) == 1 + (len(qualities) == 2 and qualities[1] == least)
    assert least <= qualities[0] <= least + 12
