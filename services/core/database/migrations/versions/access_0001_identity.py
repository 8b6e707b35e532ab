"""Identity, keys, the audit log, platform settings and the gateway's runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.core.database.connection import Json, UtcDateTime

revision = "access_0001"
down_revision = None
branch_labels = ("access",)
depends_on = None

moment = UtcDateTime()
REFUSED = "the audit log is append-only"


def upgrade() -> None:
    op.create_table(
        "admin_runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("use_case", sa.String(length=120), nullable=False),
        sa.Column("backend", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("steps", Json, nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("requested_by", sa.String(length=120), nullable=False),
        sa.Column("centre", sa.String(length=120), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("finished", moment, nullable=True),
        sa.Column("error", Json, nullable=True),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("owned_until", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_runs")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_admin_runs_idempotency_key")),
    )
    op.create_index("ix_admin_runs_kind_created", "admin_runs", ["kind", "created"], unique=False)
    op.create_index(op.f("ix_admin_runs_state"), "admin_runs", ["state"], unique=False)
    op.create_table(
        "audit_entries",
        sa.Column(
            "sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("time", moment, nullable=False),
        sa.Column("service", sa.String(length=40), nullable=False),
        sa.Column("actor_kind", sa.String(length=40), nullable=False),
        sa.Column("actor_id", sa.String(length=120), nullable=False),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("centre", sa.String(length=120), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("use_case", sa.String(length=120), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=80), nullable=False),
        sa.Column("request_id", sa.String(length=80), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_entries_hash")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_entries_id")),
    )
    op.create_index("ix_audit_entries_action_time", "audit_entries", ["action", "time"], unique=False)
    op.create_index(op.f("ix_audit_entries_actor_name"), "audit_entries", ["actor_name"], unique=False)
    op.create_index(op.f("ix_audit_entries_time"), "audit_entries", ["time"], unique=False)
    op.create_index(op.f("ix_audit_entries_use_case"), "audit_entries", ["use_case"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "centres",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_centres")),
    )
    op.create_table(
        "login_attempts",
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("last", moment, nullable=False),
        sa.Column("locked_until", moment, nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_attempts")),
    )
    op.create_index(op.f("ix_login_attempts_last"), "login_attempts", ["last"], unique=False)
    op.create_table(
        "platform_settings",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("value", Json, nullable=False),
        sa.Column("changed", moment, nullable=False),
        sa.Column("changed_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_platform_settings")),
    )
    op.create_table(
        "revocations",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.Column("issued_before", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_revocations")),
    )
    op.create_index(op.f("ix_revocations_until"), "revocations", ["until"], unique=False)
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("public_jwk", Json, nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("signs_from", moment, nullable=False),
        sa.Column("retires_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("centre", sa.String(length=120), nullable=False),
        sa.Column("use_cases", Json, nullable=True),
        sa.Column("created", moment, nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("revoked_at", moment, nullable=True),
        sa.Column("rotated_from", sa.String(length=32), nullable=True),
        sa.Column("last_used_at", moment, nullable=True),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'dispatcher', 'operator', 'admin')", name=op.f("ck_api_keys_role")),
        sa.ForeignKeyConstraint(["centre"], ["centres.name"], name=op.f("fk_api_keys_centre_centres")),
        sa.ForeignKeyConstraint(["rotated_from"], ["api_keys.id"], name=op.f("fk_api_keys_rotated_from_api_keys")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_keys_sha256")),
    )
    op.create_index(op.f("ix_api_keys_centre"), "api_keys", ["centre"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("centre", sa.String(length=120), nullable=False),
        sa.Column("all_centres", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("password_changed", moment, nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'dispatcher', 'operator', 'admin')", name=op.f("ck_users_role")),
        sa.ForeignKeyConstraint(["centre"], ["centres.name"], name=op.f("fk_users_centre_centres")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("signed_in", moment, nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=True),
        sa.Column("revoked_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_refresh_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(op.f("ix_refresh_tokens_expires_at"), "refresh_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_family"), "refresh_tokens", ["family"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_user_id"), "refresh_tokens", ["user_id"], unique=False)
    op.create_table(
        "user_centres",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("centre", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["centre"], ["centres.name"], name=op.f("fk_user_centres_centre_centres")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_centres_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "centre", name=op.f("pk_user_centres")),
    )
    _refuse_changes()


def _refuse_changes() -> None:
    """Create triggers that reject updates and deletes of audit entries."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"""CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'insufficient_privilege'; END $$"""
        )
        op.execute(
            """CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries
            FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"""
        )
        op.execute(
            """CREATE TRIGGER audit_entries_never_emptied BEFORE TRUNCATE ON audit_entries
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"""
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"""CREATE TRIGGER audit_entries_no_{change.lower()} BEFORE {change} ON audit_entries
            BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"""
        )
    # SQLite's INSERT OR REPLACE deletes rows without firing the delete trigger.
    op.execute(
        f"""CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries
        WHEN EXISTS (SELECT 1 FROM audit_entries
                     WHERE sequence = NEW.sequence OR id = NEW.id OR hash = NEW.hash)
        BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"""  # noqa: S608
    )


def downgrade() -> None:
    for table in (
        "user_centres",
        "refresh_tokens",
        "users",
        "api_keys",
        "signing_keys",
        "revocations",
        "platform_settings",
        "login_attempts",
        "centres",
        "audit_head",
        "audit_entries",
        "admin_runs",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_audit_change()")
