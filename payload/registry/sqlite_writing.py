"""Beginning a write in SQLite where many processes write one after another."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path
from typing import Any

LONGEST_LOG = 64 << 20  # bytes of the write-ahead log, from which on a writer first shortens it

_TRIES = 20  # to shorten it while nobody writes; then somebody reads it
_ASK_AGAIN = (0.001, 0.004)  # seconds between two tries, drawn anew each time
_left_long: dict[Path, int] = {}  # logs that could not be emptied, and how long they were then


def begin(driver: Any, file: Path, *, seconds: float, longest: int = LONGEST_LOG) -> None:
    """Take the write lock of a registry's file as soon as nobody else has it; raises ``sqlite3.OperationalError`` after
    so many seconds. A long log is first written back into the file and emptied.

    SQLite itself asks again after up to a tenth of a second: of many writers all may sleep while nobody writes. And it
    begins a log anew only where nobody writes or reads for a moment: where one writer follows another at once, the log
    grows without end, and every look into it takes longer. So no writer goes on before one of them has emptied it.
    Others may read it for as long as they like: then it is left, and tried again when it has grown as much once more.
    """
    log, tries, until = file.with_name(f"{file.name}-wal"), 0, time.monotonic() + seconds
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            if _locked(driver, until):
                size = _size(log)
                if size <= _left_long.get(log, 0) + longest:
                    return
                driver.execute("ROLLBACK")
                tries += _emptied(driver)
                if tries == _TRIES:
                    _left_long[log] = size
            time.sleep(random.uniform(*_ASK_AGAIN))
    finally:
        driver.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")


def _locked(driver: Any, until: float) -> bool:
    """Whether nobody else writes, who does not by now."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
            raise
        return False
    return True


def _size(log: Path) -> int:
    """How long a log is; forgets that it once could not be emptied where it was since."""
    try:
        size = log.stat().st_size
    except OSError:
        size = 0  # a registry that keeps its journal in another way
    if size < _left_long.get(log, 0):
        _left_long.pop(log, None)
    return size


def _emptied(driver: Any) -> bool:
    """Write the log back and empty it, unless others read or have begun to write; what there is stays in it. Whether
    it was this process that did so: another may have been at it."""
    try:
        _, frames, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        return True
    return bool(frames >= 0)
