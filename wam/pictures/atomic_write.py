"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path


def save_atomically(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Calls ``write`` with a temporary name in the same folder, then flushes and renames.

    If anything fails, the old file stays and nothing else is left behind. A file that is
    replaced keeps its permissions, a new one gets the usual ones; a link is followed.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".wam-{os.getpid()}-{secrets.token_hex(6)}.part")
    try:
        with open(temporary, "xb"):
            mode = stat.S_IMODE(target.stat().st_mode) if target.is_file() else None
            if mode is not None:  # before any content is readable; a read-only file is written too
                temporary.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
        write(temporary)
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        if mode is not None:
            temporary.chmod(mode)
        os.replace(temporary, target)
    except BaseException:  # Ctrl-C too leaves nothing behind
        temporary.unlink(missing_ok=True)
        raise
