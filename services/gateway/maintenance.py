"""``python -m services.gateway.maintenance``: what an administrator of the machine does in the gateway's container,
where the platform's command line is not installed. ``./vigie audit verify`` and ``./vigie users reset-password`` do the
same on the embedded platform."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from services.core.access.audit_verify import verify
from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.database.connection import address, make_engine
from services.core.errors import NotFoundError, VigieError
from services.core.logs import configure_logs
from services.gateway import attempts, refresh, revocations, users
from services.gateway.gateway import Gateway, assemble
from services.gateway.passwords import check_new, new_password
from services.gateway.settings import settings
from services.gateway.trail import Origin

MACHINE = Caller("service", "command-line", "./vigie", Role.ADMIN, "", None)
"""Stands in the audit log for who has the machine."""


def reset_password(gateway: Gateway, name: str, password: str) -> str:
    """Set a user's password anew, end their sign-ins and a pause after failed ones; the user's name.

    Raises:
        NotFoundError: there is no such user.
        VigieError: the password is too weak.
    """
    check_new(password, users.normal_name(name))
    password_hash, now = gateway.passwords.hash(password), datetime.now(UTC)
    with gateway.transaction() as session:
        user = users.find(session, name)
        if user is None:
            raise NotFoundError(f"There is no user {name}.", action="./vigie users add makes one.")
        user.password_hash, user.password_changed, user.must_change_password = password_hash, now, True
        user.active = True
        attempts.unlock(session, user.name)
        refresh.end_all(session, user, now)
        revocations.revoke_tokens_of(session, user.id, now)
        gateway.trail.add(session, Origin(), "user.password_reset", by=MACHINE, target=f"user {user.name}")
        return user.name


def verify_audit(gateway: Gateway) -> int:
    """Print what the audit log's check found; 1 if something is wrong."""
    with gateway.engine.connect() as connection:
        report = verify(connection, gateway.trail.chain)
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
    configure_logs("gateway", level="WARNING")
    try:
        engine = make_engine(address(settings().database_url, settings().home))
        gateway = assemble(settings(), engine)
        if chosen.command == "verify-audit":
            return verify_audit(gateway)
        password = new_password()
        name = reset_password(gateway, chosen.name, password)
    except VigieError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(f"{name}: {password} (has to be changed at the first sign-in)")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
