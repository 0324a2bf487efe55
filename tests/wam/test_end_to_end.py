"""The shipped checkpoint on sample photos, from marking to reading, through programs that are not ours."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.wam.synthetic import message, text
from wam.watermarker import Watermarker

FIRST, SECOND = text(message(100)), text(message(101))


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


@pytest.fixture(scope="module")
def marked(shipped: Watermarker, dragonfly: Image.Image) -> Image.Image:
    return shipped.embed(dragonfly, FIRST).image  # type: ignore[return-value]


def test_round_trip(shipped: Watermarker, dragonfly: Image.Image, marked: Image.Image) -> None:
    (found,) = shipped.detect(marked)
    assert found.bits == FIRST
    assert found.region.area > 0.95
    error = (np.asarray(marked, float) - np.asarray(dragonfly, float)) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 40.5


@pytest.mark.parametrize("name", ["dragonfly", "dune"])
def test_an_unmarked_sample_has_no_watermark(shipped: Watermarker, name: str, request: pytest.FixtureRequest) -> None:
    assert shipped.detect(request.getfixturevalue(name)) == []


def test_a_crop_saved_as_jpeg_is_read(shipped: Watermarker, marked: Image.Image) -> None:
    width, height = marked.size
    piece = marked.crop((width // 7, height // 8, width * 6 // 7, height * 7 // 8))  # 54% of the area
    (found,) = shipped.detect(jpeg(piece, 80))
    assert found.bits == FIRST


def test_a_turned_copy_is_read(shipped: Watermarker, marked: Image.Image) -> None:
    (found,) = shipped.detect(jpeg(marked.rotate(10, Image.Resampling.BICUBIC), 90))
    assert found.bits == FIRST
    assert found.pose.rotation_deg == pytest.approx(10, abs=0.5)


def test_two_marks_in_one_picture_are_told_apart(shipped: Watermarker, marked: Image.Image, dune: Image.Image) -> None:
    second: Image.Image = shipped.embed(dune.rotate(180), SECOND).image  # type: ignore[assignment]
    page = dune.resize((1000, 667), Image.Resampling.LANCZOS)
    places = {FIRST: (40, 60, 460, 297), SECOND: (560, 320, 940, 573)}
    for picture, place in ((marked, places[FIRST]), (second, places[SECOND])):
        size = (place[2] - place[0], place[3] - place[1])
        page.paste(picture.resize(size, Image.Resampling.LANCZOS), place[:2])
    found = {detection.bits: detection for detection in shipped.detect(jpeg(page, 90))}
    assert set(found) == {FIRST, SECOND}
    for bits, (left, top, right, bottom) in places.items():
        true = np.zeros((667, 1000), bool)
        true[top:bottom, left:right] = True
        mask = found[bits].mask
        assert (mask & true).sum() / (mask | true).sum() > 0.6
