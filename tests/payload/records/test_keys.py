from __future__ import annotations

import json
from pathlib import Path

import pytest

from payload.records.keys import SUBKEY_BYTES, derive_subkeys, keystream

KNOWN = json.loads((Path(__file__).parents[1] / "data" / "record_vectors.json").read_text())["subkeys"]
SECRET = KNOWN["secret"].encode()


@pytest.mark.parametrize("name", ["carrier", "authentication", "encryption"])
def test_subkeys_are_the_known_ones(name: str) -> None:
    assert getattr(derive_subkeys(SECRET), name).hex() == KNOWN[name]


def test_subkeys_differ_from_each_other_and_between_secrets() -> None:
    keys = [derive_subkeys(SECRET), derive_subkeys(SECRET + b"\n")]
    made = {key for each in keys for key in (each.carrier, each.authentication, each.encryption)}
    assert len(made) == 6
    assert all(len(key) == SUBKEY_BYTES for key in made)


def test_subkeys_are_not_shown_when_printed() -> None:
    assert repr(derive_subkeys(SECRET)) == "Subkeys()"


def test_short_secrets_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 16 bytes, found 15"):
        derive_subkeys(SECRET[:15])


def test_another_seal_gives_another_keystream() -> None:
    key = bytes(SUBKEY_BYTES)
    assert keystream(key, b"abcd", 40) != keystream(key, b"abce", 40)
    assert keystream(key, b"abcd", 40)[:8] == keystream(key, b"abcd", 8)
