"""JPEG XL and JPEG 2000 are read, not written: what their boxes hold is carried to the other format, or named."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from tests.wam.pictures import made
from tests.wam.pictures.pictures import marked, profile, sample, saved
from wam.pictures.files import Picture, encode_image, read_image
from wam.pictures.kinds import jxl_works

PROFILE = profile("Display P3")
EXIF_UUID = b"JpgTiffExif->JP2"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
GEO_UUID = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
JUMB = b"\0\0\0\x28jumdc2pa" + b"manifest" * 4
needs_jxl = pytest.mark.skipif(not jxl_works(), reason="pillow-jxl-plugin is not installed (the extra [jxl])")


def jxl(*boxes: bytes) -> bytes:
    """A JPEG XL file with boxes behind its picture."""
    jxl_works()
    return saved(sample("RGB"), "JXL", lossless=True, use_container=True) + b"".join(boxes)


def jp2(*boxes: bytes, header: bytes = b"") -> bytes:
    """A JPEG 2000 file with boxes before its codestream, and others in its header."""
    plain = saved(sample("RGB"), "JPEG2000")
    start = plain.index(b"jp2h") - 4
    end = start + int.from_bytes(plain[start : start + 4], "big")
    return plain[:start] + made.box(b"jp2h", plain[start + 8 : end] + header) + b"".join(boxes) + plain[end:]


def resaved(content: bytes, format: str) -> tuple[Picture, bytes, set[str]]:
    picture = read_image(content)
    output, lost = encode_image(marked(picture), like=picture, format=format)
    return picture, output, set(lost) - {"colours beyond 255", "colours beyond sRGB"}


@needs_jxl
def test_what_jpeg_xl_boxes_hold_is_carried_over() -> None:
    exif, xmp = made.box(b"Exif", bytes(4) + made.camera_exif()), made.box(b"xml ", made.PACKET)
    _, output, lost = resaved(jxl(exif, xmp), "JPEG")
    assert lost == set() and made.NOTE in output and made.PACKET in output
    assert resaved(jxl(exif, xmp), "BMP")[2] == {"EXIF", "XMP"}


@needs_jxl
def test_compressed_boxes_of_jpeg_xl_are_read() -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="the extra [avif] is not installed")
    boxes = {b"Exif": bytes(4) + made.camera_exif(), b"xml ": made.PACKET, b"jumb": JUMB}
    packed = [made.box(b"brob", kind + imagecodecs.brotli_encode(data)) for kind, data in boxes.items()]
    _, output, lost = resaved(jxl(*packed), "PNG")
    assert lost == {made.CREDENTIALS} and made.NOTE in output and made.PACKET in output
    damaged = made.box(b"brob", b"xml <<no brotli>>")
    assert resaved(jxl(damaged), "PNG")[2] == {"XMP"}


@needs_jxl
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (b"jumb", made.CREDENTIALS),
        (b"jhgm", "gain map"),
        (b"jbrd", "data to restore the JPEG it was made from"),
        (b"qrst", "box qrst"),
        (b"xml ", "box xml"),
    ],
)
def test_other_boxes_of_jpeg_xl_are_named(kind: bytes, name: str) -> None:
    data = JUMB if kind == b"jumb" else b"<<unlikely>>"
    if kind == b"jbrd":  # in the middle of a file it has to be sound: by itself the inventory is asked
        from wam.pictures.containers.inventory import inventory

        assert [part.name for part in inventory(jxl(made.box(kind, data)), "JXL")] == [name]
        return
    assert resaved(jxl(made.box(kind, data)), "PNG")[2] == {name}


def test_what_jpeg_2000_boxes_hold_is_carried_over() -> None:
    content = jp2(
        made.box(b"uuid", EXIF_UUID + made.camera_exif()),
        made.box(b"uuid", XMP_UUID + made.PACKET),
        made.box(b"uuid", IPTC_UUID + made.iptc()),
        header=made.box(b"colr", b"\2\0\0" + PROFILE)
        + made.box(b"res ", made.box(b"resc", struct.pack(">4H2b", 11811, 1, 11811, 1, 0, 0))),
    )
    picture, output, lost = resaved(content, "JPEG")
    assert lost == set() and made.NOTE in output and b"(c) Agency" in output and b'dc:format="made"' in output
    again = read_image(output)
    assert again.metadata.icc_profile == PROFILE and picture.metadata.dpi is not None
    assert again.metadata.dpi == pytest.approx((300, 300), abs=0.1)
    assert resaved(content, "BMP")[2] == {"EXIF", "XMP", "IPTC", "ICC profile"}


@pytest.mark.parametrize(
    ("box", "name"),
    [
        (made.box(b"uuid", GEO_UUID + b"II*\0"), "GeoTIFF in a box"),
        (made.box(b"uuid", made.C2PA_UUID + JUMB), made.CREDENTIALS),
        (made.box(b"jumb", JUMB), made.CREDENTIALS),
        (made.box(b"xml ", b"<gml>here</gml>"), "box xml"),
        (made.box(b"uuid", bytes(range(16)) + b"mine"), "box uuid 000102030405060708090a0b0c0d0e0f"),
        (made.box(b"qrst", b"mine"), "box qrst"),
    ],
)
def test_other_boxes_of_jpeg_2000_are_named(box: bytes, name: str) -> None:
    assert resaved(jp2(box), "PNG")[2] == {name}


def test_comments_in_a_codestream_are_carried_but_for_the_encoders_own() -> None:
    plain = jp2()
    assert resaved(plain, "PNG")[2] == set() and b"OpenJPEG" not in resaved(plain, "PNG")[1]
    own = b"Created by OpenJPEG version"
    at = plain.index(own)
    content = plain[:at] + b"a comment of a person's own"[: len(own)].ljust(len(own)) + plain[at + len(own) :]
    assert b"a comment of a person" in resaved(content, "PNG")[1] and resaved(content, "BMP")[2] == {"text"}


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_bits_beyond_8_are_named(bits: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="the extra [avif] is not installed")
    deep = np.asarray(sample("RGB")).astype(np.uint16 if bits > 8 else np.uint8) << bits - 8
    contents = [imagecodecs.jpeg2k_encode(deep, bitspersample=bits, level=0, codecformat="jp2")]
    if jxl_works():
        contents += [imagecodecs.jpegxl_encode(deep, bitspersample=bits, lossless=True, usecontainer=c) for c in (0, 1)]
    for content in contents:
        assert ("bits beyond 8" in resaved(content, "PNG")[2]) == (bits > 8)


def test_data_behind_the_boxes_is_named() -> None:
    # a size of zero would make the codestream last to the end, so that the boxes end where the picture does
    plain = saved(Image.fromarray(np.asarray(sample("RGB"))), "JPEG2000")
    assert resaved(plain + b"<<behind>>", "PNG")[2] == {"data after the picture's end"}
