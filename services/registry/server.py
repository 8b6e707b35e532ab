"""Starting the MLflow server, and asking it whether it really answers."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from services.core.home import Home
from services.core.registry.mlflow_connection import embedded_uri
from services.registry.settings import ServerSettings
from services.registry.users import READER

ENVIRONMENT = {
    # eight helper processes of 250 MB each, for jobs that nobody here starts
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


def environment(home: Home, chosen: ServerSettings) -> dict[str, str]:
    """What the server reads from its environment; a database's password would show on a command line."""
    return {**ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": chosen.backend or embedded_uri(home)}


def command(home: Home, chosen: ServerSettings) -> list[str]:
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


def credentials(chosen: ServerSettings) -> tuple[str, str] | None:
    """Name and password of the user with the fewest rights that there is."""
    for name, password in ((READER, chosen.reader_password), (chosen.admin_user, chosen.admin_password)):
        if chosen.authenticated and password is not None:
            return name, password.get_secret_value()
    return None


def host_of(url: str | None) -> str | None:
    """The Host header of clients that use ``url``."""
    return urlsplit(url).netloc.rpartition("@")[2] if url else None


def trouble(
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
