"""Reserving ids: what is wanted, what a new or an earlier entry is given for it, and how that is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, update

from payload.records.record import Record, now
from payload.registry import audit
from payload.registry.entry import Entry, words_of
from payload.registry.export_import import Header
from payload.registry.generations import Giving
from payload.registry.schema import entry_table, registry_table


@dataclass(frozen=True)
class Wanted:
    """A link that is wanted for a record. ``source``: SHA-256 of the file that is to be marked, in hexadecimal digits,
    None where it is not known; ``timed``: the record's time was given, so that only one of the same time will do."""

    record: Record
    source: str | None = None
    timed: bool = False

    def met_by(self, record: Record) -> bool:
        """Whether an earlier entry of the same source, with this record, will do."""
        own = self.record
        same = (record.asset, record.owner, record.user) == (own.asset, own.owner, own.user)
        return same and (not self.timed or record.ingested_at == own.ingested_at)


@dataclass(frozen=True)
class Reserved:
    """The entry that was reserved; ``reused``: it is that of an earlier mark of the same source for the same record."""

    entry: Entry
    reused: bool


def chosen(
    wanted: Sequence[Wanted], known: Mapping[str, Sequence[Entry]], first: int, sources: Set[str]
) -> list[Entry | int]:
    """An earlier entry for each that is wanted, of the ``known`` ones by their sources, or the serial number of a new
    one, from ``first`` on; ``sources``: those that are not given a link twice."""
    found: list[Entry | int] = []
    here: dict[str, list[tuple[Record, int]]] = {}  # the same picture may come twice in one run
    serial = first
    for one in wanted:
        source = one.source or ""
        earlier: Entry | int | None = next((entry for entry in known.get(source, ()) if one.met_by(entry.record)), None)
        if earlier is None:
            earlier = next((number for record, number in here.get(source, ()) if one.met_by(record)), None)
        if earlier is None:
            if one.source in sources:
                here.setdefault(source, []).append((one.record, serial))
            earlier, serial = serial, serial + 1
        found.append(earlier)
    return found


def enter(
    connection: Connection, wanted: Sequence[Wanted], places: Sequence[Entry | int], header: Header
) -> list[Reserved]:
    """Write what was ``chosen``: new entries, with their words, and which are taken again."""
    blank: dict[int, Wanted] = {}
    for place, one in zip(places, wanted, strict=True):
        if isinstance(place, int):
            blank.setdefault(place, one)
    given, giving = _entries(blank, header)
    if given:
        rows = [entry.to_row() for entry in given.values()]
        connection.execute(insert(entry_table), rows)
        connection.execute(update(registry_table).values(next_serial=header.count + len(given)))
        if giving != header.giving:
            set_giving(connection, giving)
            audit.append(connection, "generation", count=0)
        audit.append_entries(connection, "allocated", header.count, len(given), rows)
    reserved, fresh = list[Reserved](), set[int]()
    for place in places:
        entry = given[place] if isinstance(place, int) else place
        reserved.append(Reserved(entry, entry.serial not in given or entry.serial in fresh))
        fresh.add(entry.serial)
    again = [one.entry.serial for one in reserved if one.reused]
    for serial in again:
        more = update(entry_table).where(entry_table.c.serial == serial, entry_table.c.state == "pending")
        connection.execute(more.values(claims=entry_table.c.claims + 1))
    audit.append_all(connection, [{"event": "reused", "serial": serial, "count": 1} for serial in again])
    return reserved


def _entries(blank: Mapping[int, Wanted], header: Header) -> tuple[dict[int, Entry], Giving]:
    """New entries with their words, in order, and what is given out after them."""
    given, giving, at = dict[int, Entry](), header.giving, now()
    for giving, first, run in header.giving.runs(header.count, len(blank)):
        words = words_of(header.secret, first - giving.first, run)
        its: dict[str, Any] = {"generation": giving.generation, "scheme": giving.scheme, "updated_at": at}
        for serial, word in enumerate(words, start=first):
            one = blank[serial]
            given[serial] = Entry(serial, word, one.record, source=one.source, **its)
    return given, giving


def set_giving(connection: Connection, giving: Giving) -> None:
    """Write what the next words are."""
    values = {"scheme": giving.scheme, "generation": giving.generation, "generation_first": giving.first}
    connection.execute(update(registry_table).values(values | {"labelled_from": giving.labelled_from}))
