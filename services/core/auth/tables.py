"""Identity tables: centres, users, API keys, refresh tokens, signing keys, revocations and failed logins.

The gateway writes them. Secrets are stored as hashes (Argon2 for passwords, SHA-256 for keys and refresh tokens, which
carry 256 random bits) or encrypted (signing keys)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.core.auth.principal import Role
from services.core.database.connection import DIGEST, ID, NAME, WORD, Base

_ROLES = ", ".join(f"'{role}'" for role in Role)


class CentreRow(Base):
    """A dispatch centre. ``name`` is its id in tokens and calls, ``title`` is for display."""

    __tablename__ = "centres"

    name: Mapped[str] = mapped_column(String(NAME), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    created: Mapped[datetime]


class UserRow(Base):
    """A user. ``name`` is unique in lower case; ``all_centres`` includes centres created later."""

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
    external_subject: Mapped[str | None] = mapped_column(String(255), unique=True, index=True)
    """Issuer and subject at an identity provider, for users who sign in there."""
    totp_secret: Mapped[str | None] = mapped_column(String(255))
    """Encrypted secret of the second factor."""
    totp_confirmed: Mapped[bool | None]
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)
    """Time step of the last code that was used: a code counts once."""


class UserCentreRow(Base):
    """A further centre that a user can see."""

    __tablename__ = "user_centres"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    centre: Mapped[str] = mapped_column(ForeignKey("centres.name"), primary_key=True)


class ApiKeyRow(Base):
    """An API key of a centre's machine. ``use_cases``: those it can call; None: all. A rotated key is valid until its
    ``expires_at``, which the rotation brings forward."""

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
    """A refresh token. Those of one session (started at ``signed_in``) share ``family``; reuse of one ends the
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
    """A signing key of access tokens: published from ``created``, signing from ``signs_from`` until a newer one does,
    published until ``retires_at`` (None while it is the newest)."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(String(DIGEST), primary_key=True)
    public_jwk: Mapped[dict[str, Any]]
    private_key: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime]
    signs_from: Mapped[datetime]
    retires_at: Mapped[datetime | None]


class RevocationRow(Base):
    """Revoked tokens, until they would have expired anyway (``until``): one by its id (``kind`` jti), those of a
    sign-in (``kind`` sid), or a user's issued before ``issued_before`` (``kind`` sub)."""

    __tablename__ = "revocations"

    kind: Mapped[str] = mapped_column(String(WORD), primary_key=True)
    value: Mapped[str] = mapped_column(String(DIGEST), primary_key=True)
    issued_before: Mapped[datetime]
    until: Mapped[datetime] = mapped_column(index=True)


class LoginAttemptRow(Base):
    """Failed logins of one user name (as SHA-256) or one address."""

    __tablename__ = "login_attempts"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    failures: Mapped[int]
    since: Mapped[datetime]
    last: Mapped[datetime] = mapped_column(index=True)
    locked_until: Mapped[datetime | None]
