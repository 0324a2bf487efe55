"""The registry as JSON Lines: one header, then one object per entry in order of allocation.

The header holds the secret from which ids are drawn, so an export is as confidential as the
registry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from payload.codes.id_permutation import SECRET_BYTES
from payload.errors import ImportFileError
from payload.layout import ID_COUNT
from payload.registry.entry import Entry, words_of
from payload.registry.generations import FIRST_GENERATION, Giving
from payload.registry.schema import namespace_of

FORMAT = "wam-registry"
VERSION = 4
VERSIONS = (1, 2, 3, VERSION)  # that are read: 1 is that of 0.2.0, from 3 on what is given may stand in the header
GIVING = 3
_TEXT = json.JSONEncoder(ensure_ascii=False)
_BLOCK = 1024  # entries whose words are made together
FIRST_ENTRY = 2  # line of serial 0, counted from 1


@dataclass(frozen=True)
class Header:
    """What an export says about the registry as a whole; ``count`` is the number of its entries, ``giving`` what the
    next words are."""

    secret: bytes
    count: int
    giving: Giving = field(default_factory=Giving)
    version: int = VERSION

    @property
    def namespace(self) -> bytes:
        """What tells the registry from others."""
        return namespace_of(self.secret)


def write_lines(header: Header, entries: Iterable[Entry]) -> Iterator[str]:
    """Write a registry as lines of JSON, each with its line end."""
    plain = header.giving == Giving()
    first = {
        "format": FORMAT,
        "version": VERSION,
        "secret": header.secret.hex(),
        "namespace": header.namespace.hex(),
        "count": header.count,
        **({} if plain else {"giving": header.giving.to_dict()}),
    }
    yield json.dumps(first) + "\n"
    for entry in entries:
        yield _TEXT.encode(entry.to_dict()) + "\n"


def read_lines(lines: Iterable[str], name: str = "import") -> tuple[Header, Iterator[Entry]]:
    """Read the header, and the entries one by one as they are asked for, each checked.

    Raise ``ImportFileError`` naming the file, by ``name``, and the line.
    """
    numbered = _numbered(lines, name)
    place, first = next(numbered, (place_of(name, 1), ""))
    header = _header(_parse(first, place), place)
    return header, _entries(numbered, header, name)


def check_lines(lines: Iterable[str], name: str = "import") -> None:
    """Read a whole export for what is wrong with it, and keep nothing."""
    for _ in read_lines(lines, name)[1]:
        pass


def place_of(name: str, number: int) -> str:
    """Name a line of a file, counted from 1, as errors begin."""
    return f"{name}: line {number}"


def _numbered(lines: Iterable[str], name: str) -> Iterator[tuple[str, str]]:
    """Give each line with its place; bytes that are not UTF-8 come as lone surrogates."""
    for number, line in enumerate(lines, start=1):
        place = place_of(name, number)
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise ImportFileError(f"{place}: expected text in UTF-8, found other bytes; export again") from error
        yield place, line


def _header(values: Any, place: str) -> Header:
    """Check the header line."""
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ImportFileError(
            f"{place}: expected a header with format {FORMAT}, found another file; use one of `wam registry export`"
        )
    if type(values.get("version")) is not int or values["version"] not in VERSIONS:
        found = values.get("version")
        raise ImportFileError(f"{place}: expected version {VERSION} or older, found {found!r}; update wam")
    try:
        secret = bytes.fromhex(values["secret"])
        count = values["count"]
        if values["secret"] != secret.hex():
            raise ValueError("not as an export writes it")
        stated = values["version"] == GIVING or (values["version"] > GIVING and "giving" in values)
        giving = Giving.from_dict(values["giving"]) if stated else Giving()
    except (KeyError, TypeError, ValueError) as error:
        raise ImportFileError(
            f"{place}: expected a secret and a count in the header, found others; export again"
        ) from error
    if len(secret) != SECRET_BYTES or type(count) is not int or not giving.first <= count <= giving.first + ID_COUNT:
        raise ImportFileError(
            f"{place}: expected a secret of {SECRET_BYTES} bytes and a count up to {giving.first + ID_COUNT}, "
            "found others; export again"
        )
    if values["version"] > 1 and values.get("namespace") != namespace_of(secret).hex():
        raise ImportFileError(f"{place}: expected the namespace of this secret, found another; export again")
    return Header(secret, count, giving, values["version"])


def _entries(numbered: Iterable[tuple[str, str]], header: Header, name: str) -> Iterator[Entry]:
    """Read the entries, checking that all serial numbers are there, with the ids of the secret."""
    expected, words, generation, begin, start = 0, list[int](), FIRST_GENERATION, 0, 0
    for place, line in numbered:
        try:
            entry = Entry.from_dict(_parse(line, place), version=header.version)
        except ValueError as error:
            raise ImportFileError(f"{place}: {error}; export again") from error
        if entry.serial != expected:
            raise ImportFileError(
                f"{place}: expected serial {expected}, found {entry.serial}; "
                "keep the lines of an export complete and in order"
            )
        if entry.generation > generation:
            generation, begin, start, words = entry.generation, expected, expected, []
        if expected - start == len(words) and expected < header.count:
            start, run = expected, min(_BLOCK, header.count - expected, ID_COUNT - (expected - begin))
            words = words_of(header.secret, expected - begin, run)
        if expected >= header.count or not _fits(entry, header.giving, generation, words[expected - start :]):
            raise ImportFileError(
                f"{place}: expected the link of this registry's serial {expected}, "
                f"found {entry.link}; do not mix exports"
            )
        yield entry
        expected += 1
    if expected != header.count:
        last = place_of(name, expected + FIRST_ENTRY - 1)
        raise ImportFileError(
            f"{last}: expected {header.count} entries up to the end, found {expected}; the export is cut off"
        )
    if header.giving.first != (begin if header.giving.generation == generation else expected):
        raise ImportFileError(
            f"{place_of(name, 1)}: expected the serial that the last generation begins with, found "
            f"{header.giving.first}; do not mix exports"
        )


def _fits(entry: Entry, giving: Giving, generation: int, words: Sequence[int]) -> bool:
    """Whether an entry has the word that is its turn, the first of ``words``, and a generation that there is."""
    right = bool(words) and (entry.generation, entry.word) == (generation, words[0])
    return right and generation <= giving.generation and (not entry.labelled or generation in giving.labelled)


def _parse(line: str, place: str) -> Any:
    """Parse one line of JSON as an export writes it: nothing twice, no number that JSON has not, little depth."""
    try:
        return json.loads(line, object_pairs_hook=_each_once, parse_constant=_no_number)
    except ValueError as error:
        raise ImportFileError(f"{place}: expected JSON, found: {error}; export again") from error
    except RecursionError as error:
        raise ImportFileError(f"{place}: expected an entry, found lists in lists without end; export again") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key twice")
    return values


def _no_number(text: str) -> Any:
    raise ValueError(f"the number {text}")
