"""Labelled files are those of version 0.2.0, byte for byte but for TIFF, AVIF and GIF, which keep more since 0.3.0."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import PIL
import pytest
from PIL import PngImagePlugin

from tests.wam.pictures.pictures import XMP, described_exif, marked, profile, sample, saved
from tests.wam.pictures.test_animation import animated
from wam.pictures.animation import encode_animation, read_animation
from wam.provenance.aigc_label import mark_label
from wam.provenance.label_packet import labelled

PILLOW = "13.0.0"  # its encoders wrote the files whose hashes are below; others may write other bytes
LABEL = mark_label(None, owner="acme", link="wm:7Q3F-K2ND", message="01" * 16)


def png_with_much_to_lose() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add(b"caBX", b"content credentials")
    info.add_text("Title", "x")
    return saved(sample("P"), "PNG", pnginfo=info, icc_profile=profile("Display P3"), exif=described_exif())


SOURCES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(sample("RGB"), "JPEG", xmp=XMP, exif=described_exif(), comment=b"hello"),
    "png": png_with_much_to_lose,
    "webp": lambda: saved(sample("RGBA"), "WEBP", lossless=True),
    "tiff": lambda: saved(sample("RGB"), "TIFF", icc_profile=profile("Display P3"), dpi=(300, 300)),
    "gif animated": lambda: animated("GIF"),
}
CREDENTIALS = "content credentials (C2PA)"
DAMAGED = "XMP that is not well-formed"
FILES: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("jpeg", "JPEG"): ((DAMAGED,), "8d6641a64b5e8148ce6565089688354b5b6617c1a673946f87a2a87809258c71"),
    ("jpeg", "PNG"): ((DAMAGED,), "b11016a14e9f1d7c55c6e0258e10a6d7e0306bbc13764bffa7696e922914f21d"),
    ("jpeg", "BMP"): (
        ("label", "EXIF", "XMP", "text"),
        "6ec0eef90c11525a36f51c37fc930dc0b87c78b50da45155fb6354d0866eeeb9",
    ),
    ("png", "JPEG"): (
        ("palette", DAMAGED, "text", CREDENTIALS),
        "addc196c10cd432ea197bda9e4429c8c15082a74ab568ef228cb3b7b428ce178",
    ),
    ("png", "PNG"): (
        ("palette", DAMAGED, CREDENTIALS),
        "c4fbf1b25295d5091ef40b84a6e16cef7bed612bf81004df427f4686a5610c9d",
    ),
    ("png", "BMP"): (
        ("palette", "colours beyond sRGB", "label", "ICC profile", "EXIF", "XMP", "text", CREDENTIALS),
        "a7217bb7c69b57be926d45dddf96a656cfc817cccfdc85f117f4a70e4c20e08b",
    ),
    ("png", "GIF"): (
        ("colours beyond 255", "colours beyond sRGB", DAMAGED, "ICC profile", "EXIF", "text", CREDENTIALS),
        "06c3ffdd2d75dc767d216cff15006fc406712e2a58014ddb77799e52242e0050",
    ),
    ("webp", "WEBP"): ((), "ec87cd5731595d0f88c3f413c4be7e66180bb935455f303db353099d00a1c00b"),
    ("webp", "TIFF"): ((), "ff90590cc798e1f50cb3175c907f78aac46a9a2edfa315522a9b20dc14384ba4"),
    ("tiff", "TIFF"): ((), "91ec4f559de8b548ba70b573b5b0189592a8d2b2616241d7be77056cfd03d6fc"),
    ("tiff", "AVIF"): (("resolution",), "0f94dd70af0d7ecfd5673be82feec84013a3d287ae9dd81e09d1ef44cc135a3c"),
    ("gif animated", "WEBP"): (("palette",), "edec35d32566f657b54c65526e5fb5b38fbff38b62b7e1645fd27809a5c5f98d"),
    ("gif animated", "GIF"): (
        ("colours beyond 255",),
        "a42faa8c6e27f8e340d3bfaf7f95bbc09272412527690630a57a4629719c1ce2",
    ),
}


@pytest.mark.parametrize(("source", "format"), FILES)
def test_labelled_files_are_those_of_before(source: str, format: str) -> None:
    animation = read_animation(SOURCES[source]())
    like, dropped = labelled(animation, LABEL, format=format, name="out")
    pixels = [marked(picture) for picture in animation.pictures]
    content, lost = encode_animation(pixels, like=like, format=format)
    expected, digest = FILES[source, format]
    assert lost == expected and set(dropped) <= set(lost)
    if PIL.__version__ == PILLOW:
        assert hashlib.sha256(content).hexdigest() == digest
