"""Sketches of marked pictures, which parts of pictures are compared with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the column; runs within the transaction of whoever writes first."""
    op.add_column("wam_entry", sa.Column("sketch", sa.Text))
    op.execute("UPDATE wam_schema SET version = 4")
