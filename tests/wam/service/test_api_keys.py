"""API keys: shown once, kept as hashes, taken back for good, and a damaged file opens nothing."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wam.service.api_keys import ApiKeyError, KeyStore, default_place
from wam.service.roles import Role


def test_a_key_is_found_by_who_holds_it_and_by_nobody_else(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "new" / "keys.json")
    assert store.list() == () and store.check("wam_0123456789_" + "A" * 43) is None
    key, made = store.new("shop", Role.MARKER, owner="acme", rate=7)
    found = KeyStore(store.path).check(key)  # another process
    assert found == made and (found.role, found.owner, found.rate) == (Role.MARKER, "acme", 7)
    for wrong in (key[:-1] + ("A" if key[-1] != "A" else "B"), key[:-1], key + "A", "", key.upper(), f" {key}"):
        assert store.check(wrong) is None


def test_the_file_holds_no_key_and_is_its_owner_s(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    keys = [store.new(f"k{number}", Role.ADMIN)[0] for number in range(3)]
    text = store.path.read_text()
    for key in keys:
        assert key not in text and key.rpartition("_")[2] not in text
    if os.name != "nt":
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert len({one["salt"] for one in json.loads(text)["keys"]}) == 3


def test_a_revoked_key_is_none_in_every_process(tmp_path: Path) -> None:
    store, other = KeyStore(tmp_path / "keys.json"), KeyStore(tmp_path / "keys.json")
    key, made = store.new("shop", Role.MARKER)
    assert other.check(key) is not None
    first = store.revoke(made.id)
    assert other.check(key) is None and store.check(key) is None
    assert store.revoke(made.id).revoked == first.revoked  # when it was revoked first stays
    assert [one.id for one in other.list()] == [made.id]


def test_keys_that_are_made_at_once_are_all_kept(tmp_path: Path) -> None:
    def make(number: int) -> str:
        return KeyStore(tmp_path / "keys.json").new(f"k{number}", Role.MARKER)[0]

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(make, range(16)))
    store = KeyStore(tmp_path / "keys.json")
    assert all(store.check(key) is not None for key in keys) and len(store.list()) == 16


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"version": 2, "keys": []}', '{"version": 1, "keys": [{}]}', "\0"]
)
def test_a_damaged_file_is_an_error_and_stays(tmp_path: Path, content: str) -> None:
    store = KeyStore(tmp_path / "keys.json")
    key, made = store.new("shop", Role.MARKER)
    store.path.write_text(content)
    for ask in (
        lambda: store.check(key),
        store.list,
        lambda: store.revoke(made.id),
        lambda: store.new("b", Role.ADMIN),
    ):
        with pytest.raises(ApiKeyError, match="expected a file of API keys, found another or a damaged one"):
            ask()
    assert store.path.read_text() == content


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    with pytest.raises(ApiKeyError, match="role: expected marker, auditor or admin"):
        store.new("x", Role.ANONYMOUS)
    for name in ("", " ", "two\nlines", "x" * 65):
        with pytest.raises(ApiKeyError, match="name: expected 1 to 64 printable characters"):
            store.new(name, Role.MARKER)
    with pytest.raises(ApiKeyError, match="rate: expected 1 or more"):
        store.new("x", Role.MARKER, rate=0)
    with pytest.raises(ApiKeyError, match="expected a key nobody, found none"):
        store.revoke("nobody")
    assert not store.path.exists()


def test_the_place_is_that_of_the_environment_or_the_user_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WAM_API_KEYS", str(tmp_path / "here.json"))
    assert default_place() == tmp_path / "here.json"
    monkeypatch.delenv("WAM_API_KEYS")
    assert default_place().name == "api-keys.json"
