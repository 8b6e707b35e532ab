"""Showing what runs, where it is and how to get in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table

from services.cli import secrets
from services.cli.console import err, out
from services.cli.processes import Processes, State
from services.cli.starting import healthy
from services.core.settings import settings
from services.core.usecases import registry as use_cases

TABLE_WIDTH = 120
LOGINS = (
    ("gateway", "admin", "VIGIE_GATEWAY_ADMIN_PASSWORD"),
    ("airflow-api", "admin", "VIGIE_AIRFLOW_PASSWORD"),
    ("registry", "reader", "VIGIE_REGISTRY_READER_PASSWORD"),
)
"""Part, user, and which secret is the password."""


def show(processes: Processes) -> bool:
    """Print the table; whether all is well."""
    if processes.pid() is None:
        err.print(f"Nothing runs in {processes.home.root}. Start it with ./vigie up.")
        return False
    states = [state for state in processes.states() if not state.done]
    with ThreadPoolExecutor(4) as side_by_side:
        well = list(side_by_side.map(lambda state: state.running and healthy(processes, state), states))
    table = Table("service", "state", "address", "login", "process", box=None, pad_edge=False)
    users = {part: user for part, user, _ in LOGINS}
    for state, good in zip(states, well, strict=True):
        address = state.address + state.page if state.address else ""
        table.add_row(state.name, _word(state, good), address, users.get(state.name, ""), state.description)
    # an address that is broken over two lines cannot be clicked
    Console(soft_wrap=True, highlight=False, width=max(out.width, TABLE_WIDTH)).print(table)
    names = {state.name for state in states}
    variables = ", ".join(f"{part} {variable}" for part, _, variable in LOGINS if part in names)
    out.print(f"\nPasswords: {secrets.file_of(processes.home)} ({variables}).", markup=False)
    out.print("Without Docker there is no edge: each part has the address above, on this machine alone.")
    if untrained := [name for name in use_cases.names() if not settings().home.current(name).exists()]:
        out.print(
            f"First models: {', '.join(untrained)} will be trained from the declared sources by the platform itself; "
            "until then the baseline answers."
        )
    return all(well)


def first_login(made: secrets.Secrets, *, airflow: bool) -> None:
    """Print the first sign-in, once: later the file has it."""
    password = made.values["VIGIE_GATEWAY_ADMIN_PASSWORD"]
    out.print("[bold]First login[/] (shown once): user [bold]admin[/], password ", end="")
    out.print(password, markup=False, highlight=False)
    if airflow:
        out.print("Airflow: user [bold]admin[/], password ", end="")
        out.print(made.values["VIGIE_AIRFLOW_PASSWORD"], markup=False)


def _word(state: State, good: bool) -> str:
    if good:
        return "[green]healthy[/]"
    return f"[red]{'not answering' if state.running else 'not running'}[/]"
