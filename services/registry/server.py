"""The MLflow server: command line, environment, users (``admin`` has all rights, ``writer`` registers and moves
aliases, ``reader`` only reads), and a health check that sends requests as clients do.

The environment is authoritative: a password changed there is updated at the next start."""

from __future__ import annotations

import configparser
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from services.core.io import atomic_write
from services.core.model_registry.mlflow_backend import embedded_uri
from services.core.paths import VigiePaths
from services.registry.settings import ServerSettings

WRITER, READER = "writer", "reader"
WRITER_RESOURCES = ("experiment", "registered_model")
"""Resources that a writer has all rights to, whoever created them."""
AUTH_CACHE_SECONDS = 60
"""MLflow otherwise hashes the password of every request, about 80 ms each."""


def users_database_url(home: VigiePaths, chosen: ServerSettings) -> str:
    """SQLAlchemy URL of the database of users."""
    return chosen.auth_backend or chosen.backend or f"sqlite:///{home.registry_database.with_name('users.db')}"


def write_auth_config(home: VigiePaths, chosen: ServerSettings) -> dict[str, str]:
    """Write MLflow's auth configuration, readable by this user only; returns the variables that point to it."""
    assert chosen.admin_password is not None
    assert chosen.secret_key is not None
    file = home.registry_database.with_name("authentication.ini")
    _write_private(file, _auth_config(home, chosen))
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(file),
        "MLFLOW_AUTH_ADMIN_USERNAME": chosen.admin_user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": chosen.admin_password.get_secret_value(),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": chosen.secret_key.get_secret_value(),
        # pages without an authorization rule in MLflow are denied, not allowed
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
    }


def _auth_config(home: VigiePaths, chosen: ServerSettings) -> configparser.RawConfigParser:
    settings = configparser.RawConfigParser()
    settings["mlflow"] = {
        "default_permission": "READ",
        "database_uri": users_database_url(home, chosen).replace("%", "%%"),  # MLflow reads with interpolation
        "authorization_function": "services.registry.authorization:authenticate",
        "auth_cache_ttl_seconds": str(AUTH_CACHE_SECONDS),
    }
    return settings


def _write_private(file: Path, settings: configparser.RawConfigParser) -> None:
    text = StringIO()
    settings.write(text)
    atomic_write(file, text.getvalue(), mode=0o600)


def sync_users(home: VigiePaths, chosen: ServerSettings) -> None:
    """Create missing users and set all passwords to those of the settings. A user
    without a password in the settings is deleted."""
    from mlflow.server.auth import store  # noqa: PLC0415 - reads the variables that write_auth_config returns

    store.init_db(users_database_url(home, chosen))
    wanted = (
        (chosen.admin_user, chosen.admin_password, True),
        (WRITER, chosen.writer_password, False),
        (READER, chosen.reader_password, False),
    )
    for name, password, admin in wanted:
        if password is None:
            if store.has_user(name):
                store.delete_user(name)
        elif not store.has_user(name):
            store.create_user(name, password.get_secret_value(), is_admin=admin)
        elif not store.authenticate_user(name, password.get_secret_value()):
            store.update_user(name, password=password.get_secret_value())
    if chosen.writer_password is not None:
        for kind in WRITER_RESOURCES:
            store.grant_user_permission(WRITER, kind, "*", "MANAGE")


ENVIRONMENT = {
    # eight worker processes of 250 MB each, for jobs that nothing here starts
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


def environment(home: VigiePaths, chosen: ServerSettings) -> dict[str, str]:
    """The server's environment; a database password would be visible on a command line."""
    return {**ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": chosen.backend or embedded_uri(home)}


def command(home: VigiePaths, chosen: ServerSettings) -> list[str]:
    """Arguments of MLflow's command line."""
    arguments = [
        "server",
        *("--host", chosen.host),
        *("--port", str(chosen.port)),
        *("--workers", "1"),
        *("--allowed-hosts", chosen.allowed_hosts),
    ]
    artifacts = home.registry_artifacts.as_uri()
    if chosen.artifacts == "files":
        arguments += ["--no-serve-artifacts", "--default-artifact-root", artifacts]
    else:
        arguments += ["--serve-artifacts", "--artifacts-destination", artifacts]
    if chosen.prefix:
        arguments += ["--static-prefix", chosen.prefix]
    if chosen.authenticated:
        arguments += ["--app-name", "basic-auth"]
    return arguments


def probe_credentials(chosen: ServerSettings) -> tuple[str, str] | None:
    """User name and password of the existing user with the fewest rights."""
    for name, password in ((READER, chosen.reader_password), (chosen.admin_user, chosen.admin_password)):
        if chosen.authenticated and password is not None:
            return name, password.get_secret_value()
    return None


def host_header(url: str | None) -> str | None:
    """Host header of clients that use ``url``."""
    return urlsplit(url).netloc.rpartition("@")[2] if url else None


def health_problem(
    url: str, *, host: str | None = None, auth: tuple[str, str] | None = None, timeout: float = 3.0
) -> str | None:
    """Why the server at ``url`` is unusable, or None. ``/health`` is OK even if every client is
    refused for its Host header or password, so this sends a client's request; ``host`` is the Host header,
    ``auth`` user name and password."""
    headers = {"Host": host} if host else {}
    address = f"{url.rstrip('/')}/api/2.0/mlflow/experiments/search"
    try:
        answer = httpx.get(
            address, params={"max_results": 1}, headers=headers, auth=auth, timeout=timeout, trust_env=False
        )
    except httpx.HTTPError as error:
        return f"{url} does not answer: {error or type(error).__name__}"
    if answer.status_code != httpx.codes.OK:
        return f"{url} answers {answer.status_code}: {answer.text[:200]}"
    return None
