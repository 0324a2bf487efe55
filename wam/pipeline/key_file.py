"""Secret keys as people keep them: in a file, or in the environment variable ``WAM_KEY``."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from payload.records.keys import SHORTEST_SECRET
from wam.errors import WamError

ENVIRONMENT_VARIABLE = "WAM_KEY"
RANDOM_BYTES = 32  # of a new key, written as hexadecimal digits
REMEDY = "make one with: wam key new FILE"


class KeyFileError(WamError):
    """A key that cannot be read or is too short, or a file that cannot take a new one."""


def read_key(path: str | os.PathLike[str] | None) -> bytes | None:
    """The secret key of a file, without a file that of ``WAM_KEY``, or None; raises ``KeyFileError``."""
    if path is None:
        key, source = os.environ.get(ENVIRONMENT_VARIABLE, "").encode(), f"${ENVIRONMENT_VARIABLE}"
        if not key:
            return None
    else:
        source = os.fspath(path)
        try:
            key = Path(path).read_bytes().strip()
        except OSError as error:
            raise KeyFileError(
                f"{source}: expected a readable key file, found {error.strerror}; check the name"
            ) from error
    if len(key) < SHORTEST_SECRET:
        raise KeyFileError(f"{source}: expected a key of at least {SHORTEST_SECRET} bytes, found {len(key)}; {REMEDY}")
    return key


def new_key() -> str:
    """A random key, as text."""
    return secrets.token_hex(RANDOM_BYTES)


def write_new_key(path: str | os.PathLike[str]) -> None:
    """Writes a random key to a new file that only its owner can read; raises ``KeyFileError``, for a file that is there
    too: marks made with a key that is written over are lost for good."""
    content = f"{new_key()}\n".encode()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        found = "one that is there" if isinstance(error, FileExistsError) else error.strerror
        raise KeyFileError(f"{os.fspath(path)}: expected a new file, found {found}; choose another name") from error
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        os.fsync(stream.fileno())
