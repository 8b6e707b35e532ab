"""The tables of identity, keys, the audit log, platform settings and the gateway's runs.

The gateway writes them; other services only read ``platform_settings``. Secrets are kept as hashes
(argon2 for passwords, SHA-256 for keys and refresh tokens, which carry 256 random bits) or encrypted
(signing keys).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.core.access.roles import Role
from services.core.database.base import Base, Json

_ROLES = ", ".join(f"'{role}'" for role in Role)
NAME, ID, DIGEST, WORD = 120, 32, 64, 40
"""Longest values, in characters."""


class CentreRow(Base):
    """A dispatch centre. ``name`` is its id in tokens and calls, ``title`` what people read."""

    __tablename__ = "centres"

    name: Mapped[str] = mapped_column(String(NAME), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    created: Mapped[datetime]


class UserRow(Base):
    """A person. ``name`` is unique in lower case; ``all_centres`` stands for every centre, also later ones."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(f"role IN ({_ROLES})", name="role"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(WORD))
    centre: Mapped[str] = mapped_column(ForeignKey("centres.name"))
    all_centres: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    must_change_password: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]
    password_changed: Mapped[datetime]


class UserCentreRow(Base):
    """A centre beside their own whose things a user sees."""

    __tablename__ = "user_centres"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    centre: Mapped[str] = mapped_column(ForeignKey("centres.name"), primary_key=True)


class ApiKeyRow(Base):
    """A key of a centre's machine. ``use_cases`` None stands for all; a rotated key works until its
    ``expires_at``, which the rotation brought forward."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint(f"role IN ({_ROLES})", name="role"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    sha256: Mapped[str] = mapped_column(String(DIGEST), unique=True)
    role: Mapped[str] = mapped_column(String(WORD))
    centre: Mapped[str] = mapped_column(ForeignKey("centres.name"), index=True)
    use_cases: Mapped[list[str] | None]
    created: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(NAME))
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    rotated_from: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"))
    last_used_at: Mapped[datetime | None]
    uses: Mapped[int] = mapped_column(BigInteger, default=0)


class RefreshTokenRow(Base):
    """A refresh token. Those of one sign-in (at ``signed_in``) share ``family``; using one twice ends the
    family."""

    __tablename__ = "refresh_tokens"

    sha256: Mapped[str] = mapped_column(String(DIGEST), primary_key=True)
    family: Mapped[str] = mapped_column(String(ID), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    signed_in: Mapped[datetime]
    created: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SigningKeyRow(Base):
    """A key that access tokens are signed with: published from ``created``, signing from ``signs_from``
    until a newer one does, published until ``retires_at`` (None: as long as it signs)."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(String(DIGEST), primary_key=True)
    public_jwk: Mapped[dict[str, Any]]
    private_key: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime]
    signs_from: Mapped[datetime]
    retires_at: Mapped[datetime | None]


class RevocationRow(Base):
    """Tokens that no longer count until they would have expired anyway (``until``): one token by its
    id (``kind`` jti), or a user's tokens issued before ``issued_before`` (``kind`` sub)."""

    __tablename__ = "revocations"

    kind: Mapped[str] = mapped_column(String(WORD), primary_key=True)
    value: Mapped[str] = mapped_column(String(DIGEST), primary_key=True)
    issued_before: Mapped[datetime]
    until: Mapped[datetime] = mapped_column(index=True)


class LoginAttemptRow(Base):
    """Sign-ins of one user name (as SHA-256) or one address that did not succeed."""

    __tablename__ = "login_attempts"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    failures: Mapped[int]
    since: Mapped[datetime]
    last: Mapped[datetime] = mapped_column(index=True)
    locked_until: Mapped[datetime | None]


class AuditEntryRow(Base):
    """An entry of the audit log; triggers refuse to change or remove one. ``details`` is canonical JSON
    text: what was hashed is what is stored."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_action_time", "action", "time"),)

    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False
    )
    id: Mapped[str] = mapped_column(String(DIGEST), unique=True)
    time: Mapped[datetime] = mapped_column(index=True)
    service: Mapped[str] = mapped_column(String(WORD))
    actor_kind: Mapped[str] = mapped_column(String(WORD))
    actor_id: Mapped[str] = mapped_column(String(NAME))
    actor_name: Mapped[str] = mapped_column(String(NAME), index=True)
    centre: Mapped[str] = mapped_column(String(NAME))
    action: Mapped[str] = mapped_column(String(80))
    use_case: Mapped[str] = mapped_column(String(NAME), index=True)
    target: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(80))
    request_id: Mapped[str] = mapped_column(String(80))
    outcome: Mapped[str] = mapped_column(String(WORD))
    details: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(DIGEST))
    hash: Mapped[str] = mapped_column(String(DIGEST), unique=True)


class AuditHeadRow(Base):
    """The newest entry's sequence and hash under an HMAC whose key is not in the database: one row."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(DIGEST))
    mac: Mapped[str] = mapped_column(String(DIGEST))


class PlatformSettingRow(Base):
    """What an operator switches while the platform runs, such as the freeze of promotions."""

    __tablename__ = "platform_settings"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    value: Mapped[dict[str, Any]]
    changed: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(NAME))


class RunRow(Base):
    """An ingestion or retraining that the gateway started: a run of an Airflow DAG, or a sequence of the
    stage services' jobs that the gateway carries on itself, also after its own restart."""

    __tablename__ = "admin_runs"
    __table_args__ = (Index("ix_admin_runs_kind_created", "kind", "created"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    kind: Mapped[str] = mapped_column(String(WORD))
    use_case: Mapped[str] = mapped_column(String(NAME))
    backend: Mapped[str] = mapped_column(String(WORD))
    state: Mapped[str] = mapped_column(String(WORD), index=True)
    options: Mapped[dict[str, Any]]
    steps: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    idempotency_key: Mapped[str] = mapped_column(String(DIGEST), unique=True)
    requested_by: Mapped[str] = mapped_column(String(NAME))
    centre: Mapped[str] = mapped_column(String(NAME))
    created: Mapped[datetime]
    finished: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    owner: Mapped[str] = mapped_column(String(ID), default="")
    owned_until: Mapped[datetime | None]
