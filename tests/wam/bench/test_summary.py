"""Means, groups and intervals."""

from __future__ import annotations

import math

import pytest

from wam.bench.results import Key, Result
from wam.bench.summary import (
    failures,
    group_lines,
    interval,
    kind_lines,
    null_lines,
    quality_lines,
    row_lines,
    split_clean,
    upper_bound,
)


def result(row: str, photo: str, group: str = "valuemetric", error: str | None = None, **values: object) -> Result:
    key = Key("model@1", None, "abcd", 0, photo, row)
    return Result(key, group, 0, dict(values), 0.1, error)


def read(row: str, photo: str, *bits: float, group: str = "valuemetric", wrong: int = 0) -> Result:
    marks = [
        {"area": 1.0, "found": b > 0.6, "bits": b, "word": b == 1, "record": b == 1, "iou": 0.8 if b > 0.6 else None}
        for b in bits
    ]
    return result(row, photo, group, marks=marks, detections=len(bits), wrong=wrong, foreign=0)


QUALITY = [
    result("quality", "a.png", "quality", psnr_db=42.0, ssim=0.99, ms_ssim=None, vif=0.8, haarpsi=0.95),
    result("quality", "b.png", "quality", psnr_db=40.0, ssim=0.97, ms_ssim=0.99, vif=0.6, haarpsi=0.93),
]


def test_a_row_is_the_mean_of_its_photos() -> None:
    rows = [read("jpeg=50", "a.png", 1.0), read("jpeg=50", "b.png", 0.5, wrong=1)]
    (line,) = row_lines([*QUALITY, *rows])
    assert (line.photos, line.psnr_db, line.tpr, line.bits, line.worst) == (2, 41.0, 0.5, 0.75, 0.5)
    assert (line.words, line.records, line.iou, line.wrong) == (0.5, 0.5, 0.8, 1)
    assert (line.embedded, line.found, line.failed) == (2, 1, 0)


def test_quality_counts_the_photos_of_the_row_only() -> None:
    (line,) = row_lines([*QUALITY, read("jpeg=50", "b.png", 1.0)])
    assert line.psnr_db == 40.0


def test_a_group_gives_every_row_the_same_weight() -> None:
    rows = [read("jpeg=50", "a.png", 1.0), read("jpeg=50", "b.png", 1.0), read("median=7", "a.png", 0.5)]
    (group,) = group_lines(row_lines([*QUALITY, *rows]))
    assert (group.row, group.bits, group.worst, group.embedded) == ("2 rows", 0.75, 0.5, 3)


def test_groups_come_in_the_protocol_s_order() -> None:
    rows = [read("multi=1", "a.png", 1.0, group="multi"), read("identity", "a.png", 1.0, group="none")]
    assert [line.group for line in group_lines(row_lines(rows))] == ["none", "multi"]


def test_failed_photos_are_counted_and_left_out_of_the_means() -> None:
    bad = result("jpeg=50", "b.png", error="b.png: expected a picture")
    (line,) = row_lines([*QUALITY, read("jpeg=50", "a.png", 1.0), bad])
    assert (line.photos, line.failed, line.bits) == (1, 1, 1.0)
    (only_bad,) = row_lines([bad])
    assert only_bad.bits is None and only_bad.tpr is None


def margins(row: str, *values: float | None, group: str = "valuemetric", known: bool = True) -> Result:
    """Marks with so many dB over the threshold, None for one that was not found."""
    marks = [
        {"area": 1.0, "found": v is not None, "bits": 1.0 if v is not None else 0.5, "word": v is not None,
         "record": v is not None, "iou": None} | ({"margin_db": v} if known else {})
        for v in values
    ]  # fmt: skip
    return result(row, "a.png", group, marks=marks, detections=len(marks), wrong=0, foreign=0)


def test_margins_count_a_mark_that_was_not_found_as_none() -> None:
    (line,) = row_lines([margins("jpeg=50", 60.0, None)])
    assert (line.margin_db, line.lowest_db, line.right) == (30.0, 0.0, 1)
    (faint,) = row_lines([margins("jpeg=50", 60.0, -12.0)])  # known by its record, no better than one that is lost
    assert (faint.margin_db, faint.lowest_db, faint.right) == (30.0, 0.0, 2)
    (clean,), _ = split_clean([faint])
    assert str(clean).endswith("every word right, the least sure mark within 1 dB of the threshold or below")
    (old,) = row_lines([margins("jpeg=50", 60.0, None, known=False)])
    assert (old.margin_db, old.lowest_db) == (None, None)


def test_rows_where_nothing_failed_are_put_together() -> None:
    bad = result("crop=0.5", "b.png", "geometric", error="b.png: expected a picture")
    lines = row_lines(
        [
            margins("jpeg=50", 60.0), margins("jpeg=80", 71.5), margins("median=7", 4.0, None),
            margins("hflip", 50.0, group="geometric"),
            margins("crop=0.5", 50.0, group="geometric"), bad, read("vflip", "a.png", 1.0, group="geometric", wrong=1),
        ]
    )  # fmt: skip
    clean, rest = split_clean(lines)
    assert [(rows.group, rows.names, rows.lowest_db) for rows in clean] == [
        ("valuemetric", ("jpeg=50", "jpeg=80"), 60.0), ("geometric", ("hflip",), 50.0),
    ]  # fmt: skip
    assert [line.row for line in rest] == ["median=7", "crop=0.5", "vflip"]
    assert str(clean[0]) == "2 rows: every word right, 60 dB or more over the threshold"
    (unknown,), _ = split_clean(row_lines([margins("jpeg=50", 60.0, known=False)]))
    assert str(unknown) == "1 row: every word right"


def test_false_alarms_have_an_interval_and_are_no_attack() -> None:
    unmarked = [
        result("unmarked", f"{n}.png", "unmarked", marks=[], detections=int(n == 0), wrong=0, foreign=0)
        for n in range(20)
    ]
    assert row_lines(unmarked) == []
    alarms, foreign = null_lines(unmarked)
    assert (alarms.pictures, alarms.alarms, alarms.rate) == (20, 1, 0.05)
    assert (foreign.pictures, foreign.alarms) == (20, 0)


@pytest.mark.parametrize("total", [1, 20, 1000])
def test_the_interval_of_none_has_a_closed_form(total: int) -> None:
    low, high = interval(0, total)
    assert low == 0.0 and high == pytest.approx(1 - 0.025 ** (1 / total), rel=1e-6)
    assert interval(total, total) == pytest.approx((0.025 ** (1 / total), 1.0), rel=1e-6)


@pytest.mark.parametrize("total", [10, 20_000])
def test_the_one_sided_bound_of_none_has_a_closed_form(total: int) -> None:
    assert upper_bound(0, total) == pytest.approx(1 - 0.05 ** (1 / total), rel=1e-6)
    assert upper_bound(3, total) < interval(3, total)[1]


def test_the_interval_holds_its_tails() -> None:
    low, high = interval(3, 50)
    above = sum(math.comb(50, k) * low**k * (1 - low) ** (50 - k) for k in range(3, 51))
    below = sum(math.comb(50, k) * high**k * (1 - high) ** (50 - k) for k in range(4))
    assert above == pytest.approx(0.025, rel=1e-4) and below == pytest.approx(0.025, rel=1e-4)


def test_quality_is_the_mean_of_what_there_is() -> None:
    (line,) = quality_lines(QUALITY)
    assert (line["psnr_db"], line["ms_ssim"], line["lowest_psnr"], line["photos"]) == (41.0, 0.99, 40.0, 2)


def test_failures_name_the_photo_once() -> None:
    rows = [result(row, "a.png", error="a.png: expected a picture, found none") for row in ("identity", "hflip")]
    assert failures(rows) == ["a.png (2 rows): expected a picture, found none"]


def test_each_kind_of_picture_has_its_row_where_there_are_several() -> None:
    night = [read("jpeg=50", "night/a.png", 1.0), read("jpeg=20", "night/a.png", 0.5)]
    foliage = [read("jpeg=50", "foliage/b.png", 1.0), read("jpeg=20", "foliage/b.png", 0.9375)]
    seen = [
        result("quality", "night/a.png", "quality", psnr_db=42.0),
        read("jpeg=20", "night/a.png", 1.0, group="adversary"),
    ]
    lines = kind_lines([*night, *foliage, *seen])
    assert [(line.group, line.photos, line.row) for line in lines] == [("foliage", 1, "2 rows"), ("night", 1, "2 rows")]
    assert [(line.words, line.tpr, line.psnr_db) for line in lines] == [(0.5, 1.0, None), (0.5, 0.5, 42.0)]
    assert [line.bits for line in lines] == pytest.approx([0.9688, 0.75], abs=1e-4)
    assert kind_lines(night) == [] == kind_lines([read("jpeg=50", "a.png", 1.0), read("jpeg=50", "b.png", 1.0)])
