"""The command line of the MLflow server."""

from __future__ import annotations

from pathlib import Path

from services.core.home import Home
from services.registry.server import ENVIRONMENT, command
from services.registry.settings import ServerSettings

HOME = Home(Path("/srv/vigie"))


def after(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def test_the_default_listens_on_this_machine_alone_with_one_worker() -> None:
    arguments = command(HOME, ServerSettings(_env_file=None))
    assert after(arguments, "--host") == "127.0.0.1"
    assert after(arguments, "--workers") == "1"
    assert after(arguments, "--backend-store-uri") == "sqlite:////srv/vigie/registry/mlflow.db"


def test_embedded_clients_and_the_server_share_the_artifacts_folder() -> None:
    arguments = command(HOME, ServerSettings(_env_file=None))
    assert "--no-serve-artifacts" in arguments
    assert after(arguments, "--default-artifact-root") == "file:///srv/vigie/registry/artifacts"


def test_for_clients_elsewhere_artifacts_go_through_the_server() -> None:
    chosen = ServerSettings(_env_file=None, artifacts="proxied", backend="postgresql://db/mlflow", prefix="/mlflow")
    arguments = command(HOME, chosen)
    assert "--serve-artifacts" in arguments
    assert after(arguments, "--backend-store-uri") == "postgresql://db/mlflow"
    assert after(arguments, "--static-prefix") == "/mlflow"


def test_host_headers_are_limited_and_the_job_runner_is_off() -> None:
    assert after(command(HOME, ServerSettings(_env_file=None)), "--allowed-hosts") == "127.0.0.1:*,localhost:*"
    assert ENVIRONMENT["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
