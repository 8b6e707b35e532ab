"""Builds the gateway's components, prepares the database and runs maintenance.

Maintenance rotates signing keys and deletes what has expired."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog
from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.core.audit.log import AuditChain
from services.core.auth.principal import Principal, Role
from services.core.auth.tables import CentreRow
from services.core.errors import VigieError
from services.core.jobs.tables import last_retention
from services.core.model_registry import promotion_freeze
from services.gateway.audit.service import AuditLog, RequestOrigin
from services.gateway.auth import db_authenticator, login_throttle, session_store
from services.gateway.auth.db_authenticator import DbAuthenticator, SigningKeyStore, create_fernet
from services.gateway.auth.login import LoginService
from services.gateway.auth.oidc import OidcLogin
from services.gateway.auth.passwords import PasswordService, check_password_policy
from services.gateway.auth.second_factor import SecondFactor
from services.gateway.metrics import GatewayMetrics
from services.gateway.settings import GatewaySettings
from services.gateway.users import service as users_service

log = structlog.get_logger(__name__)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class GatewayContainer:
    """The gateway's components, shared by routes and background tasks."""

    settings: GatewaySettings
    engine: Engine
    counters: GatewayMetrics
    signing: SigningKeyStore
    passwords: PasswordService
    access: DbAuthenticator
    trail: AuditLog
    sign_in: LoginService
    second_factor: SecondFactor
    oidc: OidcLogin | None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session whose changes are committed together, or rolled back on an error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def run_in_transaction(self, work: Callable[[Session], ResultT]) -> ResultT:
        """Run ``work`` in a transaction, off the event loop."""

        def run() -> ResultT:
            with self.transaction() as session:
                return work(session)

        return await asyncio.to_thread(run)

    def record(self, origin: RequestOrigin, action: str, *, by: Principal | None, **entry: Any) -> None:
        """Write one audit entry in its own transaction, for actions that change nothing else in the database; ``entry``
        as in ``AuditLog.add``."""
        with self.transaction() as session:
            self.trail.add(session, origin, action, by=by, **entry)


def create_audit_chain(settings: GatewaySettings) -> AuditChain:
    """Create the audit chain with this platform's key.

    Raises:
        VigieError: the key is not set.
    """
    secret = settings.gateway_key_encryption
    create_fernet(secret.get_secret_value() if secret is not None else None)
    assert secret is not None
    return AuditChain(secret.get_secret_value().encode())


def build_container(
    settings: GatewaySettings, engine: Engine, *, hasher: PasswordHasher | None = None
) -> GatewayContainer:
    """Build the gateway's components.

    Args:
        hasher: cheaper parameters, for tests.

    Raises:
        VigieError: the encryption key is not set.
    """
    chain = create_audit_chain(settings)
    assert settings.gateway_key_encryption is not None
    counters = GatewayMetrics(CollectorRegistry())
    fernet = create_fernet(settings.gateway_key_encryption.get_secret_value())
    signing = SigningKeyStore(engine, fernet)
    second_factor = SecondFactor(fernet, required=settings.gateway_second_factor_required)
    oidc = OidcLogin(settings, fernet) if settings.oidc_issuer and settings.oidc_client_id else None
    passwords = PasswordService(settings.gateway_password_threads, hasher)
    access, trail = DbAuthenticator(engine, signing), AuditLog(chain, counters)
    sign_in = LoginService(
        settings=settings,
        engine=engine,
        signing=signing,
        passwords=passwords,
        access=access,
        trail=trail,
        counters=counters,
        second_factor=second_factor,
    )
    return GatewayContainer(settings, engine, counters, signing, passwords, access, trail, sign_in, second_factor, oidc)


def prepare_database(gateway: GatewayContainer) -> None:
    """Create what login requires: a signing key, the first centre and, if there are no users and a password is set, the
    first administrator. Idempotent, also in concurrent replicas.

    The first administrator need not change the password: it is a secret of this installation like the others."""
    settings = gateway.settings
    gateway.signing.rotate_if_due(settings.gateway_signing_days * 86_400)
    password = settings.gateway_admin_password
    with gateway.transaction() as session:
        gateway.signing.lock_rotation(session)
        if session.get(CentreRow, settings.gateway_first_centre) is None:
            users_service.insert_centre(session, settings.gateway_first_centre, settings.gateway_first_centre)
        if users_service.has_users(session):
            _excuse_first_admin(gateway, session)
            return
        if password is None:
            log.warning("no users and VIGIE_GATEWAY_ADMIN_PASSWORD is not set: nobody can sign in")
            return
        text = password.get_secret_value()
        check_password_policy(text, users_service.FIRST_ADMIN)
        users_service.insert_user(
            session,
            name=users_service.FIRST_ADMIN,
            password_hash=gateway.passwords.hash(text),
            role=Role.ADMIN,
            centre=settings.gateway_first_centre,
            all_centres=True,
        )
        gateway.trail.add(
            session, RequestOrigin(), "user.created", by=None, target=f"user {users_service.FIRST_ADMIN}", first=True
        )
        log.info("first administrator made", name=users_service.FIRST_ADMIN)


def _excuse_first_admin(gateway: GatewayContainer, session: Session) -> None:
    """Let the first administrator of a home of 0.1.0 go on with the environment's password, as a new one does.

    That release marked it as one to be changed, which now shuts out everything else."""
    password = gateway.settings.gateway_admin_password
    admin = users_service.find_user(session, users_service.FIRST_ADMIN)
    if admin is None or password is None or not admin.must_change_password:
        return
    if gateway.passwords.is_right(admin.password_hash, password.get_secret_value()):
        admin.must_change_password = False


PREPARE_RETRY_SECONDS = 1.0
MAINTENANCE_SECONDS = 60.0


class MaintenanceTask:
    """Prepares the database, then runs maintenance every minute.

    The gateway starts without a database and is not ready until ``prepared`` is true."""

    def __init__(self, gateway: GatewayContainer) -> None:
        self._gateway = gateway
        self._prepared = asyncio.Event()

    @property
    def prepared(self) -> bool:
        return self._prepared.is_set()

    async def wait_until_prepared(self) -> None:
        await self._prepared.wait()

    async def run(self) -> None:
        """Run until cancelled."""
        await self._prepare()
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            try:
                await asyncio.to_thread(self.run_once)
            except (SQLAlchemyError, VigieError) as error:
                log.warning("the gateway's upkeep failed", error=type(error).__name__)

    def run_once(self) -> None:
        """Run maintenance once: rotate the signing key if due and delete expired rows."""
        gateway, now = self._gateway, datetime.now(UTC)
        if gateway.signing.rotate_if_due(gateway.settings.gateway_signing_days * 86_400):
            log.info("new signing key")
        with gateway.transaction() as session:
            session_store.delete_expired_refresh_tokens(session, now)
            db_authenticator.delete_expired_revocations(session, now)
            login_throttle.delete_expired_attempts(session, now)
            gateway.counters.frozen.set(promotion_freeze.active_freeze_in(session.connection()) is not None)
            since = last_retention(session) or session.scalar(select(func.min(CentreRow.created)))
            gateway.counters.retention.set(0.0 if since is None else since.timestamp())

    async def _prepare(self) -> None:
        logged = False
        while not self.prepared:
            try:
                await asyncio.to_thread(prepare_database, self._gateway)
                await asyncio.to_thread(self._gateway.access.renew)
            except (SQLAlchemyError, VigieError) as error:
                if not logged:
                    reason = str(error) if isinstance(error, VigieError) else type(error).__name__
                    log.error("the gateway cannot start its work", reason=reason)
                logged = True
                await asyncio.sleep(PREPARE_RETRY_SECONDS)
                continue
            self._gateway.access.start()
            self._prepared.set()
