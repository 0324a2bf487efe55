"""The public interface: every kind of picture and message, what it says of what it finds, and what it refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.wam.elsewhere import ELSEWHERE, WithElsewhere, there
from tests.wam.synthetic import handmade_marker, message, smooth_picture, text
from wam.models.effort import Effort
from wam.models.lattice_model import LatticeModel
from wam.signal.mark_grid import SMALLEST_SIDE
from wam.watermarker import Detection, Watermarker, to_batch, to_bits

BITS = text(message(0))
PICTURE = smooth_picture()


def read(marker: Watermarker, image: Any) -> list[str]:
    return [detection.bits for detection in marker.detect(image)]


@pytest.fixture(scope="module")
def detection(light: Watermarker) -> Detection:
    """A mark turned by a quarter and mirrored on a wider page."""
    page = smooth_picture(128, 220, seed=2)
    marked = np.asarray(light.embed(PICTURE, BITS).image)
    page[:, :128] = np.rot90(marked[:, ::-1])
    (found,) = light.detect(page)
    return found


def test_each_kind_of_picture_comes_back_as_it_was_given(light: Watermarker) -> None:
    as_array = light.embed(PICTURE, BITS).image
    as_picture = light.embed(Image.fromarray(PICTURE), BITS).image
    as_tensor = light.embed(to_batch(PICTURE), BITS).image
    assert isinstance(as_array, np.ndarray) and as_array.dtype == np.uint8 and as_array.shape == PICTURE.shape
    assert isinstance(as_picture, Image.Image) and as_picture.mode == "RGB"
    assert isinstance(as_tensor, torch.Tensor) and as_tensor.dtype == torch.float32
    np.testing.assert_array_equal(np.asarray(as_picture), as_array)
    torch.testing.assert_close(as_tensor, to_batch(as_array))


def test_each_kind_of_picture_reads_the_same(light: Watermarker) -> None:
    marked = light.embed(PICTURE, BITS).image
    assert isinstance(marked, np.ndarray)
    kinds = [light.detect(image)[0] for image in (marked, Image.fromarray(marked), to_batch(marked))]
    assert {found.bits for found in kinds} == {BITS}
    assert len({found.score for found in kinds}) == 1


@pytest.mark.parametrize(
    "bits",
    [
        BITS,
        [int(bit) for bit in BITS],
        np.array([int(bit) for bit in BITS]),
        np.array([bit == "1" for bit in BITS]),
        message(0),
        message(0)[0].float(),
    ],
)
def test_each_kind_of_message_is_the_same(bits: Any) -> None:
    assert torch.equal(to_bits(bits, 1), message(0))


def test_grey_and_palette_pictures_are_marked_as_rgb(light: Watermarker) -> None:
    for mode in ("L", "P"):
        marked = light.embed(Image.fromarray(PICTURE).convert(mode), BITS).image
        assert isinstance(marked, Image.Image) and marked.mode == "RGB"
        assert read(light, marked) == [BITS]


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "PA", "key"])
def test_transparency_stays_as_it_is_and_is_never_black(light: Watermarker, mode: str) -> None:
    image = Image.fromarray(PICTURE).convert("RGBA")
    image.paste((0, 0, 255, 0), (0, 0, 20, 20))
    image.putpixel((100, 100), (9, 9, 9, 128))
    if mode == "key":  # one colour stands for transparent
        image = image.convert("RGB")
        image.info["transparency"] = (0, 0, 255)
    elif mode == "PA":
        image = image.convert("L").convert("PA")
    else:
        image = image.convert(mode)
    given = np.array(image.convert("RGBA"))
    marked = light.embed(image, BITS).image
    assert isinstance(marked, Image.Image) and marked.mode == "RGBA"
    found = np.array(marked)
    hidden = given[..., 3] == 0
    assert (found[..., 3] == given[..., 3]).all()
    assert (found[hidden] == given[hidden]).all()
    assert (found[~hidden] != given[~hidden]).any()
    assert read(light, marked) == read(light, marked.convert("RGB")) == [BITS]


def test_arrays_with_transparency_are_refused(light: Watermarker) -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8 RGB, found \(128, 128, 4\)"):
        light.embed(np.dstack([PICTURE, PICTURE[..., :1]]), BITS)


def test_a_batch_may_have_a_message_for_each_picture(light: Watermarker) -> None:
    batch = torch.cat([to_batch(PICTURE), to_batch(smooth_picture(seed=1))])
    marked = light.embed(batch, torch.cat([message(0), message(1)])).image
    assert [read(light, one[None]) for one in marked] == [[text(message(0))], [text(message(1))]]


def test_one_message_may_go_to_all_pictures(light: Watermarker) -> None:
    batch = to_batch(PICTURE).repeat(2, 1, 1, 1)
    marked = light.embed(batch, BITS).image
    assert isinstance(marked, torch.Tensor)
    assert torch.equal(marked[0], marked[1])


def test_the_input_is_left_alone(light: Watermarker) -> None:
    before = PICTURE.copy()
    light.embed(PICTURE, BITS)
    np.testing.assert_array_equal(PICTURE, before)


def test_psnr_is_measured_on_the_8_bit_picture(light: Watermarker) -> None:
    marked = light.embed(PICTURE, BITS, strength=44.0)
    error = (np.asarray(marked.image).astype(float) - PICTURE) ** 2
    assert marked.psnr_db == pytest.approx(10 * np.log10(255**2 / error.mean()), abs=1e-3)


def test_strength_sets_the_psnr(light: Watermarker) -> None:
    values = [light.embed(PICTURE, BITS, strength=strength).psnr_db for strength in (44.0, 47.0, 50.0)]
    assert values == pytest.approx([44.0, 47.0, 50.0], abs=0.7)


def test_a_calm_picture_gets_less_than_was_asked(light: Watermarker) -> None:
    assert light.embed(PICTURE, BITS, strength=30.0).psnr_db > 39


def test_no_watermark_is_an_empty_list(light: Watermarker) -> None:
    assert light.detect(PICTURE) == []


@pytest.mark.parametrize("method", ["detect", "glance", "detect_and_explain", "predict"])
def test_a_picture_too_small_to_be_searched_is_an_error_not_none(light: Watermarker, method: str) -> None:
    with pytest.raises(ValueError, match=r"^image: expected sides of at least 32 pixels, found 200x31; use a larger"):
        getattr(light, method)(np.zeros((SMALLEST_SIDE - 1, 200, 3), np.uint8))


def test_the_smallest_picture_is_marked(light: Watermarker) -> None:
    assert light.embed(smooth_picture(SMALLEST_SIDE, SMALLEST_SIDE), BITS).psnr_db > 35


def test_detection_of_a_whole_picture(light: Watermarker) -> None:
    (found,) = light.detect(light.embed(PICTURE, BITS).image)
    assert found.region.bbox == (0, 0, 128, 128) and found.region.area == 1.0
    assert (found.pose.scale, found.pose.flipped) == (pytest.approx(1.0, abs=0.005), False)
    assert found.pose.rotation_deg == pytest.approx(0.0, abs=0.2)
    assert found.size == (128, 128) and found.mask.all()


def test_detection_tells_bits_and_logits(detection: Detection) -> None:
    assert detection.bits == BITS
    assert detection.logits.shape == (32,) and detection.logits.dtype == np.float32
    assert "".join("1" if logit > 0 else "0" for logit in detection.logits) == BITS


def test_detection_tells_how_the_picture_lies(detection: Detection) -> None:
    assert detection.pose.flipped
    assert detection.pose.rotation_deg == pytest.approx(90.0, abs=0.3)
    assert detection.pose.scale == pytest.approx(1.0, abs=0.01)


def test_detection_tells_where_the_picture_is(detection: Detection) -> None:
    assert detection.mask.shape == detection.size == (128, 220)
    assert detection.mask[:, :128].mean() > 0.95
    assert detection.mask[:, 180:].mean() < 0.05
    x, y, width, height = detection.region.bbox
    columns, rows = np.flatnonzero(detection.mask.any(0)), np.flatnonzero(detection.mask.any(1))
    assert (x, x + width) == (pytest.approx(columns[0], abs=3), pytest.approx(columns[-1] + 1, abs=3))
    assert (y, y + height) == (pytest.approx(rows[0], abs=3), pytest.approx(rows[-1] + 1, abs=3))
    assert detection.region.area == pytest.approx(detection.mask.mean(), abs=0.02)


def test_detection_tells_how_sure_it_is(detection: Detection) -> None:
    assert detection.log10_p < -8
    assert 0.5 < detection.mask_score <= 1
    assert detection.key == 0


def test_results_are_frozen(detection: Detection) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        detection.bits = "0" * 32  # type: ignore[misc]


def test_a_reader_with_two_keys_tells_which_was_used() -> None:
    secret = handmade_marker(b"sixteen bytes of secret")
    reader = handmade_marker(None, b"sixteen bytes of secret")
    (found,) = reader.detect(secret.embed(PICTURE, BITS).image)
    assert (found.bits, found.key) == (BITS, 1)


ROW_OF_INFINITY = torch.zeros(1, 3, 64, 64).index_fill_(2, torch.tensor(7), float("inf"))


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (torch.full((1, 3, 64, 64), float("nan")), r"found 12288 that are NaN or infinite, the first in row 0"),
        (ROW_OF_INFINITY, r"found 192 .* in row 7, column 0, channel 0"),
        (np.full((64, 64, 3), np.nan, dtype=np.float32), r"expected \(H, W, 3\) uint8 RGB, found .* float32"),
        (torch.full((1, 3, 64, 64), 2.0), "divide 8-bit values by 255"),
        (torch.full((1, 3, 64, 64), -0.1), r"expected finite values in \[0, 1\]"),
        (torch.zeros(3, 64, 64), r"expected \(B, 3, H, W\) float in \[0, 1\], found \(3, 64, 64\)"),
        (torch.zeros(1, 1, 64, 64), r"found \(1, 1, 64, 64\)"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(0, 3, 64, 64), r"found \(0, 3, 64, 64\)"),
        (np.zeros((64, 64), np.uint8), r"expected \(H, W, 3\) uint8 RGB, found \(64, 64\) uint8"),
        (np.zeros((64, 64, 4), np.uint8), r"found \(64, 64, 4\)"),
        (np.zeros((64, 64, 3)), "float64; convert it first"),
        ("photo.png", "expected a PIL image, an array or a tensor, found str"),
    ],
)
@pytest.mark.parametrize("command", ["embed", "detect"])
def test_other_pictures_are_refused(light: Watermarker, command: str, image: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^image: .*{problem}"):
        light.embed(image, BITS) if command == "embed" else light.detect(image)


@pytest.mark.parametrize(
    ("bits", "problem"),
    [
        ("0" * 31, "expected 32 characters 0 or 1, found '0000"),
        (["0" * 32, "0" * 31], "expected 32 characters 0 or 1, found '0000"),
        (["0" * 32] * 2, r"expected 1 message\(s\) of 32 zeros and ones, found shape \(2, 32\)"),
        ("0" * 31 + "2", "expected 32 characters 0 or 1, found '0000"),
        ([0.5] * 32, "zeros and ones"),
        ([2] + [0] * 31, "zeros and ones"),
        (torch.zeros(2, 32), r"expected 1 message\(s\) of 32 zeros and ones, found shape \(2, 32\)"),
        (7, r"found shape \(\)"),
        (None, "zeros and ones, found None"),
        (b"0" * 32, "zeros and ones, found b'0000"),
        ([[0] * 32, [0]], r"zeros and ones, found \[\[0, 0"),
    ],
)
def test_other_messages_are_refused(light: Watermarker, bits: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^bits: .*{problem}"):
        light.embed(PICTURE, bits)


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if torch.mps.is_available() else [])]


def test_a_tensor_on_another_device_comes_back_there(light: Watermarker) -> None:
    here = to_batch(PICTURE)
    usual = light.embed(here, BITS)
    with WithElsewhere():
        marked = light.embed(there(here), BITS)
        assert marked.psnr_db == usual.psnr_db
        assert isinstance(marked.image, torch.Tensor) and marked.image.device == ELSEWHERE
        assert isinstance(usual.image, torch.Tensor) and torch.equal(marked.image.cpu(), usual.image)
        assert read(light, marked.image) == [BITS]
        maps = light.predict(marked.image)
        assert maps.device == ELSEWHERE and torch.equal(maps.cpu(), light.predict(usual.image))


@pytest.mark.parametrize("place", DEVICES)
@pytest.mark.parametrize("device", DEVICES)
def test_the_model_may_be_on_another_device_than_the_picture(device: str, place: str) -> None:
    model = handmade_marker().model
    assert isinstance(model, LatticeModel)
    model.carriers = [carrier.to(device) for carrier in model.carriers]
    marker = Watermarker(model.to(device), device=device)
    marked = marker.embed(to_batch(PICTURE).to(place), BITS)
    assert isinstance(marked.image, torch.Tensor) and marked.image.device.type == place
    assert marked.psnr_db > 39 and read(marker, marked.image) == [BITS]
    arrays = marker.embed_each([PICTURE, smooth_picture(64, 80)], [BITS, BITS])
    assert [read(marker, array) for array in arrays] == [[BITS], [BITS]]


@pytest.mark.parametrize("strength", [29.9, 55.1, -1.0, float("nan"), float("inf")])
def test_strength_out_of_range_is_refused(light: Watermarker, strength: float) -> None:
    with pytest.raises(ValueError, match=r"^strength: expected 30 to 55 dB, found .*; leave it out"):
        light.embed(PICTURE, BITS, strength=strength)


def test_too_small_a_picture_is_refused(light: Watermarker) -> None:
    with pytest.raises(ValueError, match=r"^image: expected sides of at least 32 pixels, found 200x31; use a larger"):
        light.embed(np.zeros((31, 200, 3), np.uint8), BITS)


def test_a_chance_that_is_no_number_is_refused(light: Watermarker) -> None:
    with pytest.raises(ValueError, match=r"^max_log10_p: expected a number, found nan"):
        light.detect(PICTURE, max_log10_p=float("nan"))


def test_detecting_in_a_batch_is_refused(light: Watermarker) -> None:
    with pytest.raises(ValueError, match="expected one picture, found a batch of 2; call once for each"):
        light.detect(torch.zeros(2, 3, 64, 64))


def test_many_pictures_read_as_one_by_one(light: Watermarker) -> None:
    """Of any kind and size, in their order."""
    pictures = [smooth_picture(130, 170, seed=n) for n in range(2)]
    marked = [light.embed(one, bits).image for one, bits in zip(pictures, ("01" * 16, "0011" * 8), strict=True)]
    given = [marked[0], Image.fromarray(smooth_picture(100, 140)), Image.fromarray(np.asarray(marked[1]))]
    found = light.detect_many(given)
    assert [[one.bits for one in each] for each in found] == [["01" * 16], [], ["0011" * 8]]
    assert [len(light.detect(one)) for one in given] == [1, 0, 1]
    assert light.detect_many([]) == []
    with pytest.raises(ValueError, match="expected one picture, found a batch of 2"):
        light.detect_many([marked[0], torch.zeros(2, 3, 64, 64)])


def test_a_quick_look_finds_a_whole_picture_and_says_that_it_was_one(light: Watermarker) -> None:
    marked = light.embed(smooth_picture(200, 300), "01" * 16).image
    assert [one.bits for one in light.detect(marked, quick=True)] == ["01" * 16]
    summary = light.detect_and_explain(smooth_picture(700, 900), effort=Effort(quick=True))[1]
    assert summary is not None and summary.views == ((256, 329),) and not summary.cut_short


def test_a_time_that_is_over_is_told(light: Watermarker) -> None:
    summary = light.detect_and_explain(smooth_picture(700, 900), effort=Effort(seconds=1e-6))[1]
    assert summary is not None and summary.cut_short
    assert light.detect(smooth_picture(700, 900), seconds=1e-6) == []


def test_a_large_picture_is_marked_and_read_as_the_same_one_of_floats(light: Watermarker) -> None:
    """Its samples stay as 8 bits; a tensor is of floats."""
    picture = np.asarray(Image.fromarray(smooth_picture(300, 420)).resize((3400, 2420)))
    assert light.batch_of(picture).dtype == torch.uint8
    assert light.batch_of(PICTURE).dtype == torch.float32
    marked = np.asarray(light.embed(picture, BITS).image)
    as_floats = light.embed(to_batch(picture), BITS).image
    assert isinstance(as_floats, torch.Tensor)
    assert torch.equal(to_batch(marked), as_floats)
    (found,), (same,) = light.glance(marked), light.glance(as_floats)
    assert (found.bits, found.score) == (BITS, same.score)
