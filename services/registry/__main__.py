"""The registry's server: ``python -m services.registry``. ``--check`` asks a running one instead."""

from __future__ import annotations

import os
import sys

from services.core.errors import VigieError
from services.core.settings import settings
from services.registry.server import command, credentials, environment, host_of, trouble
from services.registry.settings import ServerSettings
from services.registry.users import authentication, make_users


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
    """Ask what clients ask: below the prefix, with a name and password, under the name they call it by."""
    url = f"http://127.0.0.1:{chosen.port}{chosen.prefix}"
    problem = trouble(url, host=host_of(settings().registry_url), auth=credentials(chosen))
    sys.stderr.write(f"{problem}\n" if problem else "")
    return 1 if problem else 0


def serve(chosen: ServerSettings) -> None:
    """Become MLflow's server. It runs in this process, so there is one to stop and signals reach it."""
    home = settings().home
    home.registry_artifacts.mkdir(parents=True, exist_ok=True)
    os.environ.update(environment(home, chosen))
    if chosen.backend is None and not home.registry_database.is_file():
        from services.core.registry.client import Registry  # noqa: PLC0415 - not needed for --check

        # makes the tables under the lock that clients use too; the server would make them without
        Registry(settings().model_copy(update={"registry_url": None})).prepare()
    if chosen.authenticated:
        os.environ.update(authentication(home, chosen))
        make_users(home, chosen)
    os.chdir(home.root)  # MLflow makes folders where it stands
    from mlflow.cli import cli  # noqa: PLC0415 - reads the environment set above

    cli.main(args=command(home, chosen), prog_name="mlflow")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
