"""The registry: the records behind the short links, in SQLite or PostgreSQL.

An id is allocated before its picture is marked (``pending``), and then confirmed (``marked``) or, if
marking failed, discarded. A marked one may be withdrawn. Entries are never deleted and ids never
reused; the 2^21st allocation is the last. Pending and marked words are in use: a pending one may
already be in a file whose confirmation was cut off. Discarded, withdrawn and erased ones are never named by
a detection. Any number of processes may use one registry at once.

Looking something up changes nothing: registries of earlier versions are read as they are, without the right to write,
and migrated when they are first written to. Every change is in the audit log, in the same transaction.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, Select, bindparam, case, func, insert, select, update

from payload.codes.short_link import format_link, parse_link
from payload.errors import ImportFileError, RegistryError, RegistryFullError, UnknownLinkError
from payload.layout import ID_COUNT, Words
from payload.records.record import Record, format_time, now, parse_time
from payload.registry import audit, schema
from payload.registry.audit import AuditLine, AuditReport
from payload.registry.database import (
    ENVIRONMENT_VARIABLE,
    connect,
    engine_name,
    listed,
    locate,
    transaction,
    write_anew,
)
from payload.registry.entry import ERASED, IN_USE, STATES, Entry, State, hash_text, words_of
from payload.registry.export_import import FIRST_ENTRY, Header, place_of, read_lines, write_lines
from payload.registry.schema import SCHEMA_VERSION, entry_columns, entry_table, registry_table
from payload.registry.statistics import Statistics

_BATCH = 1000  # entries that are read or written at a time


@dataclass(frozen=True)
class Wanted:
    """A link that is wanted for a record. ``source``: SHA-256 of the file that is to be marked, in hexadecimal digits,
    None where it is not known; ``timed``: the record's time was given, so that only one of the same time will do."""

    record: Record
    source: str | None = None
    timed: bool = False


@dataclass(frozen=True)
class Reserved:
    """The entry that was reserved; ``reused``: it is that of an earlier mark of the same source for the same record."""

    entry: Entry
    reused: bool


class Registry:
    """The records of one registry, opened by ``Registry.open``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._version = 0  # as it was last seen; it only grows
        self._secret: bytes | None = None

    def __repr__(self) -> str:
        return f"Registry({self.name!r})"

    @property
    def name(self) -> str:
        """Name the file, or the URL without its password."""
        return engine_name(self._engine.url)

    @classmethod
    def open(cls, url: str | None = None, *, create: bool = True) -> Registry:
        """Open the registry at a file path or URL, created first if it is new and that is allowed.

        None is the environment variable WAM_REGISTRY, the first of those that it lists, or else a file in the user's
        data directory.
        """
        return cls(connect(locate(url), create=create))

    @classmethod
    def open_listed(cls, urls: Sequence[str] | None = None) -> builtins.list[Registry]:
        """Open registries to read them, in order: those given, or those that WAM_REGISTRY lists, separated by ``|``,
        or the user's own, if it was ever made."""
        found = (cls.open_if_made(url) for url in listed(urls))
        return [registry for registry in found if registry is not None]

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
        (reserved,) = self.reserve([Wanted(record)])
        return reserved.entry

    def reserve(self, wanted: Sequence[Wanted], *, new_link: bool = False) -> list[Reserved]:
        """Reserve an id for each record, all or none: that of an earlier mark of the same source for the same record
        where it is in use, or else the next one, in state ``pending``. ``new_link``: the next one in any case.

        What others took in the meantime is never given up: of an id that several runs reserved, only the last may be
        discarded.
        """
        with self._writing() as connection:
            header = _header(connection)
            sources = set[str]() if new_link else {one.source for one in wanted if one.source}
            known = _find_sources(connection, sources)
            reserved: list[Reserved] = []
            count = 0
            for one in wanted:
                earlier = next((entry for entry in known.get(one.source or "", ()) if _goes_for(entry, one)), None)
                if earlier is not None:
                    reserved.append(Reserved(earlier, True))
                    continue
                serial, count = header.count + count, count + 1
                if serial >= ID_COUNT:
                    raise RegistryFullError(
                        f"expected a free id, found all {ID_COUNT} allocated; start another registry"
                        if header.count >= ID_COUNT
                        else f"expected {len(wanted)} free ids, found {ID_COUNT - header.count}; take fewer at a time"
                    )
                entry = Entry(serial, 0, one.record, source=one.source)
                reserved.append(Reserved(entry, False))
                if one.source in sources:  # the same picture may come twice in one run
                    known.setdefault(one.source or "", []).append(entry)
            return _enter(connection, reserved, words_of(header.secret, header.count, count), header.count)

    def confirm(
        self,
        word: int,
        *,
        phash: int | None = None,
        output: str | None = None,
        again: bool = False,
        sketch: str | None = None,
    ) -> Entry:
        """Record that the picture of a pending id was marked, with its 64-bit hash, file and sketch; ``again``: it may
        have been marked before, with the same record."""
        # A file name that is not UTF-8 must not cost the record of a picture already written.
        named = output and output.encode("utf-8", "backslashreplace").decode("utf-8")
        details = {"phash": hash_text(phash), "output": named, "sketch": sketch}
        return self._move(word, "marked", allowed=IN_USE if again else ("pending",), details=details)

    def discard(self, word: int) -> Entry:
        """Give up a pending id whose picture could not be marked; it stays pending where another run took it, too."""
        shared = (entry_table.c.state == "pending") & (entry_table.c.claims > 1)
        less = update(entry_table).where(_is_word(word), shared).values(claims=entry_table.c.claims - 1)
        with self._writing() as connection:
            if connection.execute(less).rowcount:
                return _found(_find(connection, word, SCHEMA_VERSION), word, self.name)
        return self._move(word, "discarded", allowed=("pending",))

    def withdraw(self, link: str) -> Entry:
        """Take back a record: its id stays allocated, and detections no longer name it."""
        return self._move(parse_link(link), "withdrawn", allowed=IN_USE)

    def erase(self, user: str) -> int:
        """Erase what is known of a user's pictures: asset, owner, user, file, hashes. The ids stay taken, no detection
        names them; the times and the audit log stay. Returns the number of entries.

        What was exported or is in manifests and reports is not touched. In SQLite the file is written anew, so that
        nothing of it is left there; in PostgreSQL that is for the server's VACUUM.
        """
        columns = entry_table.c
        gone = {
            "state": "erased", "asset": ERASED, "owner": ERASED, "user": None, "phash": None, "output": None,
            "source": None, "sketch": None, "updated_at": format_time(now()),
        }  # fmt: skip
        with self._writing() as connection:
            serials = [*connection.execute(select(columns.serial).where(columns.user == user)).scalars()]
            connection.execute(update(entry_table).where(columns.user == user).values(gone))
            audit.forget(connection, serials)
            audit.append_all(connection, [{"event": "erased", "serial": serial, "count": 1} for serial in serials])
        if serials and self._engine.dialect.name == "sqlite":
            write_anew(self._engine)
        return len(serials)

    def log_look_up(self, word: int) -> None:
        """Enter in the audit log that an entry was looked up, for houses that have to account for that."""
        with self._writing() as connection:
            entry = _found(_find(connection, word, SCHEMA_VERSION), word, self.name)
            audit.append(connection, "looked-up", serial=entry.serial)

    def link_of(self, serial: int) -> str:
        """The link of a serial number, whether it is allocated or not."""
        if self._secret is None:
            with transaction(self._engine) as connection:
                self._secret = _header(connection).secret
        return format_link(words_of(self._secret, serial, 1)[0])

    def audit(self) -> Iterator[AuditLine]:
        """Go through the audit log; nothing in a registry of an earlier version that was not written to since."""
        after = 0
        while True:
            with transaction(self._engine) as connection:
                found = audit.lines(connection, after) if self._seen(connection) == SCHEMA_VERSION else []
            if not found:
                return
            yield from found
            after = found[-1].number

    def verify_audit(self, *, head: str | None = None) -> AuditReport:
        """Check that no line of the audit log was cut or changed, and no record that it vouches for; ``head``: a hash
        that was the last one earlier, and has to be there still."""
        with transaction(self._engine, snapshot=True) as connection:
            if self._seen(connection) < SCHEMA_VERSION:
                raise RegistryError("expected an audit log, found a registry of an earlier version; write to it first")
            return audit.verify(connection, head=head)

    @property
    def namespace(self) -> bytes:
        """The 64 bits that tell this registry from all others."""
        with transaction(self._engine) as connection:
            return _header(connection).namespace

    def find(self, word: int) -> Entry | None:
        """Look up a link word, whatever the state of its entry."""
        with transaction(self._engine) as connection:
            return _find(connection, word, self._seen(connection))

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
                return _page(connection, after, self._seen(connection), *conditions)

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
            rows = connection.execution_options(yield_per=_BATCH).execute(used)
            return np.fromiter((word for (word,) in rows), dtype=np.uint32)

    def export(self, stream: TextIO) -> int:
        """Write everything, the secret included, as JSON Lines; returns the number of entries."""
        with transaction(self._engine, snapshot=True) as connection:
            header, version = _header(connection), self._seen(connection)
            entries = _through(lambda after: _page(connection, after, version))
            stream.writelines(write_lines(header, entries))
        return header.count

    def import_(self, stream: TextIO, *, name: str = "import") -> int:
        """Read an export, all or nothing; returns the number of new entries.

        A registry without entries takes over the secret and thus the ids. Any other must have the
        same secret, and every entry that both have must be the same. Raise ``ImportFileError``
        with the line and what to call the file.
        """
        header, entries = read_lines(stream, name)
        with self._writing() as connection:
            present = _header(connection)
            if present.count and present.secret != header.secret:
                raise ImportFileError(
                    f"{place_of(name, 1)}: expected an export of registry {self.name}, found one of another; "
                    "import it into a new registry"
                )
            while batch := list(islice(entries, _BATCH)):
                if batch[0].serial < present.count:
                    _check_conflicts(connection, batch, name, header.version)
                new = [entry.to_row() for entry in batch if entry.serial >= present.count]
                if new:
                    connection.execute(insert(entry_table), new)
            count = max(present.count, header.count)
            merged = {"secret": header.secret.hex(), "next_serial": count, "namespace": header.namespace.hex()}
            connection.execute(update(registry_table).values(merged))
            audit.append_entries(connection, "imported", present.count, count - present.count)
        self._secret = None  # an import brings its own
        return count - present.count

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction on a registry of this version, to which an earlier one is brought first."""
        with transaction(self._engine, write=True) as connection:
            if self._version < SCHEMA_VERSION:
                audit.prepare(connection, create=False)
            # PostgreSQL: writers wait here, as they do in SQLite, or they would wait for one another at the audit log
            connection.execute(select(registry_table.c.next_serial).with_for_update())
            yield connection
        self._version = SCHEMA_VERSION

    def _seen(self, connection: Connection) -> int:
        """The version of the tables, asked for until it is this one: another process may migrate them."""
        if self._version < SCHEMA_VERSION:
            self._version = schema.check_version(schema.version_of(connection))
        return self._version

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
            .where(_is_word(word), entry_table.c.state.in_(allowed))
            .values(state=state, updated_at=format_time(now()), **(details or {}))
            .returning(*entry_columns(SCHEMA_VERSION))
        )
        with self._writing() as connection:
            row = connection.execute(chosen).mappings().one_or_none()
            entry = _find(connection, word, SCHEMA_VERSION) if row is None else Entry.from_row(row)
            if row is not None and entry is not None:
                audit.append(connection, _EVENTS[state], serial=entry.serial)
        found = _found(entry, word, self.name)
        if row is None:
            raise RegistryError(
                f"registry {self.name}: link {found.link}: expected it {' or '.join(allowed)}, "
                f"found it {found.state}; it cannot become {state}"
            )
        return found


_EVENTS: Mapping[State, audit.Event] = {"marked": "marked", "discarded": "discarded", "withdrawn": "withdrawn"}


def _is_word(word: int) -> ColumnElement[bool]:
    """The entry of a word; all are of the first generation so far."""
    return (entry_table.c.generation == schema.FIRST_GENERATION) & (entry_table.c.word == word)


def _find(connection: Connection, word: int, version: int) -> Entry | None:
    """Look up a word within a transaction."""
    row = connection.execute(_by_word(version), {"sought": word}).mappings().one_or_none()
    return None if row is None else Entry.from_row(row)


@lru_cache(maxsize=SCHEMA_VERSION)  # making the statement takes as long as carrying it out
def _by_word(version: int) -> Select[Any]:
    """What looks up the word ``sought``."""
    sought = entry_table.c.word == bindparam("sought")
    if version == SCHEMA_VERSION:
        sought = (entry_table.c.generation == schema.FIRST_GENERATION) & sought
    return select(*entry_columns(version)).where(sought)


def _find_sources(connection: Connection, sources: set[str]) -> dict[str, list[Entry]]:
    """The entries in use of some sources, those that are marked first, the latest first among them."""
    found: dict[str, list[Entry]] = {}
    columns = entry_table.c
    ordered, remaining = [case((columns.state == "marked", 0), else_=1), columns.serial.desc()], sorted(sources)
    while remaining:
        chosen, remaining = remaining[:_BATCH], remaining[_BATCH:]
        in_use = select(*entry_columns(SCHEMA_VERSION)).where(columns.source.in_(chosen), columns.state.in_(IN_USE))
        for row in connection.execute(in_use.order_by(*ordered)).mappings():
            found.setdefault(row["source"], []).append(Entry.from_row(row))
    return found


def _goes_for(entry: Entry, wanted: Wanted) -> bool:
    """Whether an entry of the same source is of the record that is wanted."""
    return _same_record(entry.record, wanted.record, timed=wanted.timed)


def _same_record(one: Record, other: Record, *, timed: bool) -> bool:
    same = (one.asset, one.owner, one.user) == (other.asset, other.owner, other.user)
    return same and (not timed or one.ingested_at == other.ingested_at)


def _enter(connection: Connection, reserved: Sequence[Reserved], words: Sequence[int], first: int) -> list[Reserved]:
    """Write what was reserved: new entries, with their words from serial ``first`` on, and which are taken again."""
    entries = [one.entry if one.entry.serial < first else replace(one.entry, word=words[one.entry.serial - first])
               for one in reserved]  # fmt: skip
    new = [entry for entry, one in zip(entries, reserved, strict=True) if not one.reused]
    if new:
        rows = [entry.to_row() for entry in new]
        connection.execute(insert(entry_table), rows)
        connection.execute(update(registry_table).values(next_serial=first + len(new)))
        audit.append_entries(connection, "allocated", first, len(new), rows)
    again = [entry.serial for entry, one in zip(entries, reserved, strict=True) if one.reused]
    for serial in again:
        more = update(entry_table).where(entry_table.c.serial == serial, entry_table.c.state == "pending")
        connection.execute(more.values(claims=entry_table.c.claims + 1))
    audit.append_all(connection, [{"event": "reused", "serial": serial, "count": 1} for serial in again])
    return [Reserved(entry, one.reused) for entry, one in zip(entries, reserved, strict=True)]


def _page(connection: Connection, after: int, version: int, *conditions: ColumnElement[bool]) -> Sequence[Entry]:
    """Read the next entries after a serial number that fulfil all conditions."""
    chosen = select(*entry_columns(version)).where(entry_table.c.serial > after, *conditions)
    rows = connection.execute(chosen.order_by(entry_table.c.serial).limit(_BATCH))
    return [Entry.from_row(row) for row in rows.mappings().all()]


def _through(page: Callable[[int], Sequence[Entry]]) -> Iterator[Entry]:
    """Go through all pages; none is read, and no connection held, before it is asked for."""
    after = -1
    while entries := page(after):
        yield from entries
        if len(entries) < _BATCH:
            return
        after = entries[-1].serial


def _header(connection: Connection) -> Header:
    """Read the secret and the number of allocated ids."""
    row = connection.execute(select(registry_table.c.secret, registry_table.c.next_serial)).one()
    return Header(bytes.fromhex(row.secret), row.next_serial)


def _check_conflicts(connection: Connection, entries: Iterable[Entry], name: str, version: int) -> None:
    """Refuse entries that the registry holds with other contents; ``version`` of the export, the first had no
    sources."""
    imported = {entry.serial: entry for entry in entries}
    present = select(*entry_columns(SCHEMA_VERSION)).where(entry_table.c.serial.between(min(imported), max(imported)))
    for row in connection.execute(present).mappings():
        entry = Entry.from_row(row)
        if (replace(entry, source=None) if version == 1 else entry) != imported[entry.serial]:
            raise ImportFileError(
                f"{place_of(name, entry.serial + FIRST_ENTRY)}: link {entry.link}: expected the entry that is already "
                "here, found another; import into a new registry"
            )


def _found(entry: Entry | None, word: int, name: str) -> Entry:
    """The entry of a word; raise that it has none."""
    if entry is None:
        raise _unknown(format_link(word), name)
    return entry


def _unknown(link: str, name: str) -> UnknownLinkError:
    """Say that a link has no entry."""
    return UnknownLinkError(f"registry {name}: expected an entry for link {link}, found none; check the registry")
