"""Record mode on pictures, with the light model: whole records, pieces, composites, keys, copies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from payload import Record, RecordTooLongError, bits_from_word, encode, hash_luma, marks_needed
from payload.layout import MOST_MARKS
from tests.wam.conftest import SAMPLES
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.errors import ModelError
from wam.pipeline.contract import watermark_object
from wam.pipeline.record_marks import FoundRecord, embed_record, find_records, plan_record, union
from wam.watermarker import Detection, Watermarker

RECORD = Record("123", "acme", None, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))
OTHER = Record("77", "bolt", None, datetime(2026, 11, 22, 9, 31, tzinfo=UTC))
KEY = b"0123456789abcdef"
SIZE = (384, 544)  # room for a record
ROOMY = (448, 576)  # and for a hash of the picture
FAINT = -1.0


def phash(pixels: np.ndarray) -> int:
    return hash_luma(pixels.mean(axis=2))


def marked_picture(
    marker: Watermarker, record: Record, *, size: tuple[int, int] = SIZE, seed: int = 0, **options
) -> np.ndarray:
    pixels = smooth_picture(*size, seed=seed)
    plan = plan_record(marker, size, record, phash=phash(pixels), **options)
    image = embed_record(marker, pixels, plan).image
    assert isinstance(image, np.ndarray)
    return image


def read(marker: Watermarker, pixels: np.ndarray, *keys: bytes | None) -> tuple[list[FoundRecord], list[Detection]]:
    detections = marker.detect(np.ascontiguousarray(pixels), max_log10_p=FAINT)
    return find_records(detections, keys=keys or (None,), phash=phash(pixels))


@pytest.fixture(scope="module")
def marker() -> Watermarker:
    return handmade_marker()


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    with Image.open(SAMPLES / "cat.jpg") as file:
        return file.convert("RGB").resize((900, 600))


@pytest.fixture(scope="module")
def marked(marker: Watermarker) -> np.ndarray:
    return marked_picture(marker, RECORD)


def test_a_record_is_read_from_the_pixels_alone(marker: Watermarker, marked: np.ndarray) -> None:
    (found,), rest = read(marker, marked)
    assert rest == []
    assert (found.status, found.reading.record) == ("unverified", RECORD)
    assert found.region.area > 0.9
    values = json.loads(json.dumps(watermark_object(found)))
    assert values["record"] == RECORD.to_dict()
    assert values["marks"] == {"read": 12, "needed": 8, "embedded": 12}
    assert (values["mode"], values["link"], values["transplanted"]) == ("record", None, False)
    assert values["pose"]["scale"] == pytest.approx(1.0, abs=0.02)
    assert values["log10_p"] < -9


def test_a_quarter_of_the_picture_may_be_cut_away(marker: Watermarker, marked: np.ndarray) -> None:
    (found,), _ = read(marker, marked[:, 136:])
    assert found.reading.record == RECORD
    assert found.reading.read < 12


def test_too_small_a_piece_is_said_to_be_part_of_a_record(marker: Watermarker, marked: np.ndarray) -> None:
    (found,), _ = read(marker, marked[:, 298:])
    assert (found.status, found.reading.record) == ("unreadable", None)
    assert watermark_object(found)["record"] is None
    assert "marks of a record" in watermark_object(found)["problem"]


@pytest.mark.slow
def test_two_records_and_a_link_in_one_picture_are_told_apart(shipped: Watermarker, cat: Image.Image) -> None:
    left, middle = (np.asarray(cat.crop((x, 0, x + 500, 500))) for x in (0, 200))
    word = int(encode(4321))
    parts = [
        embed_record(shipped, part, plan_record(shipped, (500, 500), record, phash=phash(part))).image
        for part, record in ((left, RECORD), (middle, OTHER))
    ]
    parts.append(shipped.embed(left[:, ::-1].copy(), bits_from_word(word)).image)
    found, rest = read(shipped, np.concatenate(parts, axis=1))
    assert {one.reading.record for one in found} == {RECORD, OTHER}
    assert all(one.reading.read >= 10 for one in found)
    assert bits_from_word(word) in {other.bits for other in rest}


def test_marks_of_two_records_are_never_mixed(marker: Watermarker, marked: np.ndarray) -> None:
    detections = [
        detection
        for pixels in (marked, marked_picture(marker, OTHER, seed=2))
        for detection in marker.detect(pixels, max_log10_p=FAINT)
    ]
    found, rest = find_records(detections)
    assert rest == []
    assert {one.reading.record: one.reading.read for one in found} == {RECORD: 12, OTHER: 12}


def test_a_keyed_record_is_verified_with_its_key_only() -> None:
    pixels = marked_picture(handmade_marker(KEY), RECORD, key=KEY, encrypt=True)
    (found,), _ = read(handmade_marker(KEY), pixels, KEY)
    assert (found.status, found.reading.record) == ("verified", RECORD)
    assert found.reading.protection == "encrypted"
    assert read(handmade_marker(), pixels) == ([], [])
    unreadable, _ = read(handmade_marker(KEY), pixels, b"another key of 16 bytes")
    assert [one.status for one in unreadable] == ["unreadable"]


def test_a_record_copied_to_another_picture_is_not_verified() -> None:
    marker = handmade_marker(KEY)
    pixels = smooth_picture(*ROOMY)
    change = marked_picture(marker, RECORD, size=ROOMY, key=KEY).astype(int) - pixels
    target = smooth_picture(*ROOMY, seed=9)[::-1, ::-1]
    copied = (target + change).clip(0, 255).astype(np.uint8)
    (found,), _ = read(marker, copied, KEY)
    assert found.reading.record == RECORD
    assert (found.status, found.transplanted) == ("unverified", True)
    (original,), _ = read(marker, (pixels + change).clip(0, 255).astype(np.uint8), KEY)
    assert (original.status, original.transplanted) == ("verified", False)


def test_the_picture_hash_is_left_out_where_there_is_no_room(marker: Watermarker) -> None:
    record = Record("123", "acme", None, RECORD.ingested_at)
    roomy = plan_record(marker, ROOMY, record, key=KEY, phash=1 << 63)
    tight = plan_record(marker, SIZE, record, key=KEY, phash=1 << 63)
    assert (roomy.bound, len(roomy.words)) == (True, 15)
    assert (tight.bound, len(tight.words)) == (False, 12)


def test_a_record_that_takes_nearly_all_marks_is_not_bound(light: Watermarker) -> None:
    long = Record("550e8400-e29b-41d4-a716-446655440000", "Große Firma", None, RECORD.ingested_at)
    planned = plan_record(light, (2000, 3000), long, key=KEY, phash=7)
    assert not planned.bound and marks_needed(long, hashed=True) > MOST_MARKS >= len(planned.words)


def test_a_record_too_long_for_the_picture_is_refused_before_it_is_marked(marker: Watermarker) -> None:
    with pytest.raises(RecordTooLongError, match=r"expected a record for 12 marks, .* a larger picture or"):
        plan_record(marker, SIZE, Record("asset-1234567", "a long owner's name", "user-1", RECORD.ingested_at))


def test_a_model_for_one_mark_is_refused() -> None:
    single = SimpleNamespace(description=SimpleNamespace(name="single@00000000"))
    with pytest.raises(ModelError, match=r"^single@00000000: expected a model that tells many"):
        plan_record(Watermarker(single), SIZE, RECORD)  # type: ignore[arg-type]


def test_marks_of_other_resolutions_make_one_mask(marker: Watermarker, marked: np.ndarray) -> None:
    detections = marker.detect(marked, max_log10_p=FAINT)
    (found,), _ = find_records(detections)
    assert union(detections).mean() == pytest.approx(found.mask.mean())
    assert union(detections[:1]).mean() < 0.3


def test_an_unmarked_picture_has_no_record(marker: Watermarker) -> None:
    assert read(marker, smooth_picture(*SIZE, seed=5)) == ([], [])
