"""The tables of 0.2.0: where every migration starts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes them, as 0.2.0 did."""
    op.create_table("wam_schema", sa.Column("version", sa.Integer, nullable=False))
    op.create_table(
        "wam_registry",
        sa.Column("secret", sa.String(32), nullable=False),
        sa.Column("next_serial", sa.Integer, nullable=False),
    )
    op.create_table(
        "wam_entry",
        sa.Column("serial", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("word", sa.BigInteger, nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asset", sa.String(256), nullable=False),
        sa.Column("owner", sa.String(256), nullable=False),
        sa.Column("user", sa.String(256)),
        sa.Column("ingested_at", sa.String(20), nullable=False),
        sa.Column("phash", sa.String(16)),
        sa.Column("output", sa.String),
        sa.Column("updated_at", sa.String(20), nullable=False),
    )
    op.execute("INSERT INTO wam_schema (version) VALUES (1)")
