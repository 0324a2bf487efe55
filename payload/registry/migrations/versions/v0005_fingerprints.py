"""Fingerprints of marked pictures, and the bands that they are found by. Earlier entries have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds both; runs within the transaction of whoever writes first."""
    op.add_column("wam_entry", sa.Column("pdq", sa.String(64)))
    op.create_table(
        "wam_fingerprint_band",
        sa.Column("band", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.execute("UPDATE wam_schema SET version = 5")
