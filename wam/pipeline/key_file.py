"""Secret keys as people keep them: in a file, or in the environment variable ``WAM_KEY``."""

from __future__ import annotations

import os
import secrets

from payload.records.keys import SHORTEST_SECRET
from wam.errors import WamError

ENVIRONMENT_VARIABLE = "WAM_KEY"
LONGEST = 1 << 20  # bytes of the longest key file: /dev/zero has no end
RANDOM_BYTES = 32  # of a new key, written as hexadecimal digits
REMEDY = "make one with: wam key new FILE"


class KeyFileError(WamError):
    """A key that cannot be read or is too short, or a file that cannot take a new one."""


def read_keys(path: str | os.PathLike[str] | None) -> tuple[bytes, ...]:
    """The key of a file, or without a file that of ``WAM_KEY``; empty where there is none. Raises ``KeyFileError``.

    After it comes what 0.2.0 took the same file for, where that was another: such marks are still to be read.
    """
    if path is None:
        if ENVIRONMENT_VARIABLE not in os.environ:
            return ()
        return (_long_enough(os.fsencode(os.environ[ENVIRONMENT_VARIABLE]), f"${ENVIRONMENT_VARIABLE}"),)
    source = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            content = stream.read(LONGEST + 1)
    except OSError as error:
        raise KeyFileError(f"{source}: expected a readable key file, found {error.strerror}; check the name") from error
    if len(content) > LONGEST:
        raise KeyFileError(f"{source}: expected a key of at most {LONGEST:,} bytes, found more; {REMEDY}")
    key, earlier = _long_enough(_without_line_end(content), source), content.strip()
    return (key,) if earlier == key or len(earlier) < SHORTEST_SECRET else (key, earlier)


def _without_line_end(content: bytes) -> bytes:
    r"""The key in a file: all its bytes, but for the line end that editors put after a line of text.

    >>> _without_line_end(b"a line of text \r\n"), _without_line_end(b"\xff\x00 binary \n")
    (b'a line of text ', b'\xff\x00 binary \n')
    """
    line = content.removesuffix(b"\n").removesuffix(b"\r") if content.endswith(b"\n") else content
    try:
        return line if line.decode().isprintable() else content
    except UnicodeDecodeError:
        return content


def _long_enough(key: bytes, source: str) -> bytes:
    found = len(key) if key.strip() else 0
    if found < SHORTEST_SECRET:
        raise KeyFileError(f"{source}: expected a key of at least {SHORTEST_SECRET} bytes, found {found}; {REMEDY}")
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
