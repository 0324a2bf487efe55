"""Writers of one SQLite file: they wait for one another, and keep the log short."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from payload import Record
from payload.errors import RegistryError
from payload.registry import Registry
from payload.registry.sqlite_writing import begin

RECORD = Record("1", "acme")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A registry's."""
    Registry.open(str(tmp_path / "registry.sqlite"))
    return tmp_path / "registry.sqlite"


@pytest.fixture
def other(file: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, which it keeps open, so that the log stays."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA user_version = 1")
        yield connection


@pytest.fixture
def own(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


def log_size(file: Path) -> int:
    return file.with_name(file.name + "-wal").stat().st_size


def test_a_write_waits_until_the_other_has_ended(file: Path, other: sqlite3.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    ending = threading.Timer(0.2, other.execute, ["ROLLBACK"])
    ending.start()
    started = time.monotonic()
    assert Registry.open(str(file)).allocate(RECORD).serial == 0
    assert time.monotonic() - started > 0.1
    ending.join()


def test_it_does_not_wait_for_ever(file: Path, other: sqlite3.Connection, own: sqlite3.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        begin(own, file, seconds=0.05)
    other.execute("ROLLBACK")
    begin(own, file, seconds=0.05)
    assert own.in_transaction


def test_what_stands_in_the_way_is_said_in_one_line(file: Path) -> None:
    registry = Registry.open(str(file))
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(RegistryError, match=r"registry .*: expected to read and write it, found: .*not a database"):
        registry.allocate(RECORD)


def test_a_long_log_is_written_back(file: Path, other: sqlite3.Connection, own: sqlite3.Connection) -> None:
    entry = Registry.open(str(file)).allocate(RECORD)
    long = log_size(file)
    begin(own, file, seconds=1, longest=long)
    own.execute("ROLLBACK")
    assert log_size(file) == long
    begin(own, file, seconds=1, longest=long - 1)
    own.execute("ROLLBACK")
    assert log_size(file) == 0
    assert Registry.open(str(file)).show(entry.link) == entry


def test_a_log_that_is_read_is_left_to_the_next(file: Path, other: sqlite3.Connection) -> None:
    registry = Registry.open(str(file))
    registry.allocate(RECORD)
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM wam_entry").fetchone() == (1,)
    registry.allocate(RECORD)  # the reader's log cannot be emptied now
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        begin(connection, file, seconds=1, longest=0)
        assert connection.in_transaction
        connection.execute("ROLLBACK")
        started = time.monotonic()
        begin(connection, file, seconds=1, longest=0)  # is not tried again at the same length
        assert time.monotonic() - started < 1
        connection.execute("ROLLBACK")
    assert log_size(file) > 0 and other.execute("SELECT count(*) FROM wam_entry").fetchone() == (1,)
    assert len([*registry.entries()]) == 2
