"""Which registered pictures look like another, by their fingerprints: neighbours, which are no proof of anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, select

from payload.registry import queries
from payload.registry.entry import Entry
from payload.registry.pdq import PDQ_BITS
from payload.registry.schema import SCHEMA_VERSION, entry_columns, entry_table, fingerprint_bands


@dataclass(frozen=True)
class Lookalike:
    """An entry whose picture looks alike: ``bits`` of the fingerprints differ; ``place``: of the nearest of those that
    were asked for."""

    entry: Entry
    bits: int
    place: int


def nearest(connection: Connection, wanted: Sequence[int], *, within: int, most: int) -> list[Lookalike]:
    """Marked entries that differ in ``within`` bits at most from one of the fingerprints ``wanted``, ``most`` of them,
    the nearest first."""
    columns, remaining = entry_table.c, fingerprint_bands.candidates(connection, wanted, within)
    known: list[tuple[int, str]] = []
    while remaining:
        chosen, remaining = remaining[: queries.BATCH], remaining[queries.BATCH :]
        marked = select(columns.serial, columns.pdq).where(columns.serial.in_(chosen), columns.state == "marked")
        known += [(serial, pdq) for serial, pdq in connection.execute(marked)]
    apart = distances([pdq for _, pdq in known], wanted)
    near = sorted((bits, serial, place) for (serial, _), (bits, place) in zip(known, apart, strict=True))
    near = [one for one in near[:most] if one[0] <= within]
    chosen = [serial for _, serial, _ in near]
    rows = connection.execute(select(*entry_columns(SCHEMA_VERSION)).where(columns.serial.in_(chosen))).mappings()
    entries = {row["serial"]: Entry.from_row(row) for row in rows}
    return [Lookalike(entries[serial], bits, place) for bits, serial, place in near]


def distances(known: Sequence[str], wanted: Sequence[int]) -> list[tuple[int, int]]:
    """Of each known fingerprint, in hexadecimal digits, in how many bits it differs from the nearest of those wanted,
    and the place of that one."""
    if not known:
        return []
    size = PDQ_BITS // 8
    theirs = np.frombuffer(bytes.fromhex("".join(known)), np.uint8).reshape(-1, 1, size)
    ours = np.frombuffer(b"".join(bits.to_bytes(size, "big") for bits in wanted), np.uint8).reshape(1, -1, size)
    apart = np.unpackbits(theirs ^ ours, axis=2).sum(2, dtype=np.int64)
    places = apart.argmin(1)
    return [(int(row[place]), int(place)) for row, place in zip(apart, places, strict=True)]
