"""AVIF and HEIC of 10 and 12 bits keep them, in their own format and in deep ones; where that is not so it is said."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from tests.wam.pictures import made
from tests.wam.pictures.pictures import colours, marked
from wam.pictures import exactly
from wam.pictures.deep import encode_deep
from wam.pictures.files import encode_image, read_image
from wam.pictures.formats import heif_works

imagecodecs = pytest.importorskip("imagecodecs", reason="the extra [avif] is not installed")
FORMATS = ("AVIF", *(["HEIF"] if heif_works() else []))


def deep(bits: int, bands: int) -> np.ndarray:
    """(H, W, bands) codes of so many bits, smooth, whose low bits matter."""
    wide = np.kron(colours(), np.ones((2, 2, 1), np.uint16)) << bits - 8
    codes = (wide + np.arange(wide.shape[1])[None, :, None] % (1 << bits - 8)).astype(np.uint16)
    return {1: codes[..., :1], 3: codes, 4: np.dstack([codes, np.full(codes.shape[:2], 3 << bits - 3, np.uint16)])}[
        bands
    ]


def file(format: str, bits: int, bands: int, *, exact: bool = False) -> bytes:
    codes = deep(bits, bands)
    codes = codes[..., 0] if bands == 1 else codes
    if format == "AVIF":
        return bytes(imagecodecs.avif_encode(codes, level=100 if exact else 92, bitspersample=bits))
    if bits == 12:  # which its own library writes by an option of the whole process
        samples = np.rint(codes / 4095 * 65535).astype(np.uint16).reshape(*codes.shape[:2], -1)
        return encode_deep(samples, format, 12, quality=None if exact else 92, subsampling="4:4:4")
    import pillow_heif

    mode = {1: "I;16", 3: "RGB;16", 4: "RGBA;16"}[bands]
    stream = io.BytesIO()
    height, width = codes.shape[:2]
    picture = pillow_heif.from_bytes(mode, (width, height), (codes << 6).astype(np.uint16).tobytes())
    picture.save(
        stream, quality=-1 if exact else 92, chroma=444, **({"matrix_coefficients": 0} if exact and bands > 1 else {})
    )
    return stream.getvalue()


def codes_of(content: bytes, bits: int) -> np.ndarray:
    samples = read_image(content).samples
    assert samples is not None and samples.dtype == np.uint16
    return np.rint(samples / 65535 * ((1 << bits) - 1)).astype(int)


@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("format", FORMATS)
def test_all_bits_are_read_and_written(format: str, bits: int, bands: int) -> None:
    content = file(format, bits, bands)
    picture = read_image(content)
    assert picture.settings.depth == bits and np.abs(codes_of(content, bits) - deep(bits, bands)).mean() < 2 << bits - 8
    output, lost = encode_image(marked(picture), like=picture, format=format)
    assert set(lost) <= {"exact transparency"}
    again = read_image(output)
    assert again.settings.depth == bits
    assert np.abs(again.pixels.astype(int) - marked(picture)).mean() < 2
    png, lost = encode_image(marked(picture), like=picture, format="PNG")
    assert lost == () and read_image(png).mode.endswith(";16")
    assert "bits beyond 8" in encode_image(marked(picture), like=picture, format="JPEG" if bands < 4 else "WEBP")[1]


@pytest.mark.parametrize("format", FORMATS)
def test_deep_pictures_without_loss_stay_so(format: str) -> None:
    content = file(format, 10, 3, exact=True)
    picture = read_image(content)
    assert (codes_of(content, 10) == deep(10, 3)).all() and picture.settings.exact
    output, lost = encode_image(picture.pixels, like=picture, format=format)
    assert lost == () and (codes_of(output, 10) == deep(10, 3)).all()


def test_what_else_the_file_holds_stays_beside_deep_pixels() -> None:
    content = file("AVIF", 10, 3) + made.box(b"uuid", bytes(range(16)) + b"<<unlikely>>")
    picture = read_image(content)
    output, lost = encode_image(marked(picture), like=picture, format="AVIF")
    assert lost == () and b"<<unlikely>>" in output
    assert read_image(output).settings.colour_codes == picture.settings.colour_codes


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    content = file("AVIF", 10, 3)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert exactly.avif_codec() is None
    picture = read_image(content)
    assert picture.settings.depth == 8
    assert "bits beyond 8" in encode_image(marked(picture), like=picture, format="AVIF")[1]
