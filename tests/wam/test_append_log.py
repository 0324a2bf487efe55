"""Files that grow by whole lines."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from wam import append_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_what_is_appended_is_read(log: Path) -> None:
    assert append_log.read(log) == ""
    append_log.append(log, "one\n")
    append_log.append(log, "zwö\r\nthree\n")
    assert append_log.read(log) == "one\nzwö\r\nthree\n"
    assert log.read_bytes() == "one\nzwö\r\nthree\n".encode()


@pytest.mark.parametrize("cut", ["t", "x" * 200_000])
@pytest.mark.parametrize("before", ["", "one\n", "one\n" * 50_000])
def test_a_line_that_was_cut_off_is_neither_read_nor_gone_on_from(log: Path, before: str, cut: str) -> None:
    log.write_text(before + cut)
    assert append_log.read(log) == before
    append_log.append(log, "next\n")
    assert log.read_text() == before + "next\n"


def test_a_character_that_was_cut_in_two_is_no_obstacle(log: Path) -> None:
    log.write_bytes(b"one\n" + "ö".encode()[:1])
    assert append_log.read(log) == "one\n"


def test_half_a_line_cannot_be_appended(log: Path) -> None:
    with pytest.raises(AssertionError, match="whole lines"):
        append_log.append(log, "one")
    assert not log.exists()


def test_what_finds_no_room_leaves_the_file_as_it_was(log: Path) -> None:
    append_log.append(log, "one\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # bytes of a file: half of the next line is written
    try:
        with pytest.raises(OSError):
            append_log.append(log, "two is longer\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert log.read_text() == "one\n"
