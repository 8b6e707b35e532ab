"""``./vigie simulate``: runs a scenario of the simulator against the local platform and shows its statistics."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.live import Live
from rich.table import Table

from services.cli.console import AsJson, err, known_use_case, out, print_json
from services.cli.local_platform import secrets
from services.cli.local_platform.supervisor import Supervisor
from services.core.auth.service_credentials import derive_service_token, service_headers
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.settings import settings
from services.simulator.scenario import list_scenarios, load_scenario

SIMULATOR = "simulator"
_POLL_SECONDS = 0.5
_FINAL_STATES = ("finished", "stopped", "failed")


def simulate(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="One of " + ", ".join(list_scenarios()) + ".")],
    *,
    rate: Annotated[float | None, typer.Option(help="Calls per second, on average.", min=0.001)] = None,
    seconds: Annotated[float | None, typer.Option("--for", help="Seconds that calls come.", min=0.1)] = None,
    speed: Annotated[float | None, typer.Option(help="Simulated seconds that pass in one second.", min=0.001)] = None,
    use_case: Annotated[list[str] | None, typer.Option("--use-case", help="Only this one; may be repeated.")] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Play the calls of a folder of official files, in the order of time.", file_okay=False),
    ] = None,
    starts: Annotated[str | None, typer.Option(help="When it begins: YYYY-MM-DDTHH:MM or HH:MM, local time.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same calls.", min=0)] = None,
    as_json: AsJson = False,
) -> None:
    """Send simulated calls and outcomes to this home's platform. Ctrl-C stops them."""
    load_scenario(scenario)  # before the platform is asked, so that a wrong name is named also while it is down
    for name in use_case or ():
        known_use_case(name)
    asked = {
        "scenario": scenario,
        "rate": rate,
        "seconds": seconds,
        "speed": speed,
        "use_cases": use_case or [],
        "starts": starts,
        "seed": seed,
        "replay": None if replay is None else str(replay.resolve()),
    }
    with simulator_client(settings().home) as client:
        last = run_scenario(client, asked, watch=not as_json)
    if as_json:
        print_json(last)
    if last["state"] == "failed":
        raise VigieError(f"The simulation failed: {last['error']}")


def simulator_client(home: VigiePaths) -> httpx.Client:
    """HTTP client of the home's simulator.

    Raises:
        VigieError: the simulator is not running.
    """
    states = {state.name: state for state in Supervisor(home).states()} if Supervisor(home).pid() is not None else {}
    if SIMULATOR not in states or not states[SIMULATOR].running:
        raise VigieError(f"No simulator runs in {home.root}.", action="Start the platform with ./vigie up.")
    token = derive_service_token(secrets.value(home, "VIGIE_SERVICE_TOKEN"), "cli")
    headers = service_headers(token, "cli", "simulator")
    return httpx.Client(base_url=states[SIMULATOR].address, headers=headers, timeout=15.0, trust_env=False)


def run_scenario(client: httpx.Client, asked: dict[str, Any], *, watch: bool) -> dict[str, Any]:
    """Start a simulation and wait for its end; an interruption stops it. Returns the final statistics.

    Raises:
        VigieError: the simulator rejected the request.
    """
    status = _json_or_error(
        client.post("/simulations", json={name: value for name, value in asked.items() if value is not None})
    )
    path = f"/simulations/{status['id']}"
    try:
        with Live(console=err, auto_refresh=False, transient=True) as shown:
            while status["state"] not in _FINAL_STATES:
                time.sleep(_POLL_SECONDS)
                status = _json_or_error(client.get(path))
                if watch:
                    shown.update(statistics_table(status), refresh=True)
    except KeyboardInterrupt:
        status = _json_or_error(client.delete(path))
    if watch:
        out.print(statistics_table(status))
    return status


def statistics_table(status: dict[str, Any]) -> Table:
    """Statistics as a table for the terminal."""
    calls, latency, outcomes = status["calls"], status["latency_ms"], status["outcomes"]
    clock = str(status["clock"])[:16].replace("T", " ")
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="dim", min_width=12)
    shown.add_column()
    shown.add_row(
        status["scenario"], f"{status['state']}, {status['elapsed']:.0f} of {status['seconds']:.0f} s; {clock} UTC"
    )
    rate = (
        f"{status['rate_now']:.1f}/s now"
        if status["state"] == "running"
        else f"{_average_rate(status):.1f}/s on average"
    )
    shown.add_row("calls", f"{calls['sent']} sent ({rate}), {calls['answered']} answered")
    wrong = f"{calls['refused']} refused, {calls['failed']} failed, {calls['not_sent']} not sent"
    shown.add_row("errors", wrong + _hostile_counts(status["hostile"]))
    if latency["p50"] is not None:
        parts = (f"{name} {latency[name]:.1f}" for name in ("p50", "p95", "p99", "max"))
        shown.add_row("latency", ", ".join(parts) + " ms, from the moment a call was meant to be sent")
    shown.add_row("sources", ", ".join(f"{name} {share:.0%}" for name, share in status["sources"].items()) or "-")
    reported = (outcomes.get(name, 0) for name in ("sent", "late", "corrected", "never"))
    shown.add_row("outcomes", "{} reported ({} late, {} corrected), {} never".format(*reported))
    for use_case, targets in status["live_error"].items():
        parts = (
            f"{name} {target['metric']} {target['value']:.3g}{' ' + target['unit'] if 'unit' in target else ''}"
            for name, target in targets.items()
        )
        count = max(target["count"] for target in targets.values())
        shown.add_row("live error", f"{use_case}: {', '.join(parts)} [dim]({count} outcomes)[/]")
    return shown


def _average_rate(status: dict[str, Any]) -> float:
    sent: int = status["calls"]["sent"]
    return sent / max(min(status["elapsed"], status["seconds"]), 0.001)


def _hostile_counts(hostile: dict[str, int]) -> str:
    if not hostile:
        return ""
    return "; of hostile ones " + ", ".join(f"{number} {word}" for word, number in sorted(hostile.items()))


def _json_or_error(answer: httpx.Response) -> dict[str, Any]:
    """Parse the response.

    Raises:
        VigieError: the simulator rejected the request, with its message.
    """
    if answer.is_success:
        found: dict[str, Any] = answer.json()
        return found
    try:
        first = answer.json()["errors"][0]
    except (ValueError, LookupError):
        raise VigieError(f"The simulator answered with status {answer.status_code}.") from None
    raise VigieError(first["reason"], expected=first.get("allowed", ""), action=first.get("action", ""))
