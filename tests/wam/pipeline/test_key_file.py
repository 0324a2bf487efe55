"""Secret keys in files and in the environment."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from payload import derive_subkeys
from wam.pipeline.key_file import KeyFileError, read_keys, write_new_key

SECRET = b"0123456789abcdef"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAM_KEY", raising=False)


def test_a_new_key_is_its_owners_alone_and_can_be_used() -> None:
    write_new_key("key")
    write_new_key("other")
    assert stat.S_IMODE(Path("key").stat().st_mode) == 0o600
    (key,), (other,) = read_keys("key"), read_keys("other")
    assert key != other
    assert len(bytes.fromhex(key.decode())) == 32
    assert derive_subkeys(key).carrier != derive_subkeys(other).carrier


def test_a_key_is_never_written_over() -> None:
    write_new_key("key")
    before = Path("key").read_bytes()
    with pytest.raises(KeyFileError, match="key: expected a new file, found one that is there; choose another name"):
        write_new_key("key")
    assert Path("key").read_bytes() == before


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(KeyFileError, match="nowhere/key: expected a new file, found No such file"):
        write_new_key("nowhere/key")


def test_the_file_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_keys(None) == ()
    monkeypatch.setenv("WAM_KEY", "of the environment")
    Path("key").write_bytes(SECRET + b"\n")
    assert (read_keys("key"), read_keys(None)) == ((SECRET,), (b"of the environment",))


def test_a_key_is_taken_byte_for_byte_and_as_0_2_0_took_it() -> None:
    Path("text").write_bytes(b" " + SECRET + b" \r\n")
    assert read_keys("text") == (b" " + SECRET + b" ", SECRET)
    Path("binary").write_bytes(b"\xff" + SECRET + b"\n")
    assert read_keys("binary") == (b"\xff" + SECRET + b"\n", b"\xff" + SECRET)


def test_what_is_no_key_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("short").write_bytes(b"few\n")
    with pytest.raises(KeyFileError, match=r"short: expected a key of at least 16 bytes, found 3; .* wam key new FILE"):
        read_keys("short")
    with pytest.raises(KeyFileError, match="none: expected a readable key file, found No such file"):
        read_keys("none")
    monkeypatch.setenv("WAM_KEY", "short")
    with pytest.raises(KeyFileError, match=r"\$WAM_KEY: expected a key of at least 16 bytes, found 5"):
        read_keys(None)
