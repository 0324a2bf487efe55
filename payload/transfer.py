"""The registry as JSON Lines: one header, then one object per entry in order of allocation.

The header holds the secret from which ids are drawn, so an export is as confidential as the
registry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from payload.entry import Entry, word_of
from payload.errors import RegistryError
from payload.layout import ID_COUNT
from payload.permutation import SECRET_BYTES

FORMAT = "wam-registry"
VERSION = 1


@dataclass(frozen=True)
class Header:
    """What an export says about the registry as a whole; `count` is the number of its entries."""

    secret: bytes
    count: int


def write_lines(header: Header, entries: Iterable[Entry]) -> Iterator[str]:
    """Write a registry as lines of JSON, each with its line end."""
    first = {
        "format": FORMAT,
        "version": VERSION,
        "secret": header.secret.hex(),
        "count": header.count,
    }
    yield json.dumps(first) + "\n"
    for entry in entries:
        yield json.dumps(entry.to_dict(), ensure_ascii=False) + "\n"


def read_lines(lines: Iterable[str]) -> tuple[Header, Iterator[Entry]]:
    """Read the header, and the entries one by one as they are asked for, each checked."""
    numbered = enumerate(lines, start=1)
    number, first = next(numbered, (1, ""))
    header = _header(_parse(first, number))
    return header, _entries(numbered, header)


def _header(values: Any) -> Header:
    """Check the header line."""
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise RegistryError(f"import: expected a header with format {FORMAT}, found another file")
    if values.get("version") != VERSION:
        found = values.get("version")
        raise RegistryError(f"import: expected version {VERSION}, found {found!r}; update wam")
    try:
        secret = bytes.fromhex(values["secret"])
        count = values["count"]
    except (KeyError, TypeError, ValueError) as error:
        raise RegistryError("import: expected a secret and a count in the header") from error
    if len(secret) != SECRET_BYTES or type(count) is not int or not 0 <= count <= ID_COUNT:
        raise RegistryError(
            f"import: expected a secret of {SECRET_BYTES} bytes and a count up to {ID_COUNT}, "
            "found others; export again"
        )
    return Header(secret, count)


def _entries(numbered: Iterable[tuple[int, str]], header: Header) -> Iterator[Entry]:
    """Read the entries, checking that all serial numbers are there, with the ids of the secret."""
    expected = 0
    for number, line in numbered:
        try:
            entry = Entry.from_dict(_parse(line, number))
        except ValueError as error:
            raise RegistryError(f"import: line {number}: {error}; export again") from error
        if entry.serial != expected:
            raise RegistryError(
                f"import: line {number}: expected serial {expected}, found {entry.serial}; "
                "keep the lines of an export complete and in order"
            )
        if expected >= header.count or entry.word != word_of(header.secret, expected):
            raise RegistryError(
                f"import: line {number}: expected the link of this registry's serial {expected}, "
                f"found {entry.link}; do not mix exports"
            )
        yield entry
        expected += 1
    if expected != header.count:
        raise RegistryError(f"import: expected {header.count} entries, found {expected}; the export is cut off")


def _parse(line: str, number: int) -> Any:
    """Parse one line of JSON."""
    try:
        return json.loads(line)
    except ValueError as error:
        raise RegistryError(f"import: line {number}: expected JSON, found: {error}") from error
