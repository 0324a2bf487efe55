"""Taking an export into a registry, within a transaction of whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, insert, update

from payload.errors import ImportFileError
from payload.registry import audit, queries, reservations
from payload.registry.entry import Entry
from payload.registry.export_import import Header, place_of
from payload.registry.schema import SCHEMA_VERSION, entry_table, fingerprint_bands, registry_table


def take_in(connection: Connection, header: Header, entries: Iterator[Entry], *, registry: str, name: str) -> int:
    """Reads what an export holds; returns the number of new entries. ``registry``, ``name``: what errors call both."""
    present = queries.read_header(connection, SCHEMA_VERSION)
    if present.count and present.secret != header.secret:
        raise ImportFileError(
            f"{place_of(name, 1)}: expected an export of registry {registry}, found one of another; "
            "import it into a new registry"
        )
    while batch := list(islice(entries, queries.BATCH)):
        if batch[0].serial < present.count:
            queries.check_conflicts(connection, batch, name, header.version)
        new = [entry for entry in batch if entry.serial >= present.count]
        if new:
            connection.execute(insert(entry_table), [entry.to_row() for entry in new])
            fingerprint_bands.add(connection, _looked_up(new))
    count = max(present.count, header.count)
    merged = {"secret": header.secret.hex(), "next_serial": count, "namespace": header.namespace.hex()}
    connection.execute(update(registry_table).values(merged))
    if (header.count, header.giving.generation) >= (present.count, present.giving.generation):
        reservations.set_giving(connection, header.giving)
    audit.append_entries(connection, "imported", present.count, count - present.count)
    return count - present.count


def _looked_up(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    """The fingerprints by which pictures are looked up: of marked ones."""
    return [(one.serial, one.pdq) for one in entries if one.state == "marked" and one.pdq is not None]
