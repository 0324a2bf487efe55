"""An index of fingerprints of 256 bits, which finds those near another without comparing all: multi-index hashing.

A fingerprint is cut into 16 bands of 16 bits. Two that differ in 30 bits or less agree in one band whole, or in two
bands but for a bit each: with no band whole, and one at most within a bit, they differ in 1 + 15 * 2 = 31 bits or more
(Norouzi, Punjani and Fleet, Fast search in Hamming space with multi-index hashing, 2012). So each band is looked up
with its 16 neighbours, and only what comes out is compared in full. It is a table of whole numbers, which any database
keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, and_, bindparam, case, delete, func, insert, select

from payload.registry.pdq import PDQ_BITS

BANDS = 16
BAND_BITS = PDQ_BITS // BANDS
MOST_CANDIDATES = 20_000  # that are compared in full, those first that agree in most bands

_WHOLE, _NEARLY = 2, 1  # what a band counts that agrees, but for a bit


@dataclass(frozen=True)
class Bands:
    """A table of bands, each with its ``owner``: what the fingerprint belongs to."""

    table: Table

    @classmethod
    def named(cls, name: str, metadata: MetaData, owner: Any) -> Bands:
        """A table of that name; ``owner``: the type of what fingerprints belong to."""
        columns = (
            Column("band", Integer, primary_key=True, autoincrement=False),  # its number, then its bits
            Column("owner", owner, primary_key=True, autoincrement=False),
        )
        return cls(Table(name, metadata, *columns, sqlite_with_rowid=False))

    def add(self, connection: Connection, fingerprints: Iterable[tuple[Any, int]]) -> None:
        """Enter fingerprints, each after its owner, which has none yet."""
        rows = [{"band": band, "owner": owner} for owner, bits in fingerprints for band in bands_of(bits)]
        if rows:
            rows.sort(key=lambda row: row["band"])  # neighbours lie on one page
            connection.execute(insert(self.table), rows)

    def remove(self, connection: Connection, owner: Any, bits: int) -> None:
        """Take out the fingerprint of an owner."""
        own = and_(self.table.c.owner == owner, self.table.c.band.in_(bands_of(bits)))
        connection.execute(delete(self.table).where(own))

    def count(self, connection: Connection) -> int:
        """How many fingerprints there are: each has one band of the first place, which the index lists together."""
        first = select(func.count()).where(self.table.c.band < 1 << BAND_BITS)
        count: int = connection.execute(first).scalar_one()
        return count

    def candidates(self, connection: Connection, wanted: Sequence[int], within: int) -> list[Any]:
        """Owners whose fingerprint may differ from one of those ``wanted`` in ``within`` bits or less, of which all
        such are among them, as long as they are ``MOST_CANDIDATES`` at most."""
        if not 0 <= within < 2 * BANDS:
            raise ValueError(f"expected a distance of 0 to {2 * BANDS - 1} bits, found {within}; take a smaller one")
        whole = sorted({band for bits in wanted for band in bands_of(bits)})
        near = sorted({band ^ flipped for band in whole for flipped in (0, *(1 << bit for bit in range(BAND_BITS)))})
        least = _WHOLE if within < 2 * BANDS - 1 else _NEARLY
        agreement = func.sum(case((self.table.c.band.in_(_listed("whole")), _WHOLE), else_=_NEARLY))
        found = (
            select(self.table.c.owner)
            .where(self.table.c.band.in_(_listed("near")))
            .group_by(self.table.c.owner)
            .having(agreement >= least)
            .order_by(agreement.desc())
            .limit(MOST_CANDIDATES)
        )
        return list(connection.execute(found, {"whole": whole, "near": near}).scalars())


def bands_of(bits: int) -> list[int]:
    """The bands of a fingerprint, each with its number before it.

    >>> bands_of(1 << 255 | 5)[0] == 1 << 15, bands_of(1 << 255 | 5)[15] == 15 << 16 | 5
    (True, True)
    """
    mask = (1 << BAND_BITS) - 1
    return [place << BAND_BITS | bits >> (PDQ_BITS - (place + 1) * BAND_BITS) & mask for place in range(BANDS)]


def _listed(name: str) -> Any:
    """Whole numbers as a part of the statement: some databases take few parameters."""
    return bindparam(name, expanding=True, literal_execute=True)
