from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from payload.codes.id_permutation import SECRET_BYTES, permute
from payload.layout import ID_COUNT

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["permutation"]
SECRET = bytes(range(SECRET_BYTES))


def test_serials_give_the_known_ids() -> None:
    ids = permute(bytes.fromhex(VECTORS["secret"]), np.arange(len(VECTORS["ids"])))
    assert ids.tolist() == VECTORS["ids"]
    assert permute(bytes.fromhex(VECTORS["secret"]), ID_COUNT - 1) == VECTORS["last"]


def test_all_serials_get_different_ids() -> None:
    seen = np.zeros(ID_COUNT, dtype=bool)
    seen[permute(SECRET, np.arange(ID_COUNT))] = True
    assert seen.all()


def test_the_first_ids_are_spread_over_the_whole_range() -> None:
    ids = permute(SECRET, np.arange(4096))
    counts = np.bincount(ids >> np.uint32(17), minlength=16)
    assert abs(counts - 256).max() < 4 * np.sqrt(256)
    ups = np.diff(ids.astype(np.int64)) > 0
    assert ups.mean() == pytest.approx(0.5, abs=0.04)


def test_another_secret_gives_other_ids() -> None:
    other = permute(bytes(SECRET_BYTES), np.arange(4096))
    assert (other == permute(SECRET, np.arange(4096))).sum() < 5


@pytest.mark.parametrize("serial", [-1, ID_COUNT])
def test_serials_out_of_range_are_refused(serial: int) -> None:
    with pytest.raises(ValueError, match="expected serial numbers in"):
        permute(SECRET, serial)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a secret of 16 bytes, found 3"):
        permute(b"abc", 0)
