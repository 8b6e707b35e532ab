"""Maintenance: verifies the audit log, resets passwords, replaces the key. ``python -m services.gateway.maintenance``.

For use inside the gateway's container."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from cryptography.fernet import InvalidToken
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from services.core.audit.log import AuditChain, verify_chain
from services.core.auth.principal import Principal, Role
from services.core.auth.tables import SigningKeyRow, UserRow
from services.core.database.connection import database_address, make_engine
from services.core.errors import ConflictError, NotFoundError, VigieError
from services.core.logs import configure_logging
from services.gateway.audit.service import AuditLog, RequestOrigin
from services.gateway.auth import db_authenticator, login_throttle, session_store
from services.gateway.auth.db_authenticator import SigningKeyStore, create_fernet
from services.gateway.auth.passwords import check_password_policy, generate_password
from services.gateway.container import GatewayContainer, build_container
from services.gateway.metrics import GatewayMetrics
from services.gateway.settings import settings
from services.gateway.users import service as users_service
from services.gateway.users.schemas import User

COMMAND_LINE_PRINCIPAL = Principal("service", "command-line", "./vigie", Role.ADMIN, "", None)
"""Actor of audit entries written by the command line."""


def reset_password(gateway: GatewayContainer, name: str, password: str) -> str:
    """Reset a user's password, end their sessions and lockout; return the user's name.

    Raises:
        NotFoundError: no such user.
        VigieError: the password is too weak.
    """
    check_password_policy(password, users_service.normalize_name(name))
    password_hash, now = gateway.passwords.hash(password), datetime.now(UTC)
    with gateway.transaction() as session:
        user = users_service.find_user(session, name)
        if user is None:
            raise NotFoundError(f"There is no user {name}.", action="./vigie users add makes one.")
        user.password_hash, user.password_changed, user.must_change_password = password_hash, now, True
        user.active = True
        login_throttle.clear_lockout(session, user.name)
        session_store.end_all_sessions(session, user, now)
        db_authenticator.revoke_tokens_of(session, user.id, now)
        gateway.trail.add(
            session, RequestOrigin(), "user.password_reset", by=COMMAND_LINE_PRINCIPAL, target=f"user {user.name}"
        )
        return user.name


def change_user(gateway: GatewayContainer, name: str, *, role: Role | None = None, active: bool | None = None) -> User:
    """Change a user's role, or whether they may sign in; revoke their tokens and end the sessions of who may not.

    Raises:
        NotFoundError: no such user.
        ConflictError: it is the last active administrator of all centres.
    """
    with gateway.transaction() as session:
        user = users_service.find_user(session, name)
        if user is None:
            raise NotFoundError(f"There is no user {name}.", action="./vigie users list shows all.")
        was_last_admin = users_service.is_last_full_admin(session, user)
        user.role = str(role or user.role)
        user.active = user.active if active is None else active
        session.flush()
        if was_last_admin and not (user.active and user.role == Role.ADMIN):
            raise ConflictError(
                f"{user.name} is the last active administrator of all centres.",
                action="Make another one first: ./vigie users add NAME --role admin --centres '*'",
            )
        now = datetime.now(UTC)
        db_authenticator.revoke_tokens_of(session, user.id, now)
        if not user.active:
            session_store.end_all_sessions(session, user, now)
        gateway.trail.add(
            session,
            RequestOrigin(),
            "user.changed",
            by=COMMAND_LINE_PRINCIPAL,
            target=f"user {user.name}",
            role=user.role,
            active=user.active,
        )
        return User.of(user, users_service.user_centres(session, user))


def rotate_encryption_key(engine: Engine, old: str, new: str) -> str:
    """Encrypt the signing keys anew and sign the end of the audit log with the new key, in one transaction, after an
    entry that notes it. Tokens and sign-ins stay valid. The gateway has to be stopped: it knows the old key.

    Returns:
        The end of the audit log, ``SEQUENCE:HASH``, to be noted elsewhere.

    Raises:
        VigieError: the old key is not the database's, or the end of the audit log is wrong.
    """
    before, after = create_fernet(old), create_fernet(new)
    chain, next_chain = AuditChain(old.encode()), AuditChain(new.encode())
    with Session(engine) as session, session.begin():
        SigningKeyStore(engine, before).lock_rotation(session)
        if problem := chain.head_problem(session.connection()):
            raise VigieError(
                f"The audit log cannot be signed anew: {problem}.",
                action="./vigie audit verify names the fault; keep a copy of the database.",
            )

        def renewed(text: str, what: str) -> str:
            try:
                return after.encrypt(before.decrypt(text.encode())).decode()
            except InvalidToken:
                raise VigieError(
                    f"The {what} was encrypted with another key.",
                    expected="the VIGIE_GATEWAY_KEY_ENCRYPTION that it was made with",
                ) from None

        for row in session.scalars(select(SigningKeyRow)):
            row.private_key = renewed(row.private_key, f"signing key {row.kid}")
        for user in session.scalars(select(UserRow).where(UserRow.totp_secret.is_not(None))):
            user.totp_secret = renewed(user.totp_secret or "", f"second factor of {user.name}")
        session.flush()
        AuditLog(chain, GatewayMetrics(CollectorRegistry())).add(
            session,
            RequestOrigin(),
            "secret.rotated",
            by=COMMAND_LINE_PRINCIPAL,
            target="secret VIGIE_GATEWAY_KEY_ENCRYPTION",
        )
        sequence, last = next_chain.sign_head(session.connection())
    return f"{sequence}:{last}"


def verify_audit(gateway: GatewayContainer) -> int:
    """Print the result of the audit log's verification; exit code 1 if there is a fault."""
    with gateway.engine.connect() as connection:
        report = verify_chain(connection, gateway.trail.chain)
    for fault in report.faults:
        print(fault)  # noqa: T201 - a command's answer
    if report.intact:
        print(f"{report.entries} entries, unbroken. Note this elsewhere: {report.sequence}:{report.hash}")  # noqa: T201
    return 0 if report.intact else 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.gateway.maintenance")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("verify-audit", help="check the audit log from its first entry to its last")
    commands.add_parser(
        "rotate-encryption-key", help="replace VIGIE_GATEWAY_KEY_ENCRYPTION by the one on standard input"
    )
    commands.add_parser("reset-password", help="set a user's password anew").add_argument("name")
    chosen = parser.parse_args(arguments)
    configure_logging("gateway", level="WARNING")
    try:
        engine = make_engine(database_address(settings().database_url, settings().home))
        if chosen.command == "rotate-encryption-key":
            secret = settings().gateway_key_encryption
            end = rotate_encryption_key(
                engine, secret.get_secret_value() if secret else "", sys.stdin.readline().strip()
            )
            engine.dispose()
            print(f"Put the new key into .env now. The end of the audit log, to note elsewhere: {end}")  # noqa: T201
            return 0
        gateway = build_container(settings(), engine)
        if chosen.command == "verify-audit":
            return verify_audit(gateway)
        password = generate_password()
        name = reset_password(gateway, chosen.name, password)
    except VigieError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(f"{name}: {password} (has to be changed at the first sign-in)")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
