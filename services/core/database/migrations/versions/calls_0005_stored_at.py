"""Adds when calls and outcomes were stored. Release 0.1.0 neither writes nor reads the columns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.core.database.connection import UtcDateTime

revision = "calls_0005"
down_revision = "calls_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("predictions", "outcomes"):
        op.add_column(table, sa.Column("stored_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    for table in ("predictions", "outcomes"):
        op.drop_column(table, "stored_at")
