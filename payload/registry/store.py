"""The registry: the records behind the short links, in SQLite or PostgreSQL.

An id is allocated before its picture is marked (``pending``), and then confirmed (``marked``) or, if
marking failed, discarded. A marked one may be withdrawn. Entries are never deleted and ids never
reused; the 2^21st allocation is the last. Pending and marked words are in use: a pending one may
already be in a file whose confirmation was cut off. Discarded and withdrawn ones are never named by
a detection. Any number of processes may use one registry at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, func, insert, select, update

from payload.codes.short_link import format_link, parse_link
from payload.errors import ImportFileError, RegistryError, RegistryFullError, UnknownLinkError
from payload.layout import ID_COUNT, Words
from payload.records.record import Record, format_time, now, parse_time
from payload.registry.database import ENVIRONMENT_VARIABLE, connect, engine_name, locate, transaction
from payload.registry.entry import IN_USE, STATES, Entry, State, hash_text, word_of
from payload.registry.export_import import FIRST_ENTRY, Header, place_of, read_lines, write_lines
from payload.registry.schema import entry_table, registry_table
from payload.registry.statistics import Statistics

_BATCH = 1000  # entries that are read or written at a time


class Registry:
    """The records of one registry, opened by ``Registry.open``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"Registry({self.name!r})"

    @property
    def name(self) -> str:
        """Name the file, or the URL without its password."""
        return engine_name(self._engine.url)

    @classmethod
    def open(cls, url: str | None = None, *, create: bool = True) -> Registry:
        """Open the registry at a file path or URL, created first if it is new and that is allowed.

        None is the environment variable WAM_REGISTRY, or else a file in the user's data directory.
        """
        return cls(connect(locate(url), create=create))

    @classmethod
    def open_if_made(cls, url: str | None = None) -> Registry | None:
        """Open a registry to read it; None for the user's own if it was never made, an error for any other."""
        place = locate(url)
        named = url or os.environ.get(ENVIRONMENT_VARIABLE)
        if not named and not Path(str(place.database)).exists():
            return None
        return cls.open(url, create=False)

    def allocate(self, record: Record) -> Entry:
        """Reserve the next id for a record, in state ``pending``."""
        following = (
            update(registry_table)
            .where(registry_table.c.next_serial < ID_COUNT)
            .values(next_serial=registry_table.c.next_serial + 1)
            .returning(registry_table.c.next_serial, registry_table.c.secret)
        )
        with transaction(self._engine, write=True) as connection:
            row = connection.execute(following).one_or_none()
            if row is None:
                raise RegistryFullError(f"expected a free id, found all {ID_COUNT} allocated; start another registry")
            serial = row.next_serial - 1
            entry = Entry(serial, word_of(bytes.fromhex(row.secret), serial), record)
            connection.execute(insert(entry_table).values(entry.to_row()))
        return entry

    def confirm(self, word: int, *, phash: int | None = None, output: str | None = None) -> Entry:
        """Record that the picture of a pending id was marked, with its 64-bit hash and file."""
        # A file name that is not UTF-8 must not cost the record of a picture already written.
        named = output and output.encode("utf-8", "backslashreplace").decode("utf-8")
        details = {"phash": hash_text(phash), "output": named}
        return self._move(word, "marked", allowed=("pending",), details=details)

    def discard(self, word: int) -> Entry:
        """Give up a pending id whose picture could not be marked."""
        return self._move(word, "discarded", allowed=("pending",))

    def withdraw(self, link: str) -> Entry:
        """Take back a record: its id stays allocated, and detections no longer name it."""
        return self._move(parse_link(link), "withdrawn", allowed=IN_USE)

    def find(self, word: int) -> Entry | None:
        """Look up a link word, whatever the state of its entry."""
        with transaction(self._engine) as connection:
            return _find(connection, word)

    def show(self, link: str) -> Entry:
        """Look up a short link, whatever the state of its entry."""
        entry = self.find(parse_link(link))
        if entry is None:
            raise _unknown(link, self.name)
        return entry

    def entries(
        self,
        *,
        state: State | None = None,
        asset: str | None = None,
        owner: str | None = None,
        user: str | None = None,
        since: datetime | None = None,
    ) -> Iterator[Entry]:
        """Go through the entries in order of allocation, all or those that are as asked.

        ``since`` has a time zone; records ingested then or later.
        """
        columns = entry_table.c
        wanted = ((columns.state, state), (columns.asset, asset), (columns.owner, owner), (columns.user, user))
        conditions = [column == value for column, value in wanted if value is not None]
        if since is not None:
            conditions.append(columns.ingested_at >= format_time(since))  # such texts are in order of time

        def page(after: int) -> Sequence[Entry]:
            with transaction(self._engine) as connection:
                return _page(connection, after, *conditions)

        return _through(page)

    list = entries  # the name in 0.2.0, which callers may still use

    def counts(self) -> dict[State, int]:
        """Count the entries of each state, states without any left out."""
        by_state = select(entry_table.c.state, func.count()).group_by(entry_table.c.state)
        with transaction(self._engine) as connection:
            found = {state: count for state, count in connection.execute(by_state)}
        return {state: found[state] for state in STATES if state in found}

    def statistics(self) -> Statistics:
        """Count what the registry holds."""
        columns = entry_table.c
        row = select(
            *(func.count(func.distinct(column)) for column in (columns.asset, columns.owner, columns.user)),
            func.min(columns.ingested_at),
            func.max(columns.ingested_at),
        )
        with transaction(self._engine) as connection:
            assets, owners, users, first, last = tuple(connection.execute(row).one())
            allocated = connection.execute(select(registry_table.c.next_serial)).scalar_one()
        return Statistics(
            states=self.counts(),
            allocated=allocated,
            capacity=ID_COUNT,
            assets=assets,
            owners=owners,
            users=users,
            first=None if first is None else parse_time(first),
            last=None if last is None else parse_time(last),
        )

    def words(self) -> Words:
        """Give the words in use (pending or marked), (N,) uint32 in no particular order."""
        used = select(entry_table.c.word).where(entry_table.c.state.in_(IN_USE))
        with transaction(self._engine) as connection:
            return np.array(connection.execute(used).scalars().all(), dtype=np.uint32)

    def export(self, stream: TextIO) -> int:
        """Write everything, the secret included, as JSON Lines; returns the number of entries."""
        with transaction(self._engine) as connection:
            header = _header(connection)
            entries = _through(lambda after: _page(connection, after))
            stream.writelines(write_lines(header, entries))
        return header.count

    def import_(self, stream: TextIO, *, name: str = "import") -> int:
        """Read an export, all or nothing; returns the number of new entries.

        A registry without entries takes over the secret and thus the ids. Any other must have the
        same secret, and every entry that both have must be the same. Raise ``ImportFileError``
        with the line and what to call the file.
        """
        header, entries = read_lines(stream, name)
        with transaction(self._engine, write=True) as connection:
            present = _header(connection)
            if present.count and present.secret != header.secret:
                raise ImportFileError(
                    f"{place_of(name, 1)}: expected an export of registry {self.name}, found one of another; "
                    "import it into a new registry"
                )
            while batch := list(islice(entries, _BATCH)):
                _check_conflicts(connection, batch, name)
                new = [entry.to_row() for entry in batch if entry.serial >= present.count]
                if new:
                    connection.execute(insert(entry_table), new)
            count = max(present.count, header.count)
            merged = {"secret": header.secret.hex(), "next_serial": count}
            connection.execute(update(registry_table).values(merged))
        return count - present.count

    def _move(
        self,
        word: int,
        state: State,
        *,
        allowed: tuple[State, ...],
        details: dict[str, str | None] | None = None,
    ) -> Entry:
        """Change the state of one entry that is in one of the allowed states."""
        chosen = (
            update(entry_table)
            .where(entry_table.c.word == word, entry_table.c.state.in_(allowed))
            .values(state=state, updated_at=format_time(now()), **(details or {}))
            .returning(entry_table)
        )
        with transaction(self._engine, write=True) as connection:
            row = connection.execute(chosen).mappings().one_or_none()
            found = _find(connection, word) if row is None else Entry.from_row(row)
        if found is None:
            raise _unknown(format_link(word), self.name)
        if row is None:
            raise RegistryError(
                f"registry {self.name}: link {found.link}: expected it {' or '.join(allowed)}, "
                f"found it {found.state}; it cannot become {state}"
            )
        return found


def _find(connection: Connection, word: int) -> Entry | None:
    """Look up a word within a transaction."""
    chosen = select(entry_table).where(entry_table.c.word == word)
    row = connection.execute(chosen).mappings().one_or_none()
    return None if row is None else Entry.from_row(row)


def _page(connection: Connection, after: int, *conditions: ColumnElement[bool]) -> Sequence[Entry]:
    """Read the next entries after a serial number that fulfil all conditions."""
    chosen = select(entry_table).where(entry_table.c.serial > after, *conditions)
    rows = connection.execute(chosen.order_by(entry_table.c.serial).limit(_BATCH))
    return [Entry.from_row(row) for row in rows.mappings()]


def _through(page: Callable[[int], Sequence[Entry]]) -> Iterator[Entry]:
    """Go through all pages; none is read, and no connection held, before it is asked for."""
    after = -1
    while entries := page(after):
        yield from entries
        after = entries[-1].serial


def _header(connection: Connection) -> Header:
    """Read the secret and the number of allocated ids, locking them in a write (PostgreSQL)."""
    row = connection.execute(select(registry_table).with_for_update()).one()
    return Header(bytes.fromhex(row.secret), row.next_serial)


def _check_conflicts(connection: Connection, entries: Iterable[Entry], name: str) -> None:
    """Refuse entries that the registry holds with other contents."""
    imported = {entry.serial: entry for entry in entries}
    present = select(entry_table).where(entry_table.c.serial.between(min(imported), max(imported)))
    for row in connection.execute(present).mappings():
        entry = Entry.from_row(row)
        if entry != imported[entry.serial]:
            raise ImportFileError(
                f"{place_of(name, entry.serial + FIRST_ENTRY)}: link {entry.link}: expected the entry that is already "
                "here, found another; import into a new registry"
            )


def _unknown(link: str, name: str) -> UnknownLinkError:
    """Say that a link has no entry."""
    return UnknownLinkError(f"registry {name}: expected an entry for link {link}, found none; check the registry")
