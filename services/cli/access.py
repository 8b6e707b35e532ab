"""What the commands about users, keys and the audit log share: the gateway's parts on the platform's database,
without the gateway."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from services.cli import secrets
from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.errors import VigieError

if TYPE_CHECKING:
    from services.gateway.gateway import Gateway

OPERATOR = Caller("service", "command-line", "./vigie", Role.ADMIN, "", None)
"""Stands in the audit log for who has the machine."""


def operator() -> Caller:
    """``OPERATOR`` with the name of the operating system's user."""
    return replace(OPERATOR, name=f"{os_user()} ({OPERATOR.name})"[:120])


def os_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number that no user has
        return f"uid {os.getuid()}"


@contextmanager
def opened_gateway() -> Iterator[Gateway]:
    """The gateway's parts, its key from the environment, .env or ``./vigie up``'s secrets.

    Raises:
        VigieError: there is no key, or the database does not answer.
    """
    from sqlalchemy import text  # noqa: PLC0415 - its libraries take a second
    from sqlalchemy.exc import OperationalError, ProgrammingError  # noqa: PLC0415

    from services.core.database.connection import address, make_engine  # noqa: PLC0415
    from services.gateway.gateway import assemble  # noqa: PLC0415
    from services.gateway.settings import GatewaySettings  # noqa: PLC0415

    chosen = GatewaySettings()
    if chosen.gateway_key_encryption is None:
        key = secrets.value(chosen.home, "VIGIE_GATEWAY_KEY_ENCRYPTION")
        chosen = chosen.model_copy(update={"gateway_key_encryption": SecretStr(key) if key else None})
    engine = make_engine(address(chosen.database_url, chosen.home))
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
        yield assemble(chosen, engine)
    finally:
        engine.dispose()
