"""Reserving ids: what is wanted, what a new or an earlier entry is given for it, and how that is written."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from sqlalchemy import Connection, insert, update

from payload.records.record import Record
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


@dataclass(frozen=True)
class Reserved:
    """The entry that was reserved; ``reused``: it is that of an earlier mark of the same source for the same record."""

    entry: Entry
    reused: bool


def chosen(wanted: Sequence[Wanted], known: dict[str, list[Entry]], first: int, sources: Set[str]) -> list[Reserved]:
    """An earlier entry for each that is wanted, of the ``known`` ones by their sources, or a new one without a word,
    from serial ``first`` on; ``sources``: those that are not given a link twice."""
    reserved: list[Reserved] = []
    serial = first
    for one in wanted:
        earlier = next((entry for entry in known.get(one.source or "", ()) if _goes_for(entry, one)), None)
        if earlier is not None:
            reserved.append(Reserved(earlier, True))
            continue
        entry = Entry(serial, 0, one.record, source=one.source)
        serial += 1
        reserved.append(Reserved(entry, False))
        if one.source in sources:  # the same picture may come twice in one run
            known.setdefault(one.source or "", []).append(entry)
    return reserved


def _goes_for(entry: Entry, wanted: Wanted) -> bool:
    """Whether an entry of the same source is of the record that is wanted."""
    return _same_record(entry.record, wanted.record, timed=wanted.timed)


def _same_record(one: Record, other: Record, *, timed: bool) -> bool:
    same = (one.asset, one.owner, one.user) == (other.asset, other.owner, other.user)
    return same and (not timed or one.ingested_at == other.ingested_at)


def enter(connection: Connection, reserved: Sequence[Reserved], header: Header) -> list[Reserved]:
    """Write what was reserved: new entries, with their words, and which are taken again."""
    given: dict[int, Entry] = {}
    giving = header.giving
    blank = {one.entry.serial: one.entry for one in reserved if one.entry.serial >= header.count}
    count = len(blank)
    for giving, serial, run in header.giving.runs(header.count, count):
        words = words_of(header.secret, serial - giving.first, run)
        for number, word in enumerate(words, start=serial):
            given[number] = replace(blank[number], word=word, generation=giving.generation, scheme=giving.scheme)
    if given:
        rows = [given[serial].to_row() for serial in sorted(given)]
        connection.execute(insert(entry_table), rows)
        connection.execute(update(registry_table).values(next_serial=header.count + count))
        if giving != header.giving:
            set_giving(connection, giving)
            audit.append(connection, "generation", count=0)
        audit.append_entries(connection, "allocated", header.count, count, rows)
    again = [one.entry.serial for one in reserved if one.reused]
    for serial in again:
        more = update(entry_table).where(entry_table.c.serial == serial, entry_table.c.state == "pending")
        connection.execute(more.values(claims=entry_table.c.claims + 1))
    audit.append_all(connection, [{"event": "reused", "serial": serial, "count": 1} for serial in again])
    return [Reserved(given.get(one.entry.serial, one.entry), one.reused) for one in reserved]


def set_giving(connection: Connection, giving: Giving) -> None:
    """Write what the next words are."""
    values = {"scheme": giving.scheme, "generation": giving.generation, "generation_first": giving.first}
    connection.execute(update(registry_table).values(values | {"labelled_from": giving.labelled_from}))
