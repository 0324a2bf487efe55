"""What hashes of whole pictures say of a mark, where its sketch leaves that open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from payload import RecordReading
from tests.wam.pipeline.test_judge import detection
from wam.pipeline.binding import UNBOUND, Comparison
from wam.pipeline.transplant import DISTANCE, PDQ_DISTANCE, Hashes, compare_whole, record_is_transplanted
from wam.region import Region

WHOLE = replace(detection((0, 0, 400, 400), 40), region=Region((0, 0, 400, 400), 1.0, ()))
FAR = 0xFFFFFFFF
ALL, ALL_PDQ = (1 << 64) - 1, (1 << 256) - 1
BY_FINGERPRINT, BY_HASH, OTHER = (
    Comparison("own", "fingerprint"),
    Comparison("own", "hash"),
    Comparison("other", "hash"),
)


@pytest.mark.parametrize(
    ("seen", "kept", "expected"),
    [
        (Hashes((0,), (0,)), Hashes((FAR,), ((1 << PDQ_DISTANCE) - 1,)), BY_FINGERPRINT),  # the surer one
        (Hashes((0,), (1 << 255, 0)), Hashes((0,), (1,)), BY_FINGERPRINT),  # of what may have been cut off
        (Hashes((0,), (0,)), Hashes((0,), ((1 << PDQ_DISTANCE + 1) - 1,)), UNBOUND),  # only the shorter one is near
        (Hashes((0,), (0,)), Hashes((FAR,), ((1 << 128) - 1,)), OTHER),
        (Hashes((0,)), Hashes(((1 << DISTANCE) - 1,), (0,)), BY_HASH),  # of a reader without fingerprints
        (Hashes((0,), (0,)), Hashes((FAR,)), OTHER),  # of a registry of before
        (Hashes((0, FAR), (0,)), Hashes((FAR,)), BY_HASH),
        (Hashes((0,), (0,)), Hashes(), UNBOUND),
        (Hashes(), Hashes((0,), (0,)), UNBOUND),
    ],
)
def test_of_a_whole_picture(seen: Hashes, kept: Hashes, expected: Comparison) -> None:
    assert compare_whole(WHOLE, seen, kept) == expected


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (Hashes((0,)), UNBOUND),  # the mark on both would say that they are one
        (Hashes((FAR,)), UNBOUND),  # and a coarse copy that they are not
        (Hashes((FAR,), ((1 << 128) - 1,)), OTHER),  # of a picture that was not plain
        (Hashes((0,), ((1 << 128) - 1,)), UNBOUND),
    ],
)
def test_hashes_of_plain_pictures_say_little(kept: Hashes, expected: Comparison) -> None:
    assert compare_whole(WHOLE, Hashes((0,), plain=True), kept) == expected


def test_parts_are_not_told() -> None:
    assert compare_whole(detection((0, 0, 50, 50), 40), Hashes((0,)), Hashes((FAR,))) == UNBOUND


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Hashes((ALL,), (ALL_PDQ,)), Comparison("own", "fingerprint", 2)),  # a negative of the picture
        (Hashes((0,), (0,)), Comparison("own", "fingerprint", 2)),  # too much was subtracted from the picture itself
        (Hashes((ALL,)), Comparison("own", "hash", 2)),
        (Hashes((FAR,)), OTHER),
    ],
)
@pytest.mark.parametrize("sharp", [True, False])
def test_the_mark_of_a_negative_may_lie_on_the_pictures_negative(
    seen: Hashes, expected: Comparison, sharp: bool
) -> None:
    negative = replace(WHOLE, pose=replace(WHOLE.pose, negative=sharp, out_of_focus=not sharp))
    assert compare_whole(negative, seen, Hashes((0,), (0,))) == expected
    assert compare_whole(WHOLE, Hashes((ALL,), (ALL_PDQ,)), Hashes((0,), (0,))) == OTHER


def test_the_hash_in_a_record_is_that_of_a_negative_as_well() -> None:
    record = RecordReading("verified", None, (0,), 1, 1, 1, (0,), -9.0, phash=0)
    mark = replace(WHOLE, logits=np.full(32, -9, np.float32), coarse_mask=np.ones((2, 2), bool))
    negative = replace(mark, pose=replace(mark.pose, negative=True))
    assert [record_is_transplanted(record, [one], ALL) for one in (mark, negative)] == [True, False]
    assert not record_is_transplanted(record, [negative], 0)
    assert record_is_transplanted(record, [negative], 0xAAAAAAAAAAAAAAAA)


def test_only_what_agrees_makes_a_chance_smaller() -> None:
    chances = [one.log10_p for one in (BY_FINGERPRINT, BY_HASH, OTHER, UNBOUND, Comparison("own", "sketch"))]
    assert chances[0] < chances[1] < 0.0 == chances[2] == chances[3] > chances[4]
