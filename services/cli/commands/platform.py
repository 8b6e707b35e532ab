"""``./vigie up``, ``down`` and ``status``: the platform as local processes, with addresses, health and logins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.cli.console import err, out, step
from services.cli.local_platform import secrets
from services.cli.local_platform.service_specs import AIRFLOW, OPTIONAL_PARTS, service_specs
from services.cli.local_platform.startup import is_healthy, start_services
from services.cli.local_platform.supervisor import ServiceState, Supervisor
from services.core import use_case_registry as use_cases
from services.core.errors import VigieError
from services.core.settings import settings

TABLE_WIDTH = 120
LOGINS = (
    ("gateway", "admin", "VIGIE_GATEWAY_ADMIN_PASSWORD"),
    ("airflow-api", "admin", "VIGIE_AIRFLOW_PASSWORD"),
    ("registry", "reader", "VIGIE_REGISTRY_READER_PASSWORD"),
)
"""Service, user, and the secret that is the password."""


def show_status(processes: Supervisor) -> bool:
    """Print the status table; returns whether everything is healthy."""
    if processes.pid() is None:
        err.print(f"Nothing runs in {processes.home.root}. Start it with ./vigie up.")
        return False
    states = [state for state in processes.states() if not state.done]
    with ThreadPoolExecutor(4) as side_by_side:
        well = list(side_by_side.map(lambda state: state.running and is_healthy(processes, state), states))
    table = Table("service", "state", "address", "login", "process", box=None, pad_edge=False)
    users = {part: user for part, user, _ in LOGINS}
    for state, good in zip(states, well, strict=True):
        address = state.address + state.page if state.address else ""
        table.add_row(state.name, _health_text(state, good), address, users.get(state.name, ""), state.description)
    # a URL broken over two lines is not clickable
    Console(soft_wrap=True, highlight=False, width=max(out.width, TABLE_WIDTH)).print(table)
    names = {state.name for state in states}
    variables = ", ".join(f"{part} {variable}" for part, _, variable in LOGINS if part in names)
    out.print(f"\nPasswords: {secrets.file_path(processes.home)} ({variables}).", markup=False)
    out.print("Without Docker there is no edge: each part has the address above, on this machine alone.")
    if untrained := [name for name in use_cases.names() if not settings().home.current(name).exists()]:
        out.print(
            f"First models: {', '.join(untrained)} will be trained from the declared sources by the platform itself; "
            "until then the baseline answers."
        )
    return all(well)


def show_first_login(made: secrets.Secrets, *, airflow: bool) -> None:
    """Print the first login, once: afterwards it is in the secrets file."""
    password = made.values["VIGIE_GATEWAY_ADMIN_PASSWORD"]
    out.print("[bold]First login[/] (shown once): user [bold]admin[/], password ", end="")
    out.print(password, markup=False, highlight=False)
    if airflow:
        out.print("Airflow: user [bold]admin[/], password ", end="")
        out.print(made.values["VIGIE_AIRFLOW_PASSWORD"], markup=False)


def _health_text(state: ServiceState, good: bool) -> str:
    if good:
        return "[green]healthy[/]"
    return f"[red]{'not answering' if state.running else 'not running'}[/]"


Without = Annotated[list[str] | None, typer.Option(metavar="PART", help=f"Leave out: {', '.join(OPTIONAL_PARTS)}.")]


def up(
    without: Without = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait until everything answers.", min=1)] = 600.0,
) -> None:
    """Start the whole platform and leave it running."""
    left_out = set(without or ())
    if unknown := left_out - set(OPTIONAL_PARTS):
        raise VigieError(f"{', '.join(sorted(unknown))} cannot be left out.", expected=", ".join(OPTIONAL_PARTS))
    processes, airflow = Supervisor(settings().home), AIRFLOW not in left_out
    made = secrets.ensure(settings().home)
    if processes.pid() is None:
        processes.start(service_specs(settings(), made, airflow=airflow))
    else:
        err.print("Already running. What does not run is started; ./vigie down first to change which parts there are.")
    start_services(processes, wait=wait, tell=_report_ready)
    show_status(processes)
    if made.first:
        show_first_login(made, airflow=airflow)


def down() -> None:
    """Stop everything that ``up`` started."""
    with step("stopped"):
        stopped = Supervisor(settings().home).stop()
    if not stopped:
        err.print("Nothing was running.")


def status() -> None:
    """Show what runs, where, and whether it answers. Exits 1 if something does not."""
    if not show_status(Supervisor(settings().home)):
        raise typer.Exit(1)


def _report_ready(state: ServiceState, seconds: float) -> None:
    said = "done" if state.once else f"answers at {state.address}" if state.address else "runs"
    err.print(f"[green]✓[/] {state.name} {said} [dim]({seconds:.1f} s)[/]")
