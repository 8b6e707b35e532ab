"""Adds the reason of an outcome that overrides the predicted answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "calls_0003"
down_revision = "calls_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("override", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("outcomes", "override")
