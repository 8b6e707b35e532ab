"""``./vigie up``, ``down`` and ``status``: the platform as local processes."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import secrets, showing
from services.cli.console import err, step
from services.cli.processes import Processes, State
from services.cli.programs import AIRFLOW, LEAVABLE, programs
from services.cli.starting import start
from services.core.errors import VigieError
from services.core.settings import settings

Without = Annotated[list[str] | None, typer.Option(metavar="PART", help=f"Leave out: {', '.join(LEAVABLE)}.")]


def up(
    without: Without = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait until everything answers.", min=1)] = 600.0,
) -> None:
    """Start the whole platform and leave it running."""
    left_out = set(without or ())
    if unknown := left_out - set(LEAVABLE):
        raise VigieError(f"{', '.join(sorted(unknown))} cannot be left out.", expected=", ".join(LEAVABLE))
    processes, airflow = Processes(settings().home), AIRFLOW not in left_out
    made = secrets.keep(settings().home)
    if processes.pid() is None:
        processes.start(programs(settings(), made, airflow=airflow))
    else:
        err.print("Already running. What does not run is started; ./vigie down first to change which parts there are.")
    start(processes, wait=wait, tell=_tell)
    showing.show(processes)
    if made.first:
        showing.first_login(made, airflow=airflow)


def down() -> None:
    """Stop everything that ``up`` started."""
    with step("stopped"):
        stopped = Processes(settings().home).stop()
    if not stopped:
        err.print("Nothing was running.")


def status() -> None:
    """Show what runs, where, and whether it answers. Exits 1 if something does not."""
    if not showing.show(Processes(settings().home)):
        raise typer.Exit(1)


def _tell(state: State, seconds: float) -> None:
    said = "done" if state.once else f"answers at {state.address}" if state.address else "runs"
    err.print(f"[green]✓[/] {state.name} {said} [dim]({seconds:.1f} s)[/]")
