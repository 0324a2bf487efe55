"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: what a run that was killed left behind stays there
    fcntl = None  # type: ignore[assignment]

PRIVATE = 0o600  # permissions of a file for its owner alone

swept: set[str] = set()  # folders that this process has looked through


def save_atomically(path: str | os.PathLike[str], write: Callable[[Path], object], *, private: bool = False) -> None:
    """Calls ``write`` with a temporary name in the same folder, then flushes and renames.

    If anything fails, the old file stays and nothing else is left behind; what a run that was killed has left in the
    folder is removed. A file that is replaced keeps its permissions, a new one gets the usual ones, a ``private`` one
    is its owner's alone whatever was there; a link is followed. What is there and is no file, such as a pipe or
    /dev/null, is written into and stays what it is.
    """
    if _is_device(path):
        with TemporaryDirectory() as folder:
            whole = Path(folder, "whole")
            write(whole)
            with open(whole, "rb") as content, open(path, "wb") as stream:
                shutil.copyfileobj(content, stream)
        return
    target = Path(os.path.realpath(path))
    if str(target.parent) not in swept:
        sweep(target.parent)
    with _temporary(target) as temporary:
        mode = stat.S_IMODE(target.stat().st_mode) if target.is_file() else None
        if private:
            mode = PRIVATE
        if mode is not None:  # before any content is readable; a read-only file is written too
            temporary.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
        write(temporary)
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        if mode is not None:
            temporary.chmod(mode)
        os.replace(temporary, target)


def _is_device(path: str | os.PathLike[str]) -> bool:
    """Whether a pipe, a terminal or the like is there."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def sweep(folder: Path) -> None:
    """Removes the temporary files that killed runs left in a folder; those of runs that go on are locked, and stay."""
    swept.add(os.path.realpath(folder))
    if fcntl is None:
        return
    with suppress(OSError):
        for left_over in folder.glob(".wam-*.part"):
            with suppress(OSError), open(left_over, "rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left_over.unlink()


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A new empty file beside the target, locked so that no other run takes it for a left-over."""
    while True:
        path = target.with_name(f".wam-{os.getpid()}-{secrets.token_hex(6)}.part")
        try:
            with open(path, "xb") as stream:
                if not _locked(path, stream):
                    continue  # another run swept it away before it was locked
                if fcntl is None:
                    stream.close()  # an open file cannot be renamed there
                yield path
                return
        except BaseException:  # Ctrl-C too leaves nothing behind
            path.unlink(missing_ok=True)
            raise


def _locked(path: Path, stream: BinaryIO) -> bool:
    """Locks a file that was just made; False if its name has gone meanwhile."""
    if fcntl is None:
        return True
    with suppress(OSError):  # a file system without locks
        fcntl.flock(stream, fcntl.LOCK_EX)
    return path.exists()
