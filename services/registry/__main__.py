"""Serves the MLflow registry: ``python -m services.registry``. ``--check`` checks a running one instead."""

from __future__ import annotations

import os
import sys

from services.core.errors import VigieError
from services.core.model_registry.sqlite_backend import follow_home
from services.core.settings import settings
from services.registry.server import (
    ServerSettings,
    command,
    environment,
    health_problem,
    host_header,
    probe_credentials,
    sync_users,
    write_auth_config,
)


def main(arguments: list[str]) -> int:
    chosen = ServerSettings()
    if arguments == ["--check"]:
        return check(chosen)
    if arguments:
        sys.stderr.write("usage: python -m services.registry [--check]\n")
        return 2
    try:
        chosen.check()
        serve(chosen)
    except VigieError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def check(chosen: ServerSettings) -> int:
    """Send a request as a client does: with path prefix, user name, password and Host header."""
    url = f"http://127.0.0.1:{chosen.port}{chosen.prefix}"
    problem = health_problem(url, host=host_header(settings().registry_url), auth=probe_credentials(chosen))
    sys.stderr.write(f"{problem}\n" if problem else "")
    return 1 if problem else 0


def serve(chosen: ServerSettings) -> None:
    """Run MLflow's server in this process, so that signals reach it."""
    home = settings().home
    home.registry_artifacts.mkdir(parents=True, exist_ok=True)
    os.environ.update(environment(home, chosen))
    if chosen.backend is None and not home.registry_database.is_file():
        from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415 - not needed for --check

        # creates the tables under the lock that clients use too; the server would create them without it
        ModelRegistry(settings().model_copy(update={"registry_url": None})).prepare()
    elif chosen.backend is None:
        follow_home(home)
    if chosen.authenticated:
        os.environ.update(write_auth_config(home, chosen))
        sync_users(home, chosen)
    os.chdir(home.root)  # MLflow creates folders in the working directory
    from mlflow.cli import cli  # noqa: PLC0415 - reads the environment set above

    cli.main(args=command(home, chosen), prog_name="mlflow")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
