"""The gateway's parts, put together once and handed to the routes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.core.access.audit_chain import AuditChain
from services.core.access.roles import Role
from services.core.access.tables import CentreRow
from services.gateway import users
from services.gateway.counters import Counters
from services.gateway.live_access import LiveAccess
from services.gateway.passwords import Passwords, check_new
from services.gateway.settings import GatewaySettings
from services.gateway.sign_in import SignIn
from services.gateway.signing import SigningKeyStore, fernet_of
from services.gateway.trail import Origin, Trail

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gateway:
    settings: GatewaySettings
    engine: Engine
    counters: Counters
    signing: SigningKeyStore
    passwords: Passwords
    access: LiveAccess
    trail: Trail
    sign_in: SignIn

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose changes are written together, or not at all where it ends with an error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session


def chain_of(settings: GatewaySettings) -> AuditChain:
    """The audit log's chain under this platform's key.

    Raises:
        VigieError: there is no key.
    """
    secret = settings.gateway_key_encryption
    fernet_of(secret.get_secret_value() if secret is not None else None)
    assert secret is not None
    return AuditChain(secret.get_secret_value().encode())


def assemble(settings: GatewaySettings, engine: Engine, *, hasher: PasswordHasher | None = None) -> Gateway:
    """
    Args:
        hasher: cheaper parameters, for tests.

    Raises:
        VigieError: there is no key to encrypt with.
    """
    chain = chain_of(settings)
    assert settings.gateway_key_encryption is not None
    counters = Counters(CollectorRegistry())
    signing = SigningKeyStore(engine, fernet_of(settings.gateway_key_encryption.get_secret_value()))
    passwords = Passwords(settings.gateway_password_threads, hasher)
    access, trail = LiveAccess(engine, signing), Trail(chain, counters)
    sign_in = SignIn(
        settings=settings,
        engine=engine,
        signing=signing,
        passwords=passwords,
        access=access,
        trail=trail,
        counters=counters,
    )
    return Gateway(settings, engine, counters, signing, passwords, access, trail, sign_in)


def prepare(gateway: Gateway) -> None:
    """What the database needs before anybody can sign in: a signing key, the first centre and, if there
    are no users and a password is set, the first administrator. Safe to do again, and in replicas at once."""
    settings = gateway.settings
    gateway.signing.rotate_if_due(settings.gateway_signing_days * 86_400)
    password = settings.gateway_admin_password
    with gateway.transaction() as session:
        gateway.signing.alone(session)
        if session.get(CentreRow, settings.gateway_first_centre) is None:
            users.create_centre(session, settings.gateway_first_centre, settings.gateway_first_centre)
        if users.any_user(session):
            return
        if password is None:
            log.warning("no users and VIGIE_GATEWAY_ADMIN_PASSWORD is not set: nobody can sign in")
            return
        text = password.get_secret_value()
        check_new(text, users.FIRST_ADMIN)
        users.create(
            session,
            name=users.FIRST_ADMIN,
            password_hash=gateway.passwords.hash(text),
            role=Role.ADMIN,
            centre=settings.gateway_first_centre,
            all_centres=True,
            must_change_password=True,
        )
        gateway.trail.add(session, Origin(), "user.created", by=None, target=f"user {users.FIRST_ADMIN}", first=True)
        log.info("first administrator made", name=users.FIRST_ADMIN)
