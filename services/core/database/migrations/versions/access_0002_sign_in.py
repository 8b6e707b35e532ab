"""Adds a user's second factor and identity at a provider. Release 0.1.0 neither writes nor reads them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "access_0002"
down_revision = "access_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("external_subject", sa.String(length=255), nullable=True))
    op.add_column("users", sa.Column("totp_secret", sa.String(length=255), nullable=True))
    op.add_column("users", sa.Column("totp_confirmed", sa.Boolean(), nullable=True))
    op.add_column("users", sa.Column("totp_last_step", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_users_external_subject"), "users", ["external_subject"], unique=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_users_external_subject"), "users")
    for name in ("external_subject", "totp_secret", "totp_confirmed", "totp_last_step"):
        op.drop_column("users", name)
