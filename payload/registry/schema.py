"""Tables of the registry, their version, and what is read of older ones.

``metadata`` is the newest schema, which new registries are made with. Registries of earlier versions are migrated by
Alembic (``migrations``) before they are first written to; a look-up reads them as they are.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    literal,
    null,
    select,
    text,
)

from payload.codes.id_permutation import SECRET_BYTES
from payload.errors import RegistryError
from payload.records.record import MAX_CHARACTERS
from payload.registry.bands import Bands
from payload.registry.generations import FIRST_GENERATION, SCHEME
from payload.registry.pdq import PDQ_BITS

SCHEMA_VERSION = 5
FIRST_VERSION = 1  # of 0.1 to 0.2
FINGERPRINTS = 5  # from which on entries have fingerprints, with an index of them
SKETCHES = 4  # from which on entries have sketches
LABELLED_WORDS = 3  # from which on a registry says what words it gives out
AUDITED = 2  # from which on there are generations, sources and the audit log
REVISION_TABLE = "wam_migration"

NAMESPACE_BYTES = 8
_NAMESPACE_LABEL = b"wam registry namespace 1"

# Numbers that no other program on the same PostgreSQL server is likely to lock: "wam" in ASCII.
_LOCK_KEY = 0x77616D

_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite's row number, which takes no room, is INTEGER only

metadata = MetaData()

schema_table = Table("wam_schema", metadata, Column("version", Integer, nullable=False))  # 0.2.0 asks for it too

revision_table = Table(
    REVISION_TABLE,
    metadata,
    Column("version_num", String(32), primary_key=True),  # as Alembic makes it
)

registry_table = Table(
    "wam_registry",
    metadata,
    Column("secret", String(2 * SECRET_BYTES), nullable=False),
    Column("next_serial", _Serial, nullable=False),
    Column("namespace", String(2 * NAMESPACE_BYTES), nullable=False, server_default=""),
    Column("audit_count", BigInteger, nullable=False, server_default="0"),
    Column("audit_head", String(64), nullable=False, server_default=""),
    Column("scheme", String(16), nullable=False, server_default=SCHEME),
    Column("generation", Integer, nullable=False, server_default=str(FIRST_GENERATION)),
    Column("generation_first", _Serial, nullable=False, server_default="0"),
    Column("labelled_from", Integer),
)

entry_table = Table(
    "wam_entry",
    metadata,
    Column("serial", _Serial, primary_key=True, autoincrement=False),
    Column("word", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("asset", String(MAX_CHARACTERS), nullable=False),
    Column("owner", String(MAX_CHARACTERS), nullable=False),
    Column("user", String(MAX_CHARACTERS)),
    Column("ingested_at", String(20), nullable=False),
    Column("phash", String(16)),
    Column("output", String),
    Column("updated_at", String(20), nullable=False),
    Column("generation", Integer, nullable=False, server_default=str(FIRST_GENERATION)),
    Column("scheme", String(16), nullable=False, server_default=SCHEME),
    Column("source", String(64)),  # SHA-256 of the file that was marked, in hexadecimal
    Column("claims", Integer, nullable=False, server_default="1"),  # runs that took this id for the same picture
    Column("sketch", Text),  # of the marked picture, see payload/sketch.py
    Column("pdq", String(PDQ_BITS // 4)),  # its fingerprint, in hexadecimal
    UniqueConstraint("generation", "word", name="wam_entry_generation_word"),
)

# each with the serial number behind it, in whose order entries are listed
INDEXES = {
    "wam_entry_asset": ("asset", "serial"),
    "wam_entry_owner": ("owner", "serial"),
    "wam_entry_user": ("user", "serial"),
    "wam_entry_ingested_at": ("ingested_at", "serial"),
    "wam_entry_source": ("source",),
}
for _name, _columns in INDEXES.items():
    Index(_name, *(entry_table.c[_column] for _column in _columns))

fingerprint_bands = Bands.named("wam_fingerprint_band", metadata, _Serial)

audit_table = Table(
    "wam_audit",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=False),
    Column("at", String(20), nullable=False),
    Column("actor", String, nullable=False),
    Column("event", String(16), nullable=False),
    Column("serial", _Serial),
    Column("count", BigInteger, nullable=False),
    Column("digest", String(64)),
    Column("salt", String(32)),
    Column("hash", String(64), nullable=False),
)

_SHIPPED_FIRST = ("serial", "word", "state", "asset", "owner", "user", "ingested_at", "phash", "output", "updated_at")
# what came later: since which version, and what it is in entries of before
_LATER: dict[str, tuple[int, ColumnElement[Any]]] = {
    "generation": (AUDITED, literal(FIRST_GENERATION)),
    "scheme": (AUDITED, literal(SCHEME)),
    "source": (AUDITED, null()),
    "sketch": (SKETCHES, null()),
    "pdq": (FINGERPRINTS, null()),
}


def entry_columns(version: int) -> list[ColumnElement[Any]]:
    """The columns of an entry in a registry of this version; what it has not is as a migration would fill it in."""
    columns: list[ColumnElement[Any]] = [entry_table.c[name] for name in _SHIPPED_FIRST]
    for name, (since, value) in _LATER.items():
        columns.append(value.label(name) if version < since else entry_table.c[name])
    return columns


def namespace_of(secret: bytes) -> bytes:
    """The 64 bits that tell a registry from all others, made once from its random secret, which they do not give away:
    so that a registry, its exports and what is migrated from an older version have the same."""
    return sha256(_NAMESPACE_LABEL + secret).digest()[:NAMESPACE_BYTES]


def version_of(connection: Connection) -> int | None:
    """Read the version of the tables, None where there are none."""
    if not inspect(connection).has_table(schema_table.name):
        return None
    version: int = connection.execute(select(schema_table.c.version)).scalar_one()
    return version


def check_version(version: int | None) -> int:
    """Refuse what this version cannot read: no registry at all, and a newer one."""
    if version is None:
        raise RegistryError("expected a registry, found none; run `wam registry init` first")
    if version > SCHEMA_VERSION:
        raise RegistryError(f"expected registry version {SCHEMA_VERSION} or older, found {version}; update wam")
    return version


def prepare(connection: Connection, *, create: bool) -> Literal["created", "migrated"] | None:
    """Create the tables where allowed, or bring them to this version within the transaction, and tell what was done.
    Whoever comes second, from another process, finds it done."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    found = version_of(connection)
    if found is None and create:
        metadata.create_all(connection)
        secret = secrets.token_bytes(SECRET_BYTES)
        connection.execute(insert(schema_table).values(version=SCHEMA_VERSION))
        connection.execute(insert(revision_table).values(version_num=revision_name(SCHEMA_VERSION)))
        values = {"secret": secret.hex(), "next_serial": 0, "namespace": namespace_of(secret).hex()}
        connection.execute(insert(registry_table).values(values))
        return "created"
    if check_version(found) == SCHEMA_VERSION:
        return None
    from payload.registry.migrating import migrate  # Alembic is loaded only where there is something to migrate

    migrate(connection, found=check_version(found))
    return "migrated"


def revision_name(version: int) -> str:
    """What Alembic calls a version."""
    return f"{version:04}"
