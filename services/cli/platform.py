"""``./vigie up``, ``down`` and ``status``: the platform as local processes."""

from __future__ import annotations

import socket
import sys
from typing import Annotated

import httpx
import typer
from rich.table import Table

from services.cli.console import err, out, step
from services.cli.processes import Processes, Program, wait_until
from services.core.errors import VigieError
from services.core.settings import CHECKOUT, Settings, settings


def up(
    wait: Annotated[float, typer.Option(help="Seconds to wait until everything answers.", min=1)] = 90.0,
) -> None:
    """Start the registry and the prediction API and leave them running."""
    start(settings(), wait=wait)
    _print_table(Processes(settings().home))


def start(chosen: Settings, *, wait: float) -> None:
    """Start what is not running and wait for it.

    Raises:
        VigieError: a process did not become healthy; its last log lines are in the message.
    """
    processes = Processes(chosen.home)
    if processes.pid() is not None:
        err.print("Already running.")
    else:
        processes.start(programs(chosen))
    for state in processes.states():
        with step(f"{state.name} answers at {state.address}"):
            if not wait_until(lambda: answers(state.health), seconds=wait):  # noqa: B023 - called at once
                tail = "\n".join(processes.log(state.name).read_text(errors="replace").splitlines()[-12:])
                processes.stop()
                raise VigieError(
                    f"{state.name} did not become healthy within {wait:.0f} s. The end of its log:\n{tail}",
                    action="Mend the cause and run ./vigie up again; ./vigie doctor may know it.",
                )


def programs(chosen: Settings) -> list[Program]:
    """The processes of the embedded platform. A port that another program holds is replaced by a free
    one, so that two homes run side by side."""
    registry_port, prediction_port = free_port(chosen.registry_port), free_port(chosen.prediction_port)
    registry_url = f"http://127.0.0.1:{registry_port}"
    shared = {
        "PYTHONPATH": str(CHECKOUT),
        "VIGIE_HOME": str(chosen.home.root),
        "VIGIE_REGISTRY_PORT": str(registry_port),
        "VIGIE_PREDICTION_PORT": str(prediction_port),
    }
    return [
        Program(
            name="registry",
            command=[sys.executable, "-m", "services.registry"],
            port=registry_port,
            health=f"{registry_url}/api/2.0/mlflow/experiments/search?max_results=1",
            environment=shared,
        ),
        Program(
            name="prediction",
            command=[sys.executable, "-m", "services.prediction"],
            port=prediction_port,
            health=f"http://127.0.0.1:{prediction_port}/health/ready",
            environment={**shared, "VIGIE_REGISTRY_URL": registry_url},
        ),
    ]


def down() -> None:
    """Stop everything that ``up`` started."""
    with step("stopped"):
        stopped = Processes(settings().home).stop()
    if not stopped:
        err.print("Nothing was running.")


def status() -> None:
    """Show what runs, where, and whether it answers. Exits 1 if something does not."""
    if not _print_table(Processes(settings().home)):
        raise typer.Exit(1)


def _print_table(processes: Processes) -> bool:
    states = processes.states()
    if processes.pid() is None:
        err.print(f"Nothing runs in {processes.home.root}. Start it with ./vigie up.")
        return False
    table = Table("service", "state", "address", "process", box=None, pad_edge=False)
    healthy = True
    for state in states:
        well = state.running and answers(state.health)
        healthy = healthy and well
        table.add_row(
            state.name,
            "[green]healthy[/]" if well else f"[red]{'not answering' if state.running else 'not running'}[/]",
            state.address + ("/v1/docs" if state.name == "prediction" else ""),
            state.description,
        )
    out.print(table)
    return healthy


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def free_port(wanted: int) -> int:
    """The wanted port, or a free one where another program holds it."""
    for candidate in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise VigieError("No free port on 127.0.0.1.", action="End other programs or set VIGIE_REGISTRY_PORT.")
