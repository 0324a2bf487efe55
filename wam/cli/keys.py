"""The secret key of a command: a file's bytes, or an environment variable's."""

from __future__ import annotations

import os
from pathlib import Path

from payload.records.keys import SHORTEST_SECRET
from wam.cli.lines import fail

VARIABLE = "WAM_KEY"
LONGEST = 1 << 20  # bytes of the longest key file: /dev/zero has no end
REMEDY = "make one with: openssl rand -hex 32"


def read_keys(path: Path | None) -> tuple[bytes, ...]:
    """The key of a file, or of $WAM_KEY, and after it what 0.2.0 took the same file for, where that was another: such
    marks are still to be read. Empty where no key is given; a key that is too short ends the command."""
    if path is None:
        if VARIABLE not in os.environ:
            return ()
        return (_long_enough(os.fsencode(os.environ[VARIABLE]), f"${VARIABLE}"),)
    try:
        with path.open("rb") as stream:
            content = stream.read(LONGEST + 1)
    except OSError as error:
        fail(f"{path}: expected a readable key file, found {error.strerror}; check the name")
    if len(content) > LONGEST:
        fail(f"{path}: expected a key of at most {LONGEST:,} bytes, found more; {REMEDY}")
    key, earlier = _long_enough(without_line_end(content), str(path)), content.strip()
    return (key,) if earlier == key or len(earlier) < SHORTEST_SECRET else (key, earlier)


def without_line_end(content: bytes) -> bytes:
    """The key in a file: all its bytes, but for the line end that editors and ``openssl`` put after a line of text.

    >>> without_line_end(b"a line of text \\r\\n"), without_line_end(b"\\xff\\x00 binary \\n")
    (b'a line of text ', b'\\xff\\x00 binary \\n')
    """
    line = content.removesuffix(b"\n").removesuffix(b"\r") if content.endswith(b"\n") else content
    try:
        return line if line.decode().isprintable() else content
    except UnicodeDecodeError:
        return content


def _long_enough(key: bytes, source: str) -> bytes:
    found = len(key) if key.strip() else 0
    if found < SHORTEST_SECRET:
        fail(f"{source}: expected a key of at least {SHORTEST_SECRET} bytes, found {found}; {REMEDY}")
    return key
