"""What hashes of whole pictures say of a mark, where its sketch leaves that open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.wam.pipeline.test_judge import detection
from wam.pipeline.transplant import DISTANCE, PDQ_DISTANCE, Hashes, hash_binding
from wam.region import Region

WHOLE = replace(detection((0, 0, 400, 400), 40), region=Region((0, 0, 400, 400), 1.0, ()))
FAR = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("seen", "kept", "expected"),
    [
        (Hashes((0,), (0,)), Hashes((FAR,), ((1 << PDQ_DISTANCE) - 1,)), "own"),  # the fingerprint is the surer one
        (Hashes((0,), (1 << 255, 0)), Hashes((0,), (1,)), "own"),  # of what may have been cut off
        (Hashes((0,), (0,)), Hashes((0,), ((1 << PDQ_DISTANCE + 1) - 1,)), "unbound"),  # only the shorter one is near
        (Hashes((0,), (0,)), Hashes((FAR,), ((1 << 128) - 1,)), "other"),
        (Hashes((0,)), Hashes(((1 << DISTANCE) - 1,), (0,)), "own"),  # of a reader without fingerprints
        (Hashes((0,), (0,)), Hashes((FAR,)), "other"),  # of a registry of before
        (Hashes((0, FAR), (0,)), Hashes((FAR,)), "own"),
        (Hashes((0,), (0,)), Hashes(), "unbound"),
        (Hashes(), Hashes((0,), (0,)), "unbound"),
    ],
)
def test_of_a_whole_picture(seen: Hashes, kept: Hashes, expected: str) -> None:
    assert hash_binding(WHOLE, seen, kept) == expected


def test_parts_are_not_told() -> None:
    assert hash_binding(detection((0, 0, 50, 50), 40), Hashes((0,)), Hashes((FAR,))) == "unbound"
