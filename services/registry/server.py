"""The MLflow server: its command line and environment, its users (``admin`` may do all, ``writer`` registers and moves
aliases, ``reader`` only reads), and a check that it answers as clients ask.

The environment is the truth: a password that changed there is changed at the next start."""

from __future__ import annotations

import configparser
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from services.core.io import atomic_write
from services.core.model_registry.mlflow_connection import embedded_uri
from services.core.paths import VigiePaths
from services.registry.settings import ServerSettings

WRITER, READER = "writer", "reader"
WRITER_RESOURCES = ("experiment", "registered_model")
"""What a writer has all rights to, whoever made it."""
AUTH_CACHE_SECONDS = 60
"""MLflow hashes the password of every request otherwise, some 80 ms each."""


def users_database_url(home: VigiePaths, chosen: ServerSettings) -> str:
    """SQLAlchemy address of the database that holds the users."""
    return chosen.auth_backend or chosen.backend or f"sqlite:///{home.registry_database.with_name('users.db')}"


def write_auth_config(home: VigiePaths, chosen: ServerSettings) -> dict[str, str]:
    """Write MLflow's file of settings, for this user's eyes only, and return the variables that name it."""
    assert chosen.admin_password is not None
    assert chosen.secret_key is not None
    file = home.registry_database.with_name("authentication.ini")
    _write_private(file, _auth_config(home, chosen))
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(file),
        "MLFLOW_AUTH_ADMIN_USERNAME": chosen.admin_user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": chosen.admin_password.get_secret_value(),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": chosen.secret_key.get_secret_value(),
        # a page that MLflow's authors forgot to guard is closed, not open
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
    """Make the users that are not there yet and give all of them the passwords of the settings. A user
    without a password in the settings is removed."""
    from mlflow.server.auth import store  # noqa: PLC0415 - reads the variables of authentication()

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
    # eight helper processes of 250 MB each, for jobs that nobody here starts
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


def environment(home: VigiePaths, chosen: ServerSettings) -> dict[str, str]:
    """What the server reads from its environment; a database's password would show on a command line."""
    return {**ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": chosen.backend or embedded_uri(home)}


def command(home: VigiePaths, chosen: ServerSettings) -> list[str]:
    """The arguments of MLflow's command line."""
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
    """Name and password of the user with the fewest rights that there is."""
    for name, password in ((READER, chosen.reader_password), (chosen.admin_user, chosen.admin_password)):
        if chosen.authenticated and password is not None:
            return name, password.get_secret_value()
    return None


def host_header(url: str | None) -> str | None:
    """The Host header of clients that use ``url``."""
    return urlsplit(url).netloc.rpartition("@")[2] if url else None


def health_problem(
    url: str, *, host: str | None = None, auth: tuple[str, str] | None = None, timeout: float = 3.0
) -> str | None:
    """Why the server at ``url`` does not serve, or None. ``/health`` says OK even where every client is
    refused for its Host header or its password, so this asks what a client asks; ``host`` is the header
    they send, ``auth`` their name and password."""
    headers = {"Host": host} if host else {}
    address = f"{url.rstrip('/')}/api/2.0/mlflow/experiments/search"
    try:
        answer = httpx.get(address, params={"max_results": 1}, headers=headers, auth=auth, timeout=timeout)
    except httpx.HTTPError as error:
        return f"{url} does not answer: {error or type(error).__name__}"
    if answer.status_code != httpx.codes.OK:
        return f"{url} answers {answer.status_code}: {answer.text[:200]}"
    return None
