"""Maintenance commands: verifies the audit log, resets passwords. ``python -m services.gateway.maintenance``.

For use inside the gateway's container."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from services.core.audit.log import verify_chain
from services.core.auth.principal import Principal, Role
from services.core.database.connection import database_address, make_engine
from services.core.errors import ConflictError, NotFoundError, VigieError
from services.core.logs import configure_logging
from services.gateway.audit.service import RequestOrigin
from services.gateway.auth import db_authenticator, session_store
from services.gateway.auth.login import check_password_policy, generate_password
from services.gateway.container import GatewayContainer, build_container
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
        session_store.clear_lockout(session, user.name)
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
    commands.add_parser("reset-password", help="set a user's password anew").add_argument("name")
    chosen = parser.parse_args(arguments)
    configure_logging("gateway", level="WARNING")
    try:
        engine = make_engine(database_address(settings().database_url, settings().home))
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
