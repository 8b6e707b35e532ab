"""``./vigie users``: users on the platform's database, without a running gateway."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from services.cli.commands.access import COMMAND_LINE, open_gateway
from services.cli.console import AsJson, err, out, print_json, print_table
from services.core.auth.principal import Role

users_app = typer.Typer(
    help="List users, make them, set passwords and roles, let them in or not.", no_args_is_help=True
)

UserName = Annotated[str, typer.Argument(metavar="NAME")]
FromInput = Annotated[
    bool, typer.Option("--password-from-input", help="Read the password from standard input; else one is made.")
]


@users_app.command()
def add(
    name: UserName,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.DISPATCHER,
    centre: Annotated[str, typer.Option(help="Where the user belongs.")] = "default",
    centres: Annotated[str, typer.Option(help="Further centres that the user sees, comma-separated, or *.")] = "",
    password_from_input: FromInput = False,
) -> None:
    """Make a user. The password is shown once and has to be changed."""
    from services.gateway.audit.service import RequestOrigin  # noqa: PLC0415
    from services.gateway.users import service as users_service  # noqa: PLC0415

    with open_gateway() as gateway:
        password, made = _read_or_make_password(users_service.normalize_name(name), password_from_input)
        password_hash = gateway.passwords.hash(password)
        further = [] if centres == "*" else [part.strip() for part in centres.split(",") if part.strip()]
        with gateway.transaction() as session:
            user = users_service.insert_user(
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
                session, RequestOrigin(), "user.created", by=COMMAND_LINE, target=f"user {user.name}", role=str(role)
            )
    _show_password(user.name, password if made else None)


@users_app.command(name="reset-password")
def reset_password(name: UserName, password_from_input: FromInput = False) -> None:
    """Set a user's password anew, end their sign-ins and a pause after failed ones."""
    from services.gateway.maintenance import reset_password as reset  # noqa: PLC0415
    from services.gateway.users import service as users_service  # noqa: PLC0415

    with open_gateway() as gateway:
        password, made = _read_or_make_password(users_service.normalize_name(name), password_from_input)
        user = reset(gateway, name, password)
    _show_password(user, password if made else None)


def _read_or_make_password(name: str, from_input: bool) -> tuple[str, bool]:
    """The password, and whether it was generated."""
    from services.gateway.auth.passwords import check_password_policy, generate_password  # noqa: PLC0415

    password = sys.stdin.readline().rstrip("\n") if from_input else generate_password()
    check_password_policy(password, name)
    return password, not from_input


def _show_password(name: str, password: str | None) -> None:
    err.print(f"User {name}. The password has to be changed at the first sign-in.", markup=False)
    if password is not None:
        out.print(password, markup=False)


@users_app.command(name="list")
def list_users(as_json: AsJson = False) -> None:
    """All users with role, centres and whether they may sign in."""
    from sqlalchemy import select  # noqa: PLC0415 - its libraries take a second

    from services.core.auth.tables import UserRow  # noqa: PLC0415
    from services.gateway.users import service as users_service  # noqa: PLC0415
    from services.gateway.users.schemas import User  # noqa: PLC0415

    with open_gateway() as gateway, gateway.transaction() as session:
        rows = session.scalars(select(UserRow).order_by(UserRow.name))
        found = [User.of(row, users_service.user_centres(session, row)) for row in rows]
    if as_json:
        print_json({"users": [user.model_dump(mode="json") for user in found]})
        return
    table = Table("name", "role", "centre", "also sees", "signs in", "password of", box=None, pad_edge=False)
    for user in found:
        also = "all centres" if user.centres == "*" else ", ".join(user.centres) or "-"
        signs_in = "no" if not user.active else "with a first password" if user.must_change_password else "yes"
        table.add_row(user.name, str(user.role), user.centre, also, signs_in, f"{user.password_changed:%Y-%m-%d}")
    print_table(table)


@users_app.command()
def role(name: UserName, role: Annotated[Role, typer.Argument(metavar="ROLE", help=", ".join(Role))]) -> None:
    """Change what a user may do; takes effect within seconds."""
    _change(name, role=role)


@users_app.command()
def deactivate(name: UserName) -> None:
    """Let a user sign in no more and end their sign-ins; nothing of what they did is removed."""
    _change(name, active=False)


@users_app.command()
def activate(name: UserName) -> None:
    """Let a deactivated user sign in again, with the password they had."""
    _change(name, active=True)


def _change(name: str, *, role: Role | None = None, active: bool | None = None) -> None:
    from services.gateway.maintenance import change_user  # noqa: PLC0415 - its libraries take a second

    with open_gateway() as gateway:
        user = change_user(gateway, name, role=role, active=active)
    state = "may sign in" if user.active else "may not sign in"
    err.print(f"User {user.name} is {user.role} of {user.centre} and {state}.", markup=False)
