"""Starts one process of Airflow: ``python airflow/start.py COMPONENT``.

COMPONENT is ``init`` (creates or migrates the database, then exits), ``api-server``, ``scheduler``, ``dag-processor``
or ``triggerer``. ``--check COMPONENT`` exits with 0 if it is healthy. ``airflow ARGUMENTS...`` runs Airflow's own
command.

The same file starts Airflow in its container and below ``./vigie up``; it is configured by the environment only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "airflow" / "plugins")]

if TYPE_CHECKING:
    from vigie_orchestration.settings import AirflowSettings

COMPONENTS = ("init", "api-server", "scheduler", "dag-processor", "triggerer")


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--check", component] if component in COMPONENTS[1:]:
            return check(component)
        case [component] if component in COMPONENTS:
            become(component)
        case ["airflow", *rest] if rest:
            become(None, *rest)
        case _:
            sys.stderr.write(f"usage: start.py {'|'.join(COMPONENTS)} | --check COMPONENT | airflow ...\n")
            return 2
    return 1


def check(component: str) -> int:
    from vigie_orchestration.healthcheck import health_problem  # noqa: PLC0415 - imports nothing else, see there

    problem = health_problem(component, root=ROOT)
    sys.stderr.write(f"{problem}\n" if problem else "")
    return 1 if problem else 0


def become(component: str | None, *arguments: str) -> None:
    """Replace this process with Airflow, so that it receives signals. Returns only on an error."""
    from services.core.errors import VigieError  # noqa: PLC0415 - see check
    from services.core.settings import no_proxy_environment  # noqa: PLC0415
    from vigie_orchestration.environment import airflow_environment  # noqa: PLC0415
    from vigie_orchestration.settings import AirflowSettings  # noqa: PLC0415

    try:
        chosen = AirflowSettings()
        environment = airflow_environment(chosen) | dict(os.environ) | no_proxy_environment(chosen.api_url)
        chosen.folder.mkdir(parents=True, exist_ok=True)
        if component == "api-server":
            write_passwords(chosen)
    except VigieError as error:
        sys.stderr.write(f"{error}\n")
        return
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    line = [sys.executable, "-m", "airflow", *(command(chosen, component) if component else arguments)]
    sys.stdout.flush()
    os.execve(sys.executable, line, environment)  # noqa: S606


def command(chosen: AirflowSettings, component: str) -> list[str]:
    """Return Airflow's arguments. Logs are read from the shared folder, so no log server is started."""
    return {
        "init": ["db", "migrate"],
        "api-server": [
            "api-server",
            "--host",
            chosen.host,
            "--port",
            str(chosen.port),
            "--workers=1",
            "--proxy-headers",
        ],
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
    }[component]


def write_passwords(chosen: AirflowSettings) -> None:
    """Write the accounts file, which Airflow also rewrites; readable by its own user only.

    Raises:
        VigieError: an account has no password.
    """
    from services.core.io import atomic_write  # noqa: PLC0415 - see check
    from vigie_orchestration.environment import password_file, passwords  # noqa: PLC0415

    atomic_write(password_file(chosen), json.dumps(passwords(chosen)), mode=0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
