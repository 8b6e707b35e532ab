"""``./vigie users``: for whoever has the machine, also when nobody can sign in any more."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from services.cli.access import OPERATOR, opened_gateway
from services.cli.console import err, out
from services.core.access.roles import Role
from services.core.errors import NotFoundError

app = typer.Typer(help="Make users and set passwords.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME")]
FromInput = Annotated[
    bool, typer.Option("--password-from-input", help="Read the password from standard input; else one is made.")
]


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.DISPATCHER,
    centre: Annotated[str, typer.Option(help="Where the user belongs.")] = "default",
    centres: Annotated[str, typer.Option(help="Further centres that the user sees, comma-separated, or *.")] = "",
    password_from_input: FromInput = False,
) -> None:
    """Make a user. The password is shown once and has to be changed."""
    from services.gateway import users  # noqa: PLC0415
    from services.gateway.trail import Origin  # noqa: PLC0415

    with opened_gateway() as gateway:
        password, made = _password(users.normal_name(name), password_from_input)
        password_hash = gateway.passwords.hash(password)
        further = [] if centres == "*" else [part.strip() for part in centres.split(",") if part.strip()]
        with gateway.transaction() as session:
            user = users.create(
                session,
                name=name,
                password_hash=password_hash,
                role=role,
                centre=centre,
                centres=further,
                all_centres=centres == "*",
                must_change_password=True,
            )
            gateway.trail.add(
                session, Origin(), "user.created", by=OPERATOR, target=f"user {user.name}", role=str(role)
            )
    _show(user.name, password if made else None)


@app.command(name="reset-password")
def reset_password(name: Name, password_from_input: FromInput = False) -> None:
    """Set a user's password anew, end their sign-ins and a pause after failed ones."""
    from services.gateway import attempts, refresh, revocations, users  # noqa: PLC0415
    from services.gateway.trail import Origin  # noqa: PLC0415

    with opened_gateway() as gateway:
        password, made = _password(users.normal_name(name), password_from_input)
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
            gateway.trail.add(session, Origin(), "user.password_reset", by=OPERATOR, target=f"user {user.name}")
    _show(user.name, password if made else None)


def _password(name: str, from_input: bool) -> tuple[str, bool]:
    """The password, and whether it was made here."""
    from services.gateway.passwords import check_new, new_password  # noqa: PLC0415

    password = sys.stdin.readline().rstrip("\n") if from_input else new_password()
    check_new(password, name)
    return password, not from_input


def _show(name: str, password: str | None) -> None:
    err.print(f"User {name}. The password has to be changed at the first sign-in.", markup=False)
    if password is not None:
        out.print(password, markup=False)
