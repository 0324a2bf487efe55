"""The registry: the records behind the short links, in SQLite or PostgreSQL.

An id is allocated before its picture is marked (``pending``), and then confirmed (``marked``) or, if marking failed,
discarded. A marked one may be withdrawn. Entries are never deleted and ids never reused; a generation has 2^21, and
labelled words have another after it. Pending and marked words are in use: a pending one may already be in a file whose
confirmation was cut off. Discarded, withdrawn and erased ones are never named by a detection. Any number of processes
may use one registry at once.

Looking something up changes nothing: registries of earlier versions are read as they are, without the right to write,
and migrated when they are first written to. Every change is in the audit log, in the same transaction.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Connection, Engine, false, func, select

from payload.codes.short_link import format_link, parse_link_parts
from payload.errors import RegistryError, UnknownLinkError
from payload.layout import Words
from payload.records.record import Record, format_time
from payload.registry import audit, changes, exchange, lookalikes, queries, reservations, schema
from payload.registry.audit import AuditLine, AuditReport, Event
from payload.registry.database import (
    connect,
    engine_name,
    locate,
    transaction,
    write_anew,
)
from payload.registry.entry import IN_USE, STATES, Entry, State, words_of
from payload.registry.export_import import Header, read_lines, write_lines
from payload.registry.generations import FIRST_GENERATION, LABELLED, SCHEME, Giving, Scheme
from payload.registry.lookalikes import Lookalike
from payload.registry.manifests import Manifests
from payload.registry.pdq import WITHIN
from payload.registry.places import ENVIRONMENT_VARIABLE, listed
from payload.registry.reservations import Reserved, Wanted
from payload.registry.schema import (
    AUDITED,
    FINGERPRINTS,
    FIRST_VERSION,
    SCHEMA_VERSION,
    entry_table,
    fingerprint_bands,
    registry_table,
)
from payload.registry.statistics import Statistics, statistics_of

_WAIT = select(registry_table.c.next_serial).with_for_update()


class Registry:
    """The records of one registry, opened by ``Registry.open``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._version = 0  # as it was last seen; it only grows
        self._namespace: bytes | None = None

    def __repr__(self) -> str:
        return f"Registry({self.name!r})"

    @property
    def name(self) -> str:
        """Name the file, or the URL without its password."""
        return engine_name(self._engine.url)

    @property
    def manifests(self) -> Manifests:
        """The manifests of content credentials that are kept beside the records."""
        return Manifests(self._engine)

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
            header = queries.read_header(connection, SCHEMA_VERSION)
            sources = set[str]() if new_link else {one.source for one in wanted if one.source}
            places = reservations.chosen(wanted, queries.find_sources(connection, sources), header.count, sources)
            return reservations.enter(connection, wanted, places, header)

    def confirm(
        self,
        word: int,
        *,
        generation: int = FIRST_GENERATION,
        phash: int | None = None,
        output: str | None = None,
        again: bool = False,
        sketch: str | None = None,
        pdq: int | None = None,
    ) -> Entry:
        """Record that the picture of a pending id was marked, with its 64-bit hash, file, sketch and fingerprint of 256
        bits (``pdq``); ``again``: it may have been marked before, with the same record."""
        seen: dict[str, Any] = {"phash": phash, "output": output, "sketch": sketch, "pdq": pdq}
        with self._writing() as connection:
            return changes.confirm(connection, word, generation, again=again, **seen)

    def discard(self, word: int, *, generation: int = FIRST_GENERATION) -> Entry:
        """Give up a pending id whose picture could not be marked; it stays pending where another run took it, too."""
        with self._writing() as connection:
            return changes.discard(connection, word, generation)

    def withdraw(self, link: str) -> Entry:
        """Take back a record: its id stays allocated, and detections no longer name it."""
        word, generation = parse_link_parts(link)
        with self._writing() as connection:
            return changes.withdraw(connection, word, generation)

    def erase(self, user: str) -> int:
        """Erase what is known of a user's pictures: asset, owner, user, file, hashes, fingerprints. The ids stay taken,
        no detection names them; the times and the audit log stay. Returns the number of entries.

        What was exported or is in manifests and reports is not touched. In SQLite the file is written anew, so that
        nothing of it is left there; in PostgreSQL that is for the server's VACUUM.
        """
        with self._writing() as connection:
            count = changes.erase(connection, user)
        if count and self._engine.dialect.name == "sqlite":
            write_anew(self._engine)
        return count

    def log_look_up(self, word: int, *, generation: int = FIRST_GENERATION) -> None:
        """Enter in the audit log that an entry was looked up, for houses that have to account for that."""
        with self._writing() as connection:
            audit.append(connection, "looked-up", serial=queries.found(connection, word, generation).serial)

    def link_of(self, serial: int) -> str:
        """The link of a serial number; of one that is not allocated as if it were of the current generation."""
        with transaction(self._engine) as connection:
            version = self._seen(connection)
            found = queries.page(connection, serial - 1, version, entry_table.c.serial == serial)
            if found:
                return found[0].link
            header = queries.read_header(connection, version)
        (word,) = words_of(header.secret, serial - header.giving.first, 1)
        return format_link(word, header.giving.generation)

    def audit(self) -> Iterator[AuditLine]:
        """Go through the audit log; nothing in a registry of an earlier version that was not written to since."""
        after = 0
        while True:
            with transaction(self._engine) as connection:
                found = audit.lines(connection, after) if self._seen(connection) >= AUDITED else []
            if not found:
                return
            yield from found
            after = found[-1].number

    def verify_audit(self, *, head: str | None = None) -> AuditReport:
        """Check that no line of the audit log was cut or changed, and no record that it vouches for; ``head``: a hash
        that was the last one earlier, and has to be there still."""
        with transaction(self._engine, snapshot=True) as connection:
            if self._seen(connection) < AUDITED:
                raise RegistryError("expected an audit log, found a registry of an earlier version; write to it first")
            return audit.verify(connection, head=head)

    @property
    def namespace(self) -> bytes:
        """The 64 bits that tell this registry from all others."""
        if self._namespace is None:
            with transaction(self._engine) as connection:
                self._namespace = queries.read_header(connection, FIRST_VERSION).namespace
        return self._namespace

    @property
    def giving(self) -> Giving:
        """What the next words are: scheme and generation."""
        with transaction(self._engine) as connection:
            return queries.read_header(connection, self._seen(connection)).giving

    def give(self, scheme: Scheme) -> Giving:
        """Give out words of a scheme from now on; those that were given out stay what they are."""
        return self._give(lambda header: header.giving.changed_to(scheme), "scheme")

    def open_generation(self) -> Giving:
        """Give out labelled words of the next generation from now on, though this one is not used up."""
        return self._give(lambda header: header.giving.following(header.count), "generation")

    def _give(self, change: Callable[[Header], Giving], event: Event) -> Giving:
        with self._writing() as connection:
            header = queries.read_header(connection, SCHEMA_VERSION)
            new = change(header)
            if new != header.giving:
                reservations.set_giving(connection, new)
                audit.append(connection, event, count=0)
        return new

    def find(self, word: int, *, generation: int = FIRST_GENERATION) -> Entry | None:
        """Look up a link word of a generation, whatever the state and scheme of its entry."""
        with transaction(self._engine) as connection:
            return queries.find(connection, word, generation, self._seen(connection))

    def find_link(self, link: str) -> Entry | None:
        """Look up a short link, whatever the state of its entry; raises ``ValueError`` for what is none."""
        word, generation = parse_link_parts(link)
        return self.find(word, generation=generation)

    def show(self, link: str) -> Entry:
        """Look up a short link, whatever the state of its entry."""
        entry = self.find_link(link)
        if entry is None:
            raise UnknownLinkError(f"registry {self.name}: {queries.unknown(link)}")
        return entry

    def similar(self, pdqs: Sequence[int], *, most: int, within: int = WITHIN) -> builtins.list[Lookalike]:
        """The marked pictures, ``most`` of them, whose fingerprints differ in ``within`` bits at most from one of those
        given, the nearest first; none in a registry of an earlier version, which has no fingerprints."""
        with transaction(self._engine) as connection:
            if self._seen(connection) < FINGERPRINTS:
                return []
            return lookalikes.nearest(connection, pdqs, within=within, most=most)

    @property
    def fingerprints(self) -> int:
        """How many pictures ``similar`` compares with; goes through their index, a tenth of a second for a million."""
        with transaction(self._engine) as connection:
            return fingerprint_bands.count(connection) if self._seen(connection) >= FINGERPRINTS else 0

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
                return queries.page(connection, after, self._seen(connection), *conditions)

        return queries.through(page)

    def of_asset(self, asset: str, owner: str, *, most: int) -> tuple[builtins.list[Entry], int]:
        """Give the newest entries of an asset of one owner, the newest first, and how many there are in all; ids that
        were given up, or whose user's data were erased, are none of them.
        """
        columns = entry_table.c
        own = (columns.asset == asset, columns.owner == owner, columns.state.in_((*IN_USE, "withdrawn")))
        with transaction(self._engine, snapshot=True) as connection:
            found = queries.latest(connection, self._seen(connection), most, *own)
            count: int = connection.execute(select(func.count()).select_from(entry_table).where(*own)).scalar_one()
        return [*found], count

    list = entries  # the name in 0.2.0, which callers may still use

    def counts(self) -> dict[State, int]:
        """Count the entries of each state, states without any left out."""
        by_state = select(entry_table.c.state, func.count()).group_by(entry_table.c.state)
        with transaction(self._engine) as connection:
            found = {state: count for state, count in connection.execute(by_state)}
        return {state: found[state] for state in STATES if state in found}

    def statistics(self) -> Statistics:
        """Count what the registry holds."""
        with transaction(self._engine) as connection:
            header = queries.read_header(connection, self._seen(connection))
            return statistics_of(connection, header, self.counts())

    def words(self, *, labelled: int | None = None) -> Words:
        """Give the words in use (pending or marked), (N,) uint32 in no particular order: those that marks carry without
        a label, or the ``labelled`` ones of a generation."""
        used = entry_table.c.state.in_(IN_USE)
        with transaction(self._engine, snapshot=True) as connection:
            if self._seen(connection) < AUDITED:
                return queries.words(connection, None, used, *(() if labelled is None else (false(),)))
            own = SCHEME if labelled is None else LABELLED
            return queries.words(connection, labelled or 0, used, entry_table.c.scheme == own)

    def export(self, stream: TextIO) -> int:
        """Write everything, the secret included, as JSON Lines; returns the number of entries."""
        with transaction(self._engine, snapshot=True) as connection:
            version = self._seen(connection)
            header = queries.read_header(connection, version)
            entries = queries.through(lambda after: queries.page(connection, after, version))
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
            count = exchange.take_in(connection, header, entries, registry=self.name, name=name)
        self._namespace = None  # an import brings its own
        return count

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction on a registry of this version, to which an earlier one is brought first."""
        with transaction(self._engine, write=True) as connection:
            if self._version < SCHEMA_VERSION:
                audit.prepare(connection, create=False)
            # PostgreSQL: writers wait here, as they do in SQLite, or they would wait for one another at the audit log
            if connection.dialect.name == "postgresql":
                connection.execute(_WAIT)
            yield connection
        self._version = SCHEMA_VERSION

    def _seen(self, connection: Connection) -> int:
        """The version of the tables, asked for until it is this one: another process may migrate them."""
        if self._version < SCHEMA_VERSION:
            self._version = schema.check_version(schema.version_of(connection))
        return self._version
