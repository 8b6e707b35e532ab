"""The MLflow server: settings, command line, environment, users, and a health check that sends requests as clients do.

``admin`` has all rights, ``writer`` registers and moves aliases, ``reader`` only reads.

The environment is authoritative: a password changed there is updated at the next start."""

from __future__ import annotations

import configparser
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import httpx
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.errors import VigieError
from services.core.io import atomic_write
from services.core.model_registry.mlflow_backend import embedded_uri
from services.core.paths import VigiePaths


class ServerSettings(BaseSettings):
    """Settings of the MLflow server."""

    # An empty variable is an error here, not unset: without passwords there is no authentication.
    model_config = SettingsConfigDict(env_prefix="VIGIE_REGISTRY_", env_file=".env", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=5500, ge=1, le=65535)
    backend: str | None = None
    """SQLAlchemy URL of MLflow's database; by default the SQLite file below ``VIGIE_HOME``."""
    artifacts: Literal["files", "proxied"] = "files"
    """``files``: clients on this machine access the artifacts' folder directly, so that versions registered through the
    server and those written to the SQLite file directly are the same to both. ``proxied``: the server transfers
    artifacts; for clients on other machines."""
    allowed_hosts: str = "127.0.0.1:*,localhost:*"
    """Accepted Host headers with ports, comma-separated, ``*`` as wildcard."""
    prefix: str = ""
    """Path prefix behind an edge, for example ``/mlflow``."""

    admin_user: str = "admin"
    admin_password: SecretStr | None = Field(default=None, min_length=12)
    """Turns authentication on. Without it the server starts on a loopback address only."""
    writer_password: SecretStr | None = Field(default=None, min_length=12)
    """Password of the user ``writer``, who registers versions and moves aliases: for training."""
    reader_password: SecretStr | None = Field(default=None, min_length=12)
    """Password of the user ``reader``, who has read access only: for prediction and users of MLflow's pages."""
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    """Signs the forms of MLflow's pages; required with authentication."""
    auth_backend: str | None = None
    """SQLAlchemy URL of the database of MLflow's users; by default ``backend``, or a
    SQLite file below ``VIGIE_HOME``."""

    @property
    def authenticated(self) -> bool:
        return self.admin_password is not None

    @property
    def loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def check(self) -> None:
        """Check the combination of settings.

        Raises:
            VigieError: the server would be open to everybody, or authentication could not work.
        """
        if not self.authenticated and not self.loopback:
            raise VigieError(
                f"The registry would serve everybody who reaches {self.host}.",
                expected="VIGIE_REGISTRY_ADMIN_PASSWORD, or VIGIE_REGISTRY_HOST=127.0.0.1",
                action="./vigie init writes passwords into .env.",
            )
        if self.authenticated and self.secret_key is None:
            raise VigieError(
                "The registry has passwords and no key to sign its forms with.",
                expected="VIGIE_REGISTRY_SECRET_KEY, at least 32 characters",
                action="./vigie init writes one into .env.",
            )


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


def places_well(home: VigiePaths, location: str) -> bool:
    """Whether an experiment's files may lie at ``location``: where the server puts them, or below the home's folder of
    artifacts, which commands name that run beside the server."""
    parts = urlsplit(location)
    if parts.scheme not in {"", "file"}:
        return parts.scheme == "mlflow-artifacts"
    place = Path(unquote(parts.path)).resolve()
    return not location or (parts.netloc == "" and place.is_relative_to(home.registry_artifacts.resolve()))


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
