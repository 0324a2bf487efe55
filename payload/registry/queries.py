"""What is asked of the registry's tables, within a transaction of whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, String, bindparam, case, cast, func, select

from payload.codes.short_link import format_link
from payload.errors import ImportFileError, UnknownLinkError
from payload.layout import Words
from payload.registry import schema
from payload.registry.entry import IN_USE, Entry
from payload.registry.export_import import FIRST_ENTRY, Header, place_of
from payload.registry.generations import FIRST_GENERATION, Giving
from payload.registry.schema import SCHEMA_VERSION, entry_columns, entry_table, registry_table

BATCH = 1000  # entries that are read or written at a time
WORDS = 1 << 20  # serial numbers whose words are read at a time, eleven bytes each


def is_word(word: int, generation: int) -> ColumnElement[bool]:
    """The entry of a word of a generation."""
    return (entry_table.c.generation == generation) & (entry_table.c.word == word)


def find(connection: Connection, word: int, generation: int, version: int) -> Entry | None:
    """Look up a word of a generation in a registry of that version."""
    if version < schema.AUDITED and generation != FIRST_GENERATION:
        return None
    row = connection.execute(by_word(version), {"sought": word, "of": generation}).mappings().one_or_none()
    return None if row is None else Entry.from_row(row)


def found(connection: Connection, word: int, generation: int) -> Entry:
    """Look up a word that has an entry, in a registry of this version; raise ``UnknownLinkError`` for one that has
    none."""
    entry = find(connection, word, generation, SCHEMA_VERSION)
    if entry is None:
        raise unknown(format_link(word, generation))
    return entry


def unknown(link: str) -> UnknownLinkError:
    """Say that a link has no entry."""
    return UnknownLinkError(f"expected an entry for link {link}, found none; check the registry")


@lru_cache(maxsize=SCHEMA_VERSION)  # making the statement takes as long as carrying it out
def by_word(version: int) -> Select[Any]:
    """What looks up the word ``sought`` of a generation."""
    sought = entry_table.c.word == bindparam("sought")
    if version >= schema.AUDITED:
        sought = (entry_table.c.generation == bindparam("of")) & sought
    return select(*entry_columns(version)).where(sought)


def find_sources(connection: Connection, sources: set[str]) -> dict[str, list[Entry]]:
    """The entries in use of some sources, those that are marked first, the latest first among them."""
    found: dict[str, list[Entry]] = {}
    columns = entry_table.c
    ordered, remaining = [case((columns.state == "marked", 0), else_=1), columns.serial.desc()], sorted(sources)
    while remaining:
        chosen, remaining = remaining[:BATCH], remaining[BATCH:]
        in_use = select(*entry_columns(SCHEMA_VERSION)).where(columns.source.in_(chosen), columns.state.in_(IN_USE))
        for row in connection.execute(in_use.order_by(*ordered)).mappings():
            found.setdefault(row["source"], []).append(Entry.from_row(row))
    return found


def page(connection: Connection, after: int, version: int, *conditions: ColumnElement[bool]) -> Sequence[Entry]:
    """Read the next entries after a serial number that fulfil all conditions."""
    chosen = select(*entry_columns(version)).where(entry_table.c.serial > after, *conditions)
    rows = connection.execute(chosen.order_by(entry_table.c.serial).limit(BATCH))
    return [Entry.from_row(row) for row in rows.mappings().all()]


def latest(connection: Connection, version: int, most: int, *conditions: ColumnElement[bool]) -> Sequence[Entry]:
    """Read the newest entries that fulfil all conditions, the newest first."""
    chosen = select(*entry_columns(version)).where(*conditions).order_by(entry_table.c.serial.desc()).limit(most)
    return [Entry.from_row(row) for row in connection.execute(chosen).mappings().all()]


def words(connection: Connection, generation: int | None, *conditions: ColumnElement[bool]) -> Words:
    """The words of those entries of a generation, None: of all, that fulfil conditions, in no particular order.

    The database writes them as text, many at a time: a row for each takes many times as long. They are gone through in
    the order of their serial numbers, as they lie on the disk, not by the index of the words, which is that of chance.
    """
    columns = entry_table.c
    bounds = select(func.min(columns.serial), func.max(columns.serial))
    if generation is not None:
        bounds = bounds.where(columns.generation == generation)
        conditions = (*conditions, columns.generation + 0 == generation)  # a sum has no index
    joining = func.string_agg if connection.dialect.name == "postgresql" else func.group_concat
    joined = select(joining(cast(columns.word, String), ",")).where(*conditions)
    first, last = connection.execute(bounds).one()
    found = []
    for start in range(first or 0, -1 if last is None else last + 1, WORDS):
        some = joined.where(columns.serial.between(start, start + WORDS - 1))
        text = connection.execute(some).scalar_one()
        if text is not None:
            found.append(np.fromstring(text, dtype=np.int64, sep=",").astype(np.uint32))
    return np.concatenate(found) if found else np.empty(0, np.uint32)


def through(page: Callable[[int], Sequence[Entry]]) -> Iterator[Entry]:
    """Go through all pages; none is read, and no connection held, before it is asked for."""
    after = -1
    while entries := page(after):
        yield from entries
        if len(entries) < BATCH:
            return
        after = entries[-1].serial


def read_header(connection: Connection, version: int) -> Header:
    """Read the secret, the number of allocated ids, and what the next are, in a registry of that version."""
    columns = registry_table.c
    row = connection.execute(select(columns.secret, columns.next_serial)).one()
    giving = Giving()
    if version >= schema.LABELLED_WORDS:
        values = (columns.scheme, columns.generation, columns.generation_first, columns.labelled_from)
        giving = Giving(*connection.execute(select(*values)).one())
    return Header(bytes.fromhex(row.secret), row.next_serial, giving)


def check_conflicts(connection: Connection, entries: Iterable[Entry], name: str, version: int) -> None:
    """Refuse entries that the registry holds with other contents; ``version`` of the export: the first had no sources,
    those before the fourth no fingerprints."""
    imported = {entry.serial: entry for entry in entries}
    present = select(*entry_columns(SCHEMA_VERSION)).where(entry_table.c.serial.between(min(imported), max(imported)))
    for row in connection.execute(present).mappings():
        entry = known = Entry.from_row(row)
        if version < 4:
            known = replace(known, pdq=None)
        if version == 1:
            known = replace(known, source=None)
        if known != imported[entry.serial]:
            raise ImportFileError(
                f"{place_of(name, entry.serial + FIRST_ENTRY)}: link {entry.link}: expected the entry that is already "
                "here, found another; import into a new registry"
            )
