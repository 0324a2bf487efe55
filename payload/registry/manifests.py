"""Manifests of content credentials, kept beside the records of a registry and found again by what binds them to
pictures: marks by algorithm and value, fingerprints by distance.

Tables of their own, made when the first manifest is kept: they are no part of the registry's schema and its
versions, and registries without them have no manifests. A manifest says what its signer signed, no record and no user.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
    text,
)

from payload.errors import RegistryError
from payload.records.record import format_time, now
from payload.registry.bands import Bands
from payload.registry.database import transaction
from payload.registry.lookalikes import distances
from payload.registry.pdq import PDQ_BITS, pdq_text

MOST_BYTES = 16 << 20  # of a manifest store
MOST_ID, MOST_ALGORITHM, MOST_VALUE = 200, 200, 512  # characters; a value has two for each byte
MOST_FOUND = 1000  # manifests that one question gives
_LOCK_KEY = 0x77616D32  # on a PostgreSQL server: "wam2" in ASCII

metadata = MetaData()

manifest_table = Table(
    "wam_manifest",
    metadata,
    Column("id", String(MOST_ID), primary_key=True),
    Column("store", LargeBinary, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the store, in hexadecimal
    Column("kept_at", String(20), nullable=False),
    Column("phash", String(16)),  # of the picture, as the registry has it
    Column("pdq", String(PDQ_BITS // 4)),  # the same by PDQ, where that was at hand
)

binding_table = Table(
    "wam_manifest_binding",
    metadata,
    Column("algorithm", String(MOST_ALGORITHM), primary_key=True),
    Column("value", String(MOST_VALUE), primary_key=True),
    Column("manifest", String(MOST_ID), primary_key=True, index=True),
)

pdq_bands = Bands.named("wam_manifest_band", metadata, String(MOST_ID))


@dataclass(frozen=True)
class Binding:
    """A soft binding: the ``value`` that an ``algorithm`` reads from a picture."""

    algorithm: str
    value: bytes


@dataclass(frozen=True)
class Manifest:
    """A manifest ``store`` under the id of its active manifest; hashes of its picture where they are known."""

    id: str
    store: bytes = field(repr=False)
    kept_at: str
    phash: int | None = None
    pdq: int | None = None


@dataclass(frozen=True)
class Similar:
    """A manifest whose picture looks alike: ``bits`` of the hashes differ."""

    id: str
    bits: int


class Manifests:
    """The manifests of one registry; safe for threads and processes, as the registry is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(
        self,
        id: str,
        store: bytes,
        bindings: Iterable[Binding] = (),
        *,
        phash: int | None = None,
        pdq: int | None = None,
    ) -> None:
        """Keep a manifest with what it is found by. The same one again changes nothing; another one under its id is
        refused with ``RegistryError``."""
        _require(id, MOST_ID, "manifest id")
        if len(store) > MOST_BYTES:
            raise RegistryError(
                f"manifest {id}: expected at most {MOST_BYTES} bytes, found {len(store)}; it is not kept"
            )
        values = {
            "id": id, "store": store, "digest": hashlib.sha256(store).hexdigest(), "kept_at": format_time(now()),
            "phash": None if phash is None else f"{phash:016x}", "pdq": pdq_text(pdq),
        }  # fmt: skip
        with self._writing() as connection:
            found = connection.execute(select(manifest_table.c.digest).where(manifest_table.c.id == id)).scalar()
            if found is not None and found != values["digest"]:
                raise RegistryError(f"manifest {id}: expected a new one, found another of this id; it stays as it was")
            if found is None:
                connection.execute(insert(manifest_table).values(values))
                pdq_bands.add(connection, [] if pdq is None else [(id, pdq)])
            for one in bindings:
                _bind(connection, id, one)

    def bind(self, id: str, binding: Binding) -> bool:
        """Let a kept manifest be found by one more binding; False where there is no such manifest."""
        with self._writing() as connection:
            if connection.execute(select(manifest_table.c.id).where(manifest_table.c.id == id)).scalar() is None:
                return False
            _bind(connection, id, binding)
            return True

    def find(self, id: str) -> Manifest | None:
        """A manifest by its id."""
        with self._reading() as connection:
            row = connection and connection.execute(select(manifest_table).where(manifest_table.c.id == id)).first()
        if not row:
            return None
        hashes = (None if digits is None else int(digits, 16) for digits in (row.phash, row.pdq))
        return Manifest(row.id, bytes(row.store), row.kept_at, *hashes)

    def bound_to(self, bindings: Sequence[Binding]) -> list[str]:
        """Ids of the manifests that have one of the bindings, the newest first; algorithm and value have to agree."""
        rows: dict[str, str] = {}
        with self._reading() as connection:
            for one in bindings if connection is not None else ():
                assert connection is not None
                wanted = (binding_table.c.algorithm == one.algorithm) & (binding_table.c.value == one.value.hex())
                joined = binding_table.join(manifest_table, binding_table.c.manifest == manifest_table.c.id)
                found = select(manifest_table.c.id, manifest_table.c.kept_at).select_from(joined).where(wanted)
                rows |= {row.id: row.kept_at for row in connection.execute(found.limit(MOST_FOUND))}
        return sorted(rows, key=lambda id: (rows[id], id), reverse=True)

    def values_of(self, id: str, algorithm: str) -> list[bytes]:
        """What a manifest is found by, of one algorithm."""
        with self._reading() as connection:
            if connection is None:
                return []
            wanted = (binding_table.c.manifest == id) & (binding_table.c.algorithm == algorithm)
            return [bytes.fromhex(row.value) for row in connection.execute(select(binding_table.c.value).where(wanted))]

    def similar(self, *, pdq: int | None = None, phash: int | None = None, within: int) -> list[Similar]:
        """Manifests whose pictures' hashes differ in ``within`` bits at most, the most alike first: of PDQ, or else of
        the registry's own hash, of which all are compared."""
        with self._reading() as connection:
            if connection is None:
                return []
            if pdq is not None:
                found = _alike(connection, pdq, within)
            elif phash is not None:
                column = manifest_table.c.phash
                rows = connection.execute(select(manifest_table.c.id, column).where(column.is_not(None))).all()
                found = [Similar(row.id, (int(row.phash, 16) ^ phash).bit_count()) for row in rows]
            else:
                return []
        near = [one for one in found if one.bits <= within]
        return sorted(near, key=lambda one: (one.bits, one.id))[:MOST_FOUND]

    def delete(self, id: str) -> bool:
        """Remove a manifest and its bindings; False where there is none."""
        with self._writing() as connection:
            pdq = connection.execute(select(manifest_table.c.pdq).where(manifest_table.c.id == id)).scalar()
            if pdq is not None:
                pdq_bands.remove(connection, id, int(pdq, 16))
            connection.execute(delete(binding_table).where(binding_table.c.manifest == id))
            return bool(connection.execute(delete(manifest_table).where(manifest_table.c.id == id)).rowcount)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with transaction(self._engine, write=True) as connection:
            if connection.dialect.name == "postgresql":  # two that make the tables at once would fail
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            indexed = inspect(connection).has_table(pdq_bands.table.name)
            metadata.create_all(connection)
            if not indexed:  # manifests may have been kept before there was an index
                kept = select(manifest_table.c.id, manifest_table.c.pdq).where(manifest_table.c.pdq.is_not(None))
                pdq_bands.add(connection, [(id, int(pdq, 16)) for id, pdq in connection.execute(kept)])
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        """None where no manifest was ever kept."""
        with transaction(self._engine) as connection:
            yield connection if inspect(connection).has_table(manifest_table.name) else None


def _alike(connection: Connection, pdq: int, within: int) -> list[Similar]:
    """Manifests whose PDQ may be as near; all of them, where they were kept before there was an index."""
    chosen = select(manifest_table.c.id, manifest_table.c.pdq).where(manifest_table.c.pdq.is_not(None))
    if inspect(connection).has_table(pdq_bands.table.name):
        ids = pdq_bands.candidates(connection, [pdq], within)
        groups = [ids[start : start + MOST_FOUND] for start in range(0, len(ids), MOST_FOUND)]
        rows = [row for some in groups for row in connection.execute(chosen.where(manifest_table.c.id.in_(some)))]
    else:
        rows = [*connection.execute(chosen)]
    apart = distances([row.pdq for row in rows], [pdq])
    return [Similar(row.id, bits) for row, (bits, _) in zip(rows, apart, strict=True)]


def _bind(connection: Connection, id: str, one: Binding) -> None:
    _require(one.algorithm, MOST_ALGORITHM, "algorithm")
    _require(one.value.hex(), MOST_VALUE, "binding value")
    values = {"algorithm": one.algorithm, "value": one.value.hex(), "manifest": id}
    known = select(binding_table.c.manifest).filter_by(**values)
    if connection.execute(known).first() is None:
        connection.execute(insert(binding_table).values(values))


def _require(given: str, most: int, what: str) -> None:
    if not 0 < len(given) <= most or not given.isprintable():
        raise RegistryError(f"{what}: expected 1 to {most} printable characters, found {len(given)}; it is not kept")
