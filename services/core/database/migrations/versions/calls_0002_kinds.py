"""Adds the kind of a call (live or not), and columns for drift monitoring.

Existing rows become live, except for outcomes made up by their sender. The server default stays, so that a replica of
the previous release can still write."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "calls_0002"
down_revision = "calls_0001"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    for table in ("predictions", "outcomes"):
        op.add_column(table, sa.Column("kind", sa.String(16), nullable=False, server_default="live"))
    op.add_column("predictions", sa.Column("watched", JSON, nullable=True))
    op.execute(sa.text("UPDATE outcomes SET kind = 'simulated' WHERE simulated"))
    op.create_index("ix_predictions_of_kind", "predictions", ["use_case", "kind", "received_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_predictions_of_kind", "predictions")
    op.drop_column("predictions", "watched")
    for table in ("outcomes", "predictions"):
        op.drop_column(table, "kind")
