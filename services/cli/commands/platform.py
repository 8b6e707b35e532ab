"""``./vigie up``, ``down`` and ``status``: the platform as local processes, with addresses, health and logins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.cli.console import announce, err, out, remember_duration, step
from services.cli.local_platform import secrets
from services.cli.local_platform.ports import Ports, free_ports, refuse_taken_ports, replaced_ports
from services.cli.local_platform.service_specs import AIRFLOW, OPTIONAL_PARTS, service_specs
from services.cli.local_platform.startup import is_healthy, start_services
from services.cli.local_platform.supervisor import ServiceState, Supervisor
from services.core import use_case_registry as use_cases
from services.core.errors import VigieError
from services.core.settings import settings

TABLE_WIDTH = 120
DASHBOARD = "dashboard"
WITHOUT_AIRFLOW_SECONDS, WITH_AIRFLOW_SECONDS = 30.0, 90.0
"""About how long the first start takes on two cores."""
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
    if untrained := [name for name in use_cases.names() if not processes.home.current(name).exists()]:
        out.print(f"First models: {first_training(untrained)}")
    if dashboard := next((state.address for state in states if state.name == DASHBOARD), ""):
        out.print(f"\n[bold]Open {dashboard}[/] and sign in as admin.")
    return all(well)


def first_training(untrained: Sequence[str]) -> str:
    """Who makes the first models of these use cases while the platform runs: that depends on a setting."""
    from services.gateway.settings import GatewaySettings  # noqa: PLC0415 - not needed by down

    if GatewaySettings().gateway_first_training:
        sources = {"auto": "the declared sources", "official": "the official source", "simulator": "the simulator"}
        source = sources[GatewaySettings().gateway_first_source]
        return (
            f"{', '.join(untrained)} will be trained from {source} by the platform itself; until then the baseline "
            "answers."
        )
    commands = ", ".join(f"./vigie run {name}" for name in untrained)
    return f"make them with {commands}; until then the baseline answers."


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
    any_port: Annotated[
        bool, typer.Option("--any-port", help="Use a free port, and say so, where another program holds one.")
    ] = False,
) -> None:
    """Start the whole platform and leave it running."""
    left_out = set(without or ())
    if unknown := left_out - set(OPTIONAL_PARTS):
        raise VigieError(f"{', '.join(sorted(unknown))} cannot be left out.", expected=", ".join(OPTIONAL_PARTS))
    processes, airflow = Supervisor(settings().home), AIRFLOW not in left_out
    stopped = processes.pid() is None
    ports = _choose_ports(airflow=airflow, any_port=any_port) if stopped else {}
    made = secrets.ensure(settings().home)
    title, began = f"platform {'with' if airflow else 'without'} Airflow", time.perf_counter()
    if stopped:
        announce(title, usual=WITH_AIRFLOW_SECONDS if airflow else WITHOUT_AIRFLOW_SECONDS)
        processes.start(service_specs(settings(), made, airflow=airflow, ports=ports))
    else:
        err.print("Already running. What does not run is started; ./vigie down first to change which parts there are.")
    start_services(processes, wait=wait, tell=_report_ready)
    if stopped:
        remember_duration(title, time.perf_counter() - began)
    show_status(processes)
    if made.first:
        show_first_login(made, airflow=airflow)


def _choose_ports(*, airflow: bool, any_port: bool) -> dict[str, int]:
    """The wanted ports.

    Raises:
        VigieError: another program holds one, and ``--any-port`` does not allow another.
    """
    wanted = Ports().wanted(airflow=airflow)
    if not any_port:
        refuse_taken_ports(wanted)
    chosen = free_ports(wanted)
    for sentence in replaced_ports(wanted, chosen):
        err.print(f"[yellow]{sentence}[/]")
    return {**Ports().wanted(), **chosen}


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
