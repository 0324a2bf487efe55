"""Files that are held by a process as long as it lives, however it ends: a lock of the system says whether somebody
does. Where there are no such locks (Windows) nobody is said to be gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

WORKS = fcntl is not None


def hold(path: Path) -> int:
    """Makes a file and holds it; the handle, which lets go when it is closed. The file is that of the name when this
    returns: one that was removed or moved away in between is made again."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextmanager
def unheld(path: Path) -> Iterator[bool]:
    """Whether a file is there that nobody on this machine holds, and nobody comes to hold meanwhile; False also where
    that cannot be known."""
    if fcntl is None:
        yield False
        return
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(handle)


def take_away(path: Path) -> bool:
    """Removes a file that nobody on this machine holds; whether it is gone."""
    with unheld(path) as free:
        if free:
            path.unlink(missing_ok=True)
    return not path.exists()
