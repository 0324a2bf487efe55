"""The audit log: what was done in a registry, when and by whom, each line chained to the one before by a hash.

A line holds no personal data, so that erasing a user's leaves the chain whole. What was allocated is in it by a salted
hash of the records, which can be checked as long as the records are there; the salt goes with the first of them that
is erased, so that nobody can try out whose they were.

hash    SHA-256 of the JSON list [hash before, number, at, actor, event, serial, count, digest], ASCII, no blanks
digest  SHA-256 of the salt and, for each entry, the JSON list [serial, generation, word, asset, owner, user,
        ingested_at] with a line end

Whoever can write to the database can also make the whole chain anew: its last hash, kept elsewhere, tells.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, insert, select, update

from payload.records.record import format_time, now
from payload.registry import schema
from payload.registry.schema import audit_table, entry_table, registry_table

ACTOR_VARIABLE = "WAM_ACTOR"  # names who acts; default: user@machine

Event = Literal[
    "created",
    "migrated",
    "allocated",
    "reused",
    "marked",
    "discarded",
    "withdrawn",
    "imported",
    "erased",
    "looked-up",
    "scheme",
    "generation",
]

_BATCH = 1000
_SALT_BYTES = 16
_CHAINED = ("number", "at", "actor", "event", "serial", "count", "digest")
_COMMITTED = ("serial", "generation", "word", "asset", "owner", "user", "ingested_at")
_LIST = json.JSONEncoder(separators=(",", ":"))
# Made once: a confirmation takes less time to carry them out than to make them.
_STATE = select(registry_table.c.audit_count, registry_table.c.audit_head)
_ENTER = insert(audit_table)
_LAST = update(registry_table).values(audit_count=bindparam("number"), audit_head=bindparam("head"))


@dataclass(frozen=True)
class AuditLine:
    """One thing that was done: to the entry ``serial`` and ``count`` - 1 that follow, or to the registry as a whole."""

    number: int
    at: str
    actor: str
    event: Event
    serial: int | None
    count: int
    digest: str | None
    hash: str

    def to_dict(self) -> dict[str, Any]:
        """Give the line as a JSON object."""
        return {name: getattr(self, name) for name in (*_CHAINED, "hash")}


@dataclass(frozen=True)
class AuditReport:
    """What checking the log came to: how many ``lines``, the last one's hash as ``head``, and the first ``problem``."""

    lines: int
    head: str
    problem: str | None = None


def prepare(connection: Connection, *, create: bool) -> None:
    """Create or migrate the tables, as ``schema.prepare``, and log it."""
    done = schema.prepare(connection, create=create)
    if done == "created":
        append(connection, "created", count=0)
    elif done == "migrated":
        count = connection.execute(select(registry_table.c.next_serial)).scalar_one()
        append_entries(connection, "migrated", 0, count)


def append(connection: Connection, event: Event, *, serial: int | None = None, count: int = 1) -> None:
    """Add a line within the transaction that it tells of."""
    append_all(connection, [{"event": event, "serial": serial, "count": count}])


def append_entries(
    connection: Connection, event: Event, first: int, count: int, rows: Iterable[Mapping[Any, Any]] | None = None
) -> None:
    """Add a line that vouches for the records of ``count`` entries from serial ``first`` on; their ``rows``, where they
    are at hand."""
    if not count:
        append(connection, event, count=0)
        return
    salt = secrets.token_hex(_SALT_BYTES)
    digest = _digest(salt, _rows(connection, first, count) if rows is None else rows)
    append_all(connection, [{"event": event, "serial": first, "count": count, "salt": salt, "digest": digest}])


def append_all(connection: Connection, lines: Sequence[dict[str, Any]]) -> None:
    """Add several lines: ``event``, ``serial``, ``count``, and where they vouch for records ``salt`` and ``digest``.

    The row of the registry has to be locked by this transaction."""
    if not lines:
        return
    number, head = connection.execute(_STATE).one()
    at, by = format_time(now()), actor()
    values = []
    for line in lines:
        number += 1
        line = {"number": number, "at": at, "actor": by, "salt": None, "digest": None, **line}
        head = line["hash"] = _hash(head, line)
        values.append(line)
    connection.execute(_ENTER, values)
    connection.execute(_LAST, {"number": number, "head": head})


def lines(connection: Connection, after: int) -> list[AuditLine]:
    """Some of the lines after a number, in order; none after the last."""
    return [AuditLine(**{n: row[n] for n in (*_CHAINED, "hash")}) for row in _page(connection, after)]


def verify(connection: Connection, *, head: str | None = None) -> AuditReport:
    """Check all lines, with the records that they vouch for; ``head``: a hash that was the last one earlier."""
    count, last = connection.execute(_STATE).one()
    before, number, seen = "", 0, head is None
    for row in _all_rows(connection):
        expected, number = number + 1, row["number"]
        if number != expected:
            return AuditReport(expected - 1, before, f"line {expected}: expected it, found line {number}")
        if row["hash"] != _hash(before, row):
            return AuditReport(number - 1, before, f"line {number}: expected the hash of its content, found another")
        before = row["hash"]
        seen = seen or before == head
        problem = _check_records(connection, row)
        if problem is not None:
            return AuditReport(number, before, f"line {number}: {problem}")
    if number != count or before != last:
        return AuditReport(number, before, f"line {count}: expected it to be the last, found {number} lines")
    if not seen:
        return AuditReport(number, before, f"expected a line with the hash {head}, found none")
    return AuditReport(number, before)


def forget(connection: Connection, serials: Sequence[int]) -> None:
    """Take away the salt of all lines that vouch for one of these entries."""
    for first, last in _ranges(serials):
        covers = (audit_table.c.serial <= last) & (audit_table.c.serial + audit_table.c.count > first)
        connection.execute(update(audit_table).where(covers, audit_table.c.salt.is_not(None)).values(salt=None))


@lru_cache(maxsize=1)
def _user_at_machine() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such account, in a container say
        user = f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"


def actor() -> str:
    """Who acts: ``WAM_ACTOR``, or else user and machine."""
    named = os.environ.get(ACTOR_VARIABLE, "").strip()
    text = named or _user_at_machine()
    return "".join(character if character.isprintable() else "?" for character in text)[:256]


def _hash(before: str, line: Mapping[Any, Any]) -> str:
    values = [before, *(line[name] for name in _CHAINED)]
    return sha256(_LIST.encode(values).encode()).hexdigest()


def _digest(salt: str, rows: Iterable[Mapping[Any, Any]]) -> str:
    found = sha256(bytes.fromhex(salt))
    for row in rows:
        values = [row[name] for name in _COMMITTED]
        found.update(_LIST.encode(values).encode() + b"\n")
    return found.hexdigest()


def _check_records(connection: Connection, row: Mapping[Any, Any]) -> str | None:
    """Why the records that a line vouches for are not those that it was written with; None where they are, or are
    erased."""
    if row["digest"] is None or row["salt"] is None:
        return None
    first, count = row["serial"], row["count"]
    if _digest(row["salt"], _rows(connection, first, count)) == row["digest"]:
        return None
    return f"expected the records of serials {first} to {first + count - 1} as they were, found others"


def _rows(connection: Connection, first: int, count: int) -> Iterator[Mapping[Any, Any]]:
    """The columns that a digest is made of, of some entries, in order."""
    columns = [entry_table.c[name] for name in _COMMITTED]
    after, end = first - 1, first + count
    while True:
        chosen = select(*columns).where(entry_table.c.serial > after, entry_table.c.serial < end)
        found = connection.execute(chosen.order_by(entry_table.c.serial).limit(_BATCH)).mappings().all()
        yield from found
        if len(found) < _BATCH:
            return
        after = found[-1]["serial"]


def _page(connection: Connection, after: int) -> Sequence[Mapping[Any, Any]]:
    chosen = select(audit_table).where(audit_table.c.number > after).order_by(audit_table.c.number).limit(_BATCH)
    return connection.execute(chosen).mappings().all()


def _all_rows(connection: Connection) -> Iterator[Mapping[Any, Any]]:
    after = 0
    while found := _page(connection, after):
        yield from found
        after = found[-1]["number"]


def _ranges(serials: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of numbers that follow one another."""
    first = last = None
    for serial in sorted(serials):
        if first is None or last is None or serial != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = serial
        last = serial
    if first is not None and last is not None:
        yield first, last
