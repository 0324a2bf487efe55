"""Namespace, generations and schemes of links, sources, indexes, and the audit log.

Earlier entries are of generation 0 and scheme word-21, which their words are; the namespace comes from the secret.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds them; runs within the transaction of whoever writes first."""
    connection = op.get_bind()
    postgresql = connection.dialect.name == "postgresql"
    serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    _registry(connection, postgresql)
    shipped = sa.Table(
        "wam_entry",
        sa.MetaData(),
        sa.Column("serial", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("word", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asset", sa.String(256), nullable=False),
        sa.Column("owner", sa.String(256), nullable=False),
        sa.Column("user", sa.String(256)),
        sa.Column("ingested_at", sa.String(20), nullable=False),
        sa.Column("phash", sa.String(16)),
        sa.Column("output", sa.String),
        sa.Column("updated_at", sa.String(20), nullable=False),
        sa.UniqueConstraint("word", name="wam_entry_word_key"),  # PostgreSQL's name for it; in SQLite it has none
    )
    recreate: Literal["never", "always"] = (
        "never" if postgresql else "always"
    )  # SQLite drops no constraint of a table that is there
    with op.batch_alter_table("wam_entry", copy_from=shipped, recreate=recreate) as batch:
        batch.drop_constraint("wam_entry_word_key", type_="unique")
        batch.add_column(sa.Column("generation", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("scheme", sa.String(16), nullable=False, server_default="word-21"))
        batch.add_column(sa.Column("source", sa.String(64)))
        batch.add_column(sa.Column("claims", sa.Integer, nullable=False, server_default="1"))
        batch.create_unique_constraint("wam_entry_generation_word", ["generation", "word"])
        if postgresql:
            batch.alter_column("serial", type_=sa.BigInteger)
    for name, columns in {
        "wam_entry_asset": ["asset", "serial"],
        "wam_entry_owner": ["owner", "serial"],
        "wam_entry_user": ["user", "serial"],
        "wam_entry_ingested_at": ["ingested_at", "serial"],
        "wam_entry_source": ["source"],
    }.items():
        op.create_index(name, "wam_entry", columns)
    op.create_table(
        "wam_audit",
        sa.Column("number", serial, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(20), nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("serial", serial),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("salt", sa.String(32)),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.execute("UPDATE wam_schema SET version = 2")


def _registry(connection: sa.Connection, postgresql: bool) -> None:
    """The one row of the registry; the table stays, with what others were granted on it."""
    op.add_column("wam_registry", sa.Column("namespace", sa.String(16), nullable=False, server_default=""))
    op.add_column("wam_registry", sa.Column("audit_count", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("wam_registry", sa.Column("audit_head", sa.String(64), nullable=False, server_default=""))
    if postgresql:
        op.alter_column("wam_registry", "next_serial", type_=sa.BigInteger)
    secret = connection.execute(sa.text("SELECT secret FROM wam_registry")).scalar_one()
    namespace = sha256(b"wam registry namespace 1" + bytes.fromhex(secret)).hexdigest()[:16]
    connection.execute(sa.text("UPDATE wam_registry SET namespace = :namespace"), {"namespace": namespace})
