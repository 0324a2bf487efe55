"""What becomes of an id that was reserved: marked, discarded, withdrawn, erased. Within a transaction of whoever asks,
who holds the registry's row, and with a line in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from payload.errors import RegistryError
from payload.records.record import format_time, now
from payload.registry import audit, queries
from payload.registry.entry import ERASED, IN_USE, Entry, State, hash_text
from payload.registry.pdq import pdq_text
from payload.registry.schema import SCHEMA_VERSION, entry_columns, entry_table, fingerprint_bands

_EVENTS: Mapping[State, audit.Event] = {"marked": "marked", "discarded": "discarded", "withdrawn": "withdrawn"}
# Made once, which takes as long as carrying it out; what it sets are the other values that it is given.
_CHANGE = update(entry_table).where(entry_table.c.serial == bindparam("of")).returning(*entry_columns(SCHEMA_VERSION))


def confirm(
    connection: Connection,
    word: int,
    generation: int,
    *,
    phash: int | None,
    output: str | None,
    sketch: str | None,
    pdq: int | None,
    again: bool,
) -> Entry:
    """Enters that a picture was marked, and what it looks like; ``again``: it may have been marked before. A
    fingerprint that it had stays where there is no new one."""
    # A file name that is not UTF-8 must not cost the record of a picture already written.
    named = output and output.encode("utf-8", "backslashreplace").decode("utf-8")
    details: dict[str, Any] = {"phash": hash_text(phash), "output": named, "sketch": sketch}
    if pdq is not None:
        details["pdq"] = pdq_text(pdq)
    before = queries.found(connection, word, generation)
    entry = _move(connection, before, "marked", allowed=IN_USE if again else ("pending",), details=details)
    if entry.pdq != before.pdq and entry.pdq is not None:
        if before.pdq is not None:
            fingerprint_bands.remove(connection, entry.serial, before.pdq)
        fingerprint_bands.add(connection, [(entry.serial, entry.pdq)])
    return entry


def discard(connection: Connection, word: int, generation: int) -> Entry:
    """Gives up a pending id; it stays pending where another run took it, too."""
    shared = (entry_table.c.state == "pending") & (entry_table.c.claims > 1)
    mine = queries.is_word(word, generation)
    less = update(entry_table).where(mine, shared).values(claims=entry_table.c.claims - 1)
    left = connection.execute(less).rowcount
    entry = queries.found(connection, word, generation)
    return entry if left else _move(connection, entry, "discarded", allowed=("pending",))


def withdraw(connection: Connection, word: int, generation: int) -> Entry:
    """Takes a record back; its picture is no longer looked up by its fingerprint, which stays in the record."""
    entry = _move(connection, queries.found(connection, word, generation), "withdrawn", allowed=IN_USE)
    if entry.pdq is not None:
        fingerprint_bands.remove(connection, entry.serial, entry.pdq)
    return entry


def erase(connection: Connection, user: str) -> int:
    """Erases what is known of a user's pictures; returns the number of entries."""
    columns = entry_table.c
    gone = {
        "state": "erased", "asset": ERASED, "owner": ERASED, "user": None, "phash": None, "output": None,
        "source": None, "sketch": None, "pdq": None, "updated_at": format_time(now()),
    }  # fmt: skip
    known = {
        serial: pdq for serial, pdq in connection.execute(select(columns.serial, columns.pdq).filter_by(user=user))
    }
    for serial, pdq in known.items():
        if pdq is not None:
            fingerprint_bands.remove(connection, serial, int(pdq, 16))
    connection.execute(update(entry_table).where(columns.user == user).values(gone))
    audit.forget(connection, [*known])
    audit.append_all(connection, [{"event": "erased", "serial": serial, "count": 1} for serial in known])
    return len(known)


def _move(
    connection: Connection,
    entry: Entry,
    state: State,
    *,
    allowed: tuple[State, ...],
    details: dict[str, Any] | None = None,
) -> Entry:
    """Changes the state of an entry that is in one of the allowed states."""
    if entry.state not in allowed:
        raise RegistryError(
            f"link {entry.link}: expected it {' or '.join(allowed)}, found it {entry.state}; it cannot become {state}"
        )
    values = {"of": entry.serial, "state": state, "updated_at": format_time(now()), **(details or {})}
    found = Entry.from_row(connection.execute(_CHANGE, values).mappings().one())
    audit.append(connection, _EVENTS[state], serial=entry.serial)
    return found
