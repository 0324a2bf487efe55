"""Labelled files are those of version 0.2.0, byte for byte, and say what they could not carry in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import PIL
import pytest
from PIL import PngImagePlugin

from tests.wam.pictures.pictures import XMP, described_exif, marked, profile, sample, saved
from tests.wam.pictures.test_animation import animated
from wam.pictures.animation import encode_animation, read_animation
from wam.provenance.aigc_label import labelled, mark_label

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
DAMAGED = "XMP that is not well-formed"
FILES: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("jpeg", "JPEG"): ((DAMAGED,), "8d6641a64b5e8148ce6565089688354b5b6617c1a673946f87a2a87809258c71"),
    ("jpeg", "PNG"): ((DAMAGED,), "b11016a14e9f1d7c55c6e0258e10a6d7e0306bbc13764bffa7696e922914f21d"),
    ("jpeg", "BMP"): (
        ("label", "EXIF", "XMP", "text"),
        "6ec0eef90c11525a36f51c37fc930dc0b87c78b50da45155fb6354d0866eeeb9",
    ),
    ("png", "JPEG"): (
        ("palette", "PNG chunk caBX", DAMAGED, "text"),
        "addc196c10cd432ea197bda9e4429c8c15082a74ab568ef228cb3b7b428ce178",
    ),
    ("png", "PNG"): (
        ("palette", "PNG chunk caBX", DAMAGED),
        "c4fbf1b25295d5091ef40b84a6e16cef7bed612bf81004df427f4686a5610c9d",
    ),
    ("png", "BMP"): (
        ("palette", "colours beyond sRGB", "PNG chunk caBX", "label", "ICC profile", "EXIF", "XMP", "text"),
        "a7217bb7c69b57be926d45dddf96a656cfc817cccfdc85f117f4a70e4c20e08b",
    ),
    ("png", "GIF"): (
        ("colours beyond 255", "colours beyond sRGB", "PNG chunk caBX", "label", "ICC profile", "EXIF", "XMP", "text"),
        "9b0e487ce4e1f672d8e823d917cd9247ed6c314923af7bee2c8abc3cc7fd6d5f",
    ),
    ("webp", "WEBP"): ((), "ec87cd5731595d0f88c3f413c4be7e66180bb935455f303db353099d00a1c00b"),
    ("webp", "TIFF"): ((), "0fff45d2177fe4e4ab0334430d5ed650eccd402b7aaf35cf8c43ad4ac71b9983"),
    ("tiff", "TIFF"): ((), "8e01ede23f7ca67341e364ea650db7595e62e7449895f1b05e3ced53e76a4306"),
    ("tiff", "AVIF"): (("resolution",), "e96d110172a8d47b6db4386105f8ccaee7f8cc490146f92e0f24b0cc6066f9c7"),
    ("gif animated", "WEBP"): (("palette",), "edec35d32566f657b54c65526e5fb5b38fbff38b62b7e1645fd27809a5c5f98d"),
    ("gif animated", "GIF"): (
        ("colours beyond 255", "label"),
        "a1701263a662cb26a34e25ac2131c4dbe31f413c3ba3889c0a72699820c7655b",
    ),
}


@pytest.mark.parametrize(("source", "format"), FILES)
def test_labelled_files_are_those_of_0_2_0(source: str, format: str) -> None:
    animation = read_animation(SOURCES[source]())
    like, dropped = labelled(animation, LABEL, format=format, name="out")
    pixels = [marked(picture) for picture in animation.pictures]
    content, lost = encode_animation(pixels, like=like, format=format)
    expected, digest = FILES[source, format]
    assert lost == expected and set(dropped) <= set(lost)
    if PIL.__version__ == PILLOW:
        assert hashlib.sha256(content).hexdigest() == digest
