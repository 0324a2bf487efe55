"""Beginning a write in SQLite where many processes write one after another."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

LONGEST_LOG = 64 << 20  # bytes of the write-ahead log, from which on a writer first shortens it

_SHORTEN_SECONDS, _SHORTEN_TRIES = 15.0, 100  # how long and how often that is tried
_left_long: dict[Path, int] = {}  # logs that could not be emptied, and how long they were then
_ASK_AGAIN = (0.001, 0.004)  # seconds between two tries to write, drawn anew each time


def begin(driver: Any, file: Path, *, seconds: float, longest: int = LONGEST_LOG) -> None:
    """Take the write lock of a registry's file as soon as nobody else has it; raises ``sqlite3.OperationalError`` after
    so many seconds.

    SQLite itself asks again after up to a tenth of a second: of many writers all may sleep while nobody writes.
    """
    _shorten_log(driver, file.with_name(f"{file.name}-wal"), longest)
    until = time.monotonic() + seconds
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(random.uniform(*_ASK_AGAIN))
    finally:
        driver.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")


def _shorten_log(driver: Any, log: Path, longest: int) -> None:
    """Write a long log back into the file and empty it.

    SQLite begins a log anew only where nobody writes or reads for a moment. Where one writer follows another at once it
    grows without end, and every look into it takes longer. So no writer begins before one of them has emptied it.
    Others may read it for as long as they like: then it is left, and tried again when it has grown as much once more.
    """
    tries, until = 0, time.monotonic() + _SHORTEN_SECONDS
    driver.execute("PRAGMA busy_timeout = 0")
    with suppress(OSError):
        while (size := log.stat().st_size) > _left_long.get(log, 0) + longest:
            with suppress(sqlite3.OperationalError):  # what there is stays in the log
                _, frames, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                tries += frames >= 0  # negative: another process is at it
            if tries > _SHORTEN_TRIES or time.monotonic() > until:
                _left_long[log] = size
                return
            time.sleep(random.uniform(*_ASK_AGAIN))
        if size <= longest:
            _left_long.pop(log, None)
