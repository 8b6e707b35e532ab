"""Starting the MLflow server, and asking it whether it really answers."""

from __future__ import annotations

import sys

import httpx

from services.core.home import Home
from services.core.registry.mlflow_connection import embedded_uri
from services.registry.settings import ServerSettings

ENVIRONMENT = {
    # eight helper processes of 250 MB each, for jobs that nobody here starts
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


def command(home: Home, chosen: ServerSettings) -> list[str]:
    """The server's command line."""
    arguments = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", chosen.backend or embedded_uri(home)),
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
    return arguments


def trouble(url: str, *, host: str | None = None, timeout: float = 3.0) -> str | None:
    """Why the server at ``url`` does not serve, or None. ``/health`` says OK even where every client is
    refused for its Host header, so this asks what a client asks; ``host`` is the header they send."""
    headers = {"Host": host} if host else {}
    address = f"{url.rstrip('/')}/api/2.0/mlflow/experiments/search"
    try:
        answer = httpx.get(address, params={"max_results": 1}, headers=headers, timeout=timeout)
    except httpx.HTTPError as error:
        return f"{url} does not answer: {error or type(error).__name__}"
    if answer.status_code != httpx.codes.OK:
        return f"{url} answers {answer.status_code}: {answer.text[:200]}"
    return None
