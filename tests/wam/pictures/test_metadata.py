"""Metadata: what survives, byte for byte where it can, and what is said to be lost."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from tests.wam.pictures.pictures import (
    SRGB,
    XMP,
    described_exif,
    header,
    marked,
    opened,
    resaved,
    sample,
    saved,
    with_valid_sums,
)
from wam.pictures.files import encode_image, read_image
from wam.pictures.metadata import png_chunks

CARRIERS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_survives_byte_for_byte(format: str) -> None:
    content = saved(sample("RGB"), format, exif=described_exif())
    before, after = opened(content).info["exif"], opened(resaved(content)).info["exif"]
    assert after.removeprefix(b"Exif\0\0") == before.removeprefix(b"Exif\0\0")


def test_tiff_keeps_its_description() -> None:
    again = opened(resaved(saved(sample("RGB"), "TIFF", exif=described_exif(), dpi=(300, 150))))
    exif = again.getexif()
    assert (exif[271], exif[306], exif[33432]) == ("Maker", "2026:11:22 09:30:00", "Acme")
    assert exif.get_ifd(34665)[36867] == "2026:11:22 09:30:00"
    assert exif.get_ifd(34853)[2] == (48.0, 51.0, 30.0)
    assert again.info["dpi"] == (300, 150)


@pytest.mark.parametrize("target", CARRIERS)
@pytest.mark.parametrize("source", CARRIERS)
def test_icc_exif_and_xmp_survive(source: str, target: str) -> None:
    options: dict[str, Any] = {"icc_profile": SRGB, "exif": described_exif()}
    if source == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options["pnginfo"] = info
    elif source == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[271], tags[700] = "Maker", XMP
        options = {"icc_profile": SRGB, "tiffinfo": tags}
    else:
        options["xmp"] = XMP
    picture = read_image(saved(sample("RGB"), source, **options))
    content, lost = encode_image(marked(picture), like=picture, format=target)
    again = header(content)
    assert again.info["icc_profile"] == SRGB
    assert again.getexif()[271] == "Maker"
    xmp = again.info.get("xmp") or again.info["XML:com.adobe.xmp"].encode()
    assert xmp.rstrip(b"\0") == (XMP if source == target else XMP.replace(b'"6"', b'"1"'))
    assert lost == ()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "BMP"])
def test_resolution_survives(format: str) -> None:
    again = opened(resaved(saved(sample("RGB"), format, dpi=(300, 300))))
    assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_png_text_and_colour_chunks_survive() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "A title")
    info.add_itxt("Author", "Zoë", "en", "Author")
    info.add_text("Long", "x" * 1000, zip=True)
    info.add(b"gAMA", struct.pack(">I", 100000))
    info.add(b"cICP", bytes([12, 13, 0, 1]))
    info.add(b"prVt", b"safe to copy")
    content = saved(sample("RGB"), "PNG", pnginfo=info)
    before = {kind: data for kind, data in png_chunks(content) if kind != b"IDAT"}
    after = {kind: data for kind, data in png_chunks(resaved(content)) if kind != b"IDAT"}
    assert after == before
    assert opened(resaved(content)).text["Author"] == "Zoë"


def test_png_chunk_that_depends_on_the_pixels_is_dropped_and_said() -> None:
    info = PngImagePlugin.PngInfo()
    info.add(b"caBX", b"content credentials")
    picture = read_image(saved(sample("RGB"), "PNG", pnginfo=info))
    content, lost = encode_image(marked(picture), like=picture, format="PNG")
    assert b"caBX" not in content
    assert lost == ("content credentials (C2PA)",)


@pytest.mark.parametrize("format", CARRIERS)
def test_damaged_exif_is_carried_in_silence(format: str) -> None:
    exif = described_exif()
    content = saved(sample("RGB"), format, exif=exif).replace(b"Maker", b"Makes")
    at = content.find(struct.pack("<HH", 34665, 4)) if format != "AVIF" else -1
    if at != -1:
        content = content[: at + 8] + b"\xff\xff\xff\x7f" + content[at + 12 :]
    if format == "PNG":
        content = with_valid_sums(content)
    assert header(resaved(content)).getexif()[271] == "Makes"


@pytest.mark.parametrize(("boxes", "lost_name"), [(b"JPxxc2pa", "content credentials (C2PA)"), (b"JPxxxxxx", None)])
def test_jpeg_segments_survive_and_signatures_do_not(boxes: bytes, lost_name: str | None) -> None:
    photoshop = b"\xff\xed\x00\x20Photoshop 3.0\0" + bytes(16)
    signature = b"\xff\xeb\x00\x0a" + boxes
    plain = saved(sample("RGB"), "JPEG", comment=b"hello", icc_profile=SRGB * 200)
    picture = read_image(plain[:2] + photoshop + signature + plain[2:])
    content, lost = encode_image(marked(picture), like=picture, format="JPEG")
    again = opened(content)
    assert photoshop in content and (signature in content) == (lost_name is None)
    assert again.info["comment"] == b"hello"
    assert again.info["icc_profile"] == SRGB * 200
    assert lost == (() if lost_name is None else (lost_name,))


def test_comment_becomes_png_text() -> None:
    content = resaved(saved(sample("RGB"), "JPEG", comment="grüß".encode()), "PNG")
    assert opened(content).text["Comment"] == "grüß"


def test_what_a_format_cannot_carry_is_said() -> None:
    options = {"icc_profile": SRGB, "exif": described_exif(), "dpi": (300, 300)}
    picture = read_image(saved(sample("RGB"), "PNG", **options))
    assert encode_image(picture.pixels, like=picture, format="BMP")[1] == ("ICC profile", "EXIF")
    assert encode_image(picture.pixels, like=picture, format="WEBP")[1] == ("resolution",)


def test_exif_too_long_for_jpeg_is_said() -> None:
    exif = Image.Exif()
    exif[270] = "x" * 70_000
    picture = read_image(saved(sample("RGB"), "PNG", exif=exif))
    assert encode_image(picture.pixels, like=picture, format="JPEG")[1] == ("EXIF",)


def test_grey_profile_does_not_describe_colour() -> None:
    grey = SRGB[:16] + b"GRAY" + SRGB[20:]
    picture = read_image(saved(sample("L"), "PNG", icc_profile=grey))
    content, lost = encode_image(picture.pixels, like=picture, format="WEBP")
    assert "icc_profile" not in opened(content).info
    assert lost == ("ICC profile",)
