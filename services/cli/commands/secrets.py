"""``./vigie secrets``: replaces the secrets of a home of local processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from services.cli.commands.init import SECRETS
from services.cli.console import out
from services.cli.local_platform import secrets
from services.cli.local_platform.supervisor import Supervisor
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.settings import settings

ENCRYPTION_KEY, FIRST_PASSWORD = "VIGIE_GATEWAY_KEY_ENCRYPTION", "VIGIE_GATEWAY_ADMIN_PASSWORD"
PSEUDONYMS = "VIGIE_CALLS_PSEUDONYM_KEY"
REPLACED_BY_USERS = {FIRST_PASSWORD: "./vigie users reset-password admin"}
"""Secrets that count at the first start alone -> the command that replaces what they made."""
app = typer.Typer(help="Replace the secrets of this home.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``rotate`` a command of its own."""


@app.command()
def rotate(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Variables of secrets.env; all that can be replaced where none is named."
        ),
    ] = None,
) -> None:
    """Replace secrets by new random ones. The platform has to be stopped; it uses them from its next start on."""
    home = settings().home
    if Supervisor(home).pid() is not None:
        raise VigieError(f"A platform runs in {home.root}.", action="Stop it with ./vigie down.")
    chosen = names or [name for name in secrets.LOCAL_SECRETS if name not in {*REPLACED_BY_USERS, PSEUDONYMS}]
    for name in chosen:
        _refuse(home, name)
    finish_interrupted(home)
    end = replace_secrets(home, chosen)
    out.print(f"Replaced: {', '.join(chosen)}. Start the platform with ./vigie up.", markup=False)
    if end:
        out.print(f"The end of the audit log, to note elsewhere: {end}")
    if PSEUDONYMS in chosen:
        out.print("Calls from now on have other pseudonyms than those before: what links them by person finds either.")


def _refuse(home: VigiePaths, name: str) -> None:
    if name in REPLACED_BY_USERS:
        raise VigieError(f"{name} counts at the first start alone.", action=REPLACED_BY_USERS[name])
    if name not in secrets.read(home):
        raise VigieError(
            f"{secrets.file_path(home)} has no {name}.", expected=f"one of {', '.join(secrets.LOCAL_SECRETS)}"
        )
    if secrets.value(home, name) != secrets.read(home)[name]:
        raise VigieError(
            f"{name} comes from the environment, not from {secrets.file_path(home)}.", action="Replace it there."
        )


def replace_secrets(home: VigiePaths, names: Sequence[str]) -> str:
    """Replace the secrets in the home's file and, for the encryption key, in the database; return the audit log's end,
    if that was signed anew.

    The new values lie in a file beside the old ones until the database is changed, so that an interruption loses none.
    """
    old = secrets.read(home)
    new = old | {name: SECRETS[name]() for name in names}
    secrets.write_next(home, new)
    end = _encrypt_anew(home, old[ENCRYPTION_KEY], new[ENCRYPTION_KEY]) if ENCRYPTION_KEY in names else ""
    secrets.use_next(home)
    return end


def finish_interrupted(home: VigiePaths) -> None:
    """Complete a replacement that was interrupted after the database was changed, or forget one before it."""
    waiting = secrets.read_next(home)
    if not waiting:
        return
    if waiting[ENCRYPTION_KEY] == secrets.read(home).get(ENCRYPTION_KEY) or not _signs_the_log(
        home, waiting[ENCRYPTION_KEY]
    ):
        secrets.drop_next(home)
    else:
        secrets.use_next(home)


def _encrypt_anew(home: VigiePaths, old: str, new: str) -> str:
    from services.core.database.connection import database_address, make_engine  # noqa: PLC0415 - takes a second
    from services.gateway.maintenance import rotate_encryption_key  # noqa: PLC0415

    if settings().database_url is None and not home.database.exists():
        return ""
    engine = make_engine(database_address(settings().database_url, home))
    try:
        return rotate_encryption_key(engine, old, new)
    finally:
        engine.dispose()


def _signs_the_log(home: VigiePaths, key: str) -> bool:
    from services.core.audit.log import AuditChain  # noqa: PLC0415 - takes a second
    from services.core.database.connection import database_address, make_engine  # noqa: PLC0415

    if settings().database_url is None and not home.database.exists():
        return False
    engine = make_engine(database_address(settings().database_url, home))
    try:
        with engine.connect() as connection:
            return AuditChain(key.encode()).head_problem(connection) == ""
    finally:
        engine.dispose()
