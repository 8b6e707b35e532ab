"""Adds the typed prediction per target. Release 0.1.0 neither writes nor reads the column."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "calls_0004"
down_revision = "calls_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    document = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
    op.add_column("predictions", sa.Column("predictions", document, nullable=True))


def downgrade() -> None:
    op.drop_column("predictions", "predictions")
