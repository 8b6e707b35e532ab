"""``./vigie keys`` and ``audit``: API keys and the audit log on the platform's database, without a running gateway."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr
from rich.markup import escape
from rich.table import Table

from services.cli.console import AsJson, err, out, print_json, print_table
from services.cli.local_platform import secrets
from services.core.auth.principal import Principal, Role
from services.core.errors import NotFoundError, VigieError

if TYPE_CHECKING:
    from services.gateway.container import GatewayContainer


COMMAND_LINE = Principal("service", "command-line", "./vigie", Role.ADMIN, "", None)
"""Actor in the audit log for actions on the command line of the machine."""


def command_line_principal() -> Principal:
    """``COMMAND_LINE`` with the name of the operating system's user."""
    return replace(COMMAND_LINE, name=f"{os_user()} ({COMMAND_LINE.name})"[:120])


def os_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run with a user id without name
        return f"uid {os.getuid()}"


@contextmanager
def open_gateway() -> Iterator[GatewayContainer]:
    """Open the gateway's container, with its key from the environment, .env or the secrets of ``./vigie up``.

    Raises:
        VigieError: the key is missing, or the database does not answer.
    """
    from sqlalchemy import text  # noqa: PLC0415 - its libraries take a second
    from sqlalchemy.exc import OperationalError, ProgrammingError  # noqa: PLC0415

    from services.core.database.connection import database_address, make_engine  # noqa: PLC0415
    from services.gateway.container import build_container  # noqa: PLC0415
    from services.gateway.settings import GatewaySettings  # noqa: PLC0415

    chosen = GatewaySettings()
    if chosen.gateway_key_encryption is None:
        key = secrets.value(chosen.home, "VIGIE_GATEWAY_KEY_ENCRYPTION")
        chosen = chosen.model_copy(update={"gateway_key_encryption": SecretStr(key) if key else None})
    engine = make_engine(database_address(chosen.database_url, chosen.home))
    shown = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM audit_head"))
    except (OperationalError, ProgrammingError) as error:
        raise VigieError(
            f"The platform's database {shown} cannot be used: {str(error.orig).strip().splitlines()[0]}",
            action="Start the platform once (./vigie up), or see VIGIE_DATABASE_URL.",
        ) from None
    try:
        yield build_container(chosen, engine)
    finally:
        engine.dispose()


keys_app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@keys_app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call the key.")],
    centre: Annotated[str, typer.Option(help="The centre that it is for.")] = "default",
    role: Annotated[Role, typer.Option(help="What the key may do.")] = Role.DISPATCHER,
    use_cases: Annotated[str, typer.Option(help="Only these use cases, comma-separated.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How long it lives.")] = 365,
) -> None:
    """Make a key and show it, this once."""
    from services.gateway.api_keys import service as api_keys_service  # noqa: PLC0415 - its libraries take a second
    from services.gateway.audit.service import RequestOrigin  # noqa: PLC0415

    chosen, now = [part.strip() for part in use_cases.split(",") if part.strip()], datetime.now(UTC)
    with open_gateway() as gateway, gateway.transaction() as session:
        made = api_keys_service.insert_api_key(
            session,
            name=name,
            role=role,
            centre=centre,
            use_cases=chosen or None,
            expires_at=now + timedelta(days=days),
            created_by=COMMAND_LINE.name,
            now=now,
        )
        gateway.trail.add(
            session,
            RequestOrigin(),
            "key.created",
            by=COMMAND_LINE,
            target=f"key {made.row.id}",
            name=name,
            role=str(role),
        )
    err.print(f"Key {made.row.id}, until {made.row.expires_at:%Y-%m-%d}. It is not shown again:", markup=False)
    out.print(made.text, markup=False)


@keys_app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a key; it stops working everywhere within a minute."""
    from services.gateway.api_keys import service as api_keys_service  # noqa: PLC0415
    from services.gateway.audit.service import RequestOrigin  # noqa: PLC0415

    with open_gateway() as gateway, gateway.transaction() as session:
        try:
            api_keys_service.revoke_api_key(session, key_id, datetime.now(UTC))
        except NotFoundError as error:  # its advice is for callers of the gateway
            raise NotFoundError(error.problem, action="./vigie keys list shows all.") from None
        gateway.trail.add(session, RequestOrigin(), "key.revoked", by=COMMAND_LINE, target=f"key {key_id}")
    err.print(f"Key {key_id} is revoked.", markup=False)


@keys_app.command(name="list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys with their state and last use."""
    from services.gateway.api_keys import service as api_keys_service  # noqa: PLC0415
    from services.gateway.api_keys.schemas import ApiKey  # noqa: PLC0415

    with open_gateway() as gateway, gateway.transaction() as session:
        found = [ApiKey.of(row) for row in api_keys_service.list_api_keys(session, None)]
    if as_json:
        print_json({"keys": [key.model_dump(mode="json") for key in found]})
        return
    now = datetime.now(UTC)
    table = Table("id", "state", "name", "may act as", "use cases", "last use", box=None, pad_edge=False)
    for column in (table.columns[0], table.columns[1], table.columns[5]):
        column.no_wrap = True
    for key in found:
        ended = "revoked" if key.revoked_at else "expired" if key.expires_at <= now else "in force"
        last = f"{key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never"
        scope = "\n".join(key.use_cases) if key.use_cases else "all"
        table.add_row(key.id, ended, escape(key.name), f"{key.role} of {key.centre}", scope, last)
    print_table(table)


audit_app = typer.Typer(help="Check the audit log.", no_args_is_help=True)


@audit_app.callback()
def _group() -> None:
    """Keep ``verify`` a command of its own."""


@audit_app.command()
def verify(
    expect: Annotated[
        str | None,
        typer.Option(metavar="SEQUENCE:HASH", help="What an earlier check printed, noted outside of the platform."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read the whole audit log and name every entry that was changed, removed or reordered. Ends with 1 if there
    is one."""
    from services.core.audit.log import verify_chain as check  # noqa: PLC0415 - takes a second

    noted = None
    if expect is not None:
        number, _, digest = expect.partition(":")
        if not number.isdigit() or not digest:
            raise VigieError("--expect is not understood.", expected="SEQUENCE:HASH, as ./vigie audit verify prints it")
        noted = (int(number), digest)
    with open_gateway() as gateway, gateway.engine.connect() as connection:
        report = check(connection, gateway.trail.chain, noted=noted)
    if as_json:
        print_json({**asdict(report), "intact": report.intact})
    elif report.intact:
        out.print(f"{report.entries} entries, unbroken. Note this elsewhere: {report.sequence}:{report.hash}")
    else:
        for fault in report.faults:
            out.print(fault, markup=False)
        err.print(f"[bold red]{len(report.faults)} faults in {report.entries} entries.[/] Keep a copy of the database.")
    if not report.intact:
        sys.exit(1)
