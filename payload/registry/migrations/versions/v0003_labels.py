"""Which words are given out: scheme, generation, and where it begins. Those of earlier registries are plain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds them; runs within the transaction of whoever writes first."""
    serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.add_column("wam_registry", sa.Column("scheme", sa.String(16), nullable=False, server_default="word-21"))
    op.add_column("wam_registry", sa.Column("generation", sa.Integer, nullable=False, server_default="0"))
    op.add_column("wam_registry", sa.Column("generation_first", serial, nullable=False, server_default="0"))
    op.add_column("wam_registry", sa.Column("labelled_from", sa.Integer))
    op.execute("UPDATE wam_schema SET version = 3")
