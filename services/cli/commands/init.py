"""``./vigie init``: writes the settings file of Docker Compose, with random secrets."""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.cli.console import out
from services.core.auth.service_credentials import COMPOSE_CALLERS, derive_service_token, service_callers
from services.core.errors import VigieError
from services.core.io import atomic_write
from services.core.settings import CHECKOUT

FIRST_USER = "admin"


def _password() -> str:
    return secrets.token_urlsafe(24)


def _signing_secret() -> str:
    return secrets.token_hex(48)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


SECRETS: Mapping[str, Callable[[], str]] = {
    "VIGIE_SERVICE_TOKEN": _signing_secret,
    "VIGIE_GATEWAY_KEY_ENCRYPTION": _fernet_key,
    "VIGIE_GATEWAY_ADMIN_PASSWORD": _password,
    "VIGIE_CALLS_PSEUDONYM_KEY": _signing_secret,
    "VIGIE_REGISTRY_ADMIN_PASSWORD": _password,
    "VIGIE_REGISTRY_WRITER_PASSWORD": _password,
    "VIGIE_REGISTRY_READER_PASSWORD": _password,
    "VIGIE_REGISTRY_SECRET_KEY": _signing_secret,
    "VIGIE_AIRFLOW_PASSWORD": _password,
    "VIGIE_AIRFLOW_OPERATOR_PASSWORD": _password,
    "VIGIE_AIRFLOW_JWT_SECRET": _signing_secret,
    "VIGIE_POSTGRES_PASSWORD": _password,
    "VIGIE_DATABASE_PASSWORD": _password,
    "VIGIE_REGISTRY_DATABASE_PASSWORD": _password,
    "VIGIE_AIRFLOW_DATABASE_PASSWORD": _password,
    "VIGIE_GRAFANA_PASSWORD": _password,
}
"""Secret -> generator. Docker Compose refuses to start if one is missing."""


def service_settings(platform_token: str) -> dict[str, str]:
    """Each container's own credential, and which ones they accept."""
    own = {
        f"VIGIE_SERVICE_TOKEN_{name.upper()}": derive_service_token(platform_token, name) for name in COMPOSE_CALLERS
    }
    return own | {"VIGIE_SERVICE_CALLERS": service_callers(platform_token, COMPOSE_CALLERS)}


DOMAIN_FILE = "deploy/edge/domain.yml"
DOMAIN_FILE_0_1 = "services/edge/domain.yml"
"""Path in release 0.1.0, which its .env files contain."""

_LINE = re.compile(r"^(?:# )?(?P<name>(?:VIGIE|COMPOSE)_[A-Z_]+)=(?P<value>.*)$")


def init(
    domain: Annotated[str | None, typer.Option(help="Serve HTTPS under this name; port 80 and 443 are opened.")] = None,
    tls: Annotated[
        Literal["automatic", "internal"],
        typer.Option(help="With a domain: public certificates, or the edge's own authority on a local network."),
    ] = "automatic",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Without a domain: the edge's port on 127.0.0.1.")] = 8000,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete", help="Add what an existing .env misses, derive the services' tokens; keep the rest."
        ),
    ] = False,
    file: Annotated[Path, typer.Option(help="Where to write.", show_default=".env")] = CHECKOUT / ".env",
) -> None:
    """Write .env with random secrets, for [b]docker compose up -d --wait[/b]."""
    if complete:
        changed = complete_file(file)
        out.print(f"{file}: set {', '.join(changed)}." if changed else f"{file} has all that is needed.")
        return
    chosen = {name: make() for name, make in SECRETS.items()}
    chosen |= service_settings(chosen["VIGIE_SERVICE_TOKEN"])
    chosen |= _address_settings(domain, tls, port)
    write_private(file, fill_example((CHECKOUT / ".env.example").read_text(), chosen))
    out.print(f"{file} is written, with random secrets that only you may read.\n")
    out.print("The first login, shown this once:")
    out.print(f"  user      {FIRST_USER}")
    out.print(f"  password  {chosen['VIGIE_GATEWAY_ADMIN_PASSWORD']}\n", markup=False)
    out.print("Start the platform with: docker compose up -d --wait")


def _address_settings(domain: str | None, tls: str, port: int) -> dict[str, str]:
    if domain is None:
        return {"VIGIE_EDGE_PORT": str(port)} if port != 8000 else {}
    return {
        "COMPOSE_FILE": f"docker-compose.yml:{DOMAIN_FILE}",
        "VIGIE_DOMAIN": domain,
        "VIGIE_TLS": tls,
        "VIGIE_PUBLIC_URL": f"https://{domain}",
    }


def fill_example(example: str, chosen: Mapping[str, str]) -> str:
    """The example file with ``chosen`` values. Other settings become comments, so that defaults that change in a later
    version take effect; ``COMPOSE_`` ones stay."""
    left = dict(chosen)
    lines = []
    for line in example.splitlines():
        found = _LINE.match(line)
        if found and found["name"] in left:
            lines.append(f"{found['name']}={left.pop(found['name'])}")
        elif found and not line.startswith("#") and found["name"].startswith("VIGIE_"):
            lines.append(f"# {line}")
        else:
            lines.append(line)
    return "\n".join([*lines, *(f"{name}={value}" for name, value in left.items())]) + "\n"


def write_private(file: Path, text: str) -> None:
    """Create ``file`` with permissions for this user only, atomically.

    Raises:
        VigieError: the file exists. Its secrets belong to the volumes, so it is never replaced.
    """
    beside = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
        os.link(beside, file)  # unlike a rename, fails if the file exists
    except FileExistsError:
        raise VigieError(
            f"{file} is there already, and its secrets open what the volumes hold.",
            expected="no such file",
            action="Keep it, use --complete to add what it misses, or rename it to start with new volumes.",
        ) from None
    finally:
        beside.unlink(missing_ok=True)


def complete_file(file: Path) -> list[str]:
    """Append missing secrets to ``file``, update what is derived from the service token and the path of the domain's
    Compose file, and return the names of what was set.

    Raises:
        VigieError: the file does not exist.
    """
    if not file.is_file():
        raise VigieError(f"There is no {file}.", action="Run ./vigie init.")
    text = file.read_text()
    changed = find_changes(text)
    if changed:
        left = [line for line in text.splitlines() if not ((match := _active(line)) and match["name"] in changed)]
        lines = [*left, *(f"{name}={value}" for name, value in changed.items()), ""]
        atomic_write(file, "\n".join(lines).encode(), mode=0o600)
    return list(changed)


def find_changes(text: str) -> dict[str, str]:
    """What an existing settings file has to have set, with the values to set."""
    active = {match["name"]: match["value"] for line in text.splitlines() if (match := _active(line))}
    wanted = {name: SECRETS[name]() for name in SECRETS if not active.get(name)}
    wanted |= service_settings((active | wanted)["VIGIE_SERVICE_TOKEN"])
    if DOMAIN_FILE_0_1 in active.get("COMPOSE_FILE", ""):
        wanted["COMPOSE_FILE"] = active["COMPOSE_FILE"].replace(DOMAIN_FILE_0_1, DOMAIN_FILE)
    return {name: value for name, value in wanted.items() if active.get(name) != value}


def _active(line: str) -> re.Match[str] | None:
    return None if line.startswith("#") else _LINE.match(line)
