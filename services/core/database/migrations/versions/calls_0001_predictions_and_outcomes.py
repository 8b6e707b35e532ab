"""Predictions and outcomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.core.database.connection import UtcDateTime

revision = "calls_0001"
down_revision = None
branch_labels = ("calls",)
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "predictions",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("use_case", sa.String(64), nullable=False),
        sa.Column("centre", sa.String(64), nullable=False),
        sa.Column("caller_kind", sa.String(16), nullable=False),
        sa.Column("caller_id", sa.String(128), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("row_index", sa.Integer(), nullable=True),
        sa.Column("incident_id", sa.String(64), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("latency_us", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("risk", sa.Boolean(), nullable=True),
        sa.Column("pseudonymised", sa.Boolean(), nullable=False),
        sa.Column("request", JSON, nullable=False),
        sa.Column("answer", JSON, nullable=False),
        sa.Column("decisions", JSON, nullable=False),
        sa.Column("warnings", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
    )
    for name, columns in (
        ("of_centre", ["use_case", "centre", "received_at", "id"]),
        ("of_use_case", ["use_case", "received_at", "id"]),
        ("of_caller", ["use_case", "caller_id", "received_at"]),
        ("of_incident", ["use_case", "centre", "incident_id"]),
        ("of_request", ["use_case", "centre", "request_id"]),
    ):
        op.create_index(f"ix_predictions_{name}", "predictions", columns)
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("use_case", sa.String(64), nullable=False),
        sa.Column("centre", sa.String(64), nullable=False),
        sa.Column("caller_kind", sa.String(16), nullable=False),
        sa.Column("caller_id", sa.String(128), nullable=False),
        sa.Column("prediction_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("row_index", sa.Integer(), nullable=True),
        sa.Column("incident_id", sa.String(64), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("happened_at", UtcDateTime(), nullable=True),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outcomes"),
    )
    for name, columns in (
        ("of_prediction", ["use_case", "centre", "prediction_id"]),
        ("of_request", ["use_case", "centre", "request_id"]),
        ("of_incident", ["use_case", "centre", "incident_id"]),
        ("of_use_case", ["use_case", "received_at", "id"]),
    ):
        op.create_index(f"ix_outcomes_{name}", "outcomes", columns)


def downgrade() -> None:
    op.drop_table("outcomes")
    op.drop_table("predictions")
