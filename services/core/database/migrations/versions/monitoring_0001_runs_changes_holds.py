"""Monitoring runs, concept-drift events and quarantined labels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.core.database.connection import Json, UtcDateTime

revision = "monitoring_0001"
down_revision = None
branch_labels = ("monitoring",)
depends_on = None

moment = UtcDateTime()


def upgrade() -> None:
    op.create_table(
        "monitoring_runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=False),
        sa.Column("window_to", moment, nullable=True),
        sa.Column("outcomes_until", moment, nullable=True),
        sa.Column("model_version", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("breached", sa.Boolean(), nullable=False),
        sa.Column("inputs_drifted", sa.Boolean(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("report", sa.Boolean(), nullable=False),
        sa.Column("summary", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_runs")),
    )
    op.create_index("ix_monitoring_runs_of_use_case", "monitoring_runs", ["use_case", "finished_at", "id"])
    op.create_table(
        "monitoring_changes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("segments", Json, nullable=False),
        sa.Column("opened_at", moment, nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_changes")),
    )
    op.create_index("ix_monitoring_changes_of_use_case", "monitoring_changes", ["use_case", "opened_at"])
    op.create_table(
        "monitoring_holds",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("centre", sa.String(length=64), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=True),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("reason", Json, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("lifted_at", moment, nullable=True),
        sa.Column("lifted_by", sa.String(length=120), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_holds")),
    )
    op.create_index("ix_monitoring_holds_of_use_case", "monitoring_holds", ["use_case", "centre", "since"])


def downgrade() -> None:
    for table in ("monitoring_holds", "monitoring_changes", "monitoring_runs"):
        op.drop_table(table)
