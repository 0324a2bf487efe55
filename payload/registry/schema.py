"""Tables of the registry, their version, and how older versions become this one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
    update,
)

from payload.codes.id_permutation import SECRET_BYTES
from payload.errors import RegistryError
from payload.records.record import MAX_CHARACTERS

Migration = Callable[[Connection], object]

SCHEMA_VERSION = 1

# From version n to n + 1, run in one transaction; every version below ``SCHEMA_VERSION`` has one.
MIGRATIONS: dict[int, Migration] = {}

# Numbers that no other program on the same PostgreSQL server is likely to lock: "wam" in ASCII.
_LOCK_KEY = 0x77616D

metadata = MetaData()

schema_table = Table("wam_schema", metadata, Column("version", Integer, nullable=False))

registry_table = Table(
    "wam_registry",
    metadata,
    Column("secret", String(2 * SECRET_BYTES), nullable=False),
    Column("next_serial", Integer, nullable=False),
)

entry_table = Table(
    "wam_entry",
    metadata,
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("word", BigInteger, nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("asset", String(MAX_CHARACTERS), nullable=False),
    Column("owner", String(MAX_CHARACTERS), nullable=False),
    Column("user", String(MAX_CHARACTERS)),
    Column("ingested_at", String(20), nullable=False),
    Column("phash", String(16)),
    Column("output", String),
    Column("updated_at", String(20), nullable=False),
)


def is_current(connection: Connection, *, version: int = SCHEMA_VERSION) -> bool:
    """Tell whether the tables are there in this version."""
    return _version(connection) == version


def prepare(
    connection: Connection,
    *,
    create: bool,
    version: int = SCHEMA_VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> None:
    """Create the tables where allowed, or bring them to this version step by step, refusing a newer one."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    found = _version(connection)
    if found is None:
        if not create:
            raise RegistryError("expected a registry, found none; run `wam registry init` first")
        metadata.create_all(connection)
        connection.execute(insert(schema_table).values(version=version))
        secret = secrets.token_hex(SECRET_BYTES)
        connection.execute(insert(registry_table).values(secret=secret, next_serial=0))
        return
    if found > version:
        raise RegistryError(f"expected registry version {version} or older, found {found}; update wam")
    for step in range(found, version):
        migrations[step](connection)
        connection.execute(update(schema_table).values(version=step + 1))


def _version(connection: Connection) -> int | None:
    """Read the version of the tables, None where there are none."""
    if not inspect(connection).has_table(schema_table.name):
        return None
    version: int = connection.execute(select(schema_table.c.version)).scalar_one()
    return version
