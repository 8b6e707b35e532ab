"""The registry's server: ``python -m services.registry``. ``--check`` asks a running one instead."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from services.core.errors import VigieError
from services.core.registry.client import Registry
from services.core.settings import settings
from services.registry.server import ENVIRONMENT, command, trouble
from services.registry.settings import ServerSettings


def become_server(program: list[str], environment: dict[str, str]) -> NoReturn:
    """Replace this process: there is one process to stop, and signals reach it."""
    os.execve(program[0], program, environment)  # noqa: S606 - no shell, a list of arguments


def main(arguments: list[str]) -> int:
    chosen = ServerSettings()
    if arguments == ["--check"]:
        problem = trouble(f"http://127.0.0.1:{chosen.port}{chosen.prefix}")
        sys.stderr.write(f"{problem}\n" if problem else "")
        return 1 if problem else 0
    if arguments:
        sys.stderr.write("usage: python -m services.registry [--check]\n")
        return 2
    home = settings().home
    try:
        if chosen.backend is None and not home.registry_database.is_file():
            # makes the tables under the lock that clients use too; the server would make them without
            Registry(settings().model_copy(update={"registry_url": None})).prepare()
    except VigieError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    home.registry_artifacts.mkdir(parents=True, exist_ok=True)
    os.chdir(home.root)  # MLflow makes folders where it stands
    program = command(home, chosen)
    become_server(program, {**os.environ, **ENVIRONMENT})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
