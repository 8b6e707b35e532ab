"""The platform that ``./vigie demo`` shows: this machine's processes on the demo's own home."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from services.cli import secrets, showing
from services.cli.console import err, out, step
from services.cli.processes import Processes, Program, State, wait_until
from services.cli.programs import programs
from services.cli.starting import start
from services.core.calls.kinds import SIMULATED
from services.core.errors import VigieError
from services.core.headers import API_KEY_HEADER, CALL_KIND_HEADER, service_headers
from services.core.home import Home
from services.core.settings import settings

CENTRE = "simulated-demo"
KEY_MINUTES = 10
DASHBOARD = "dashboard"
_NEEDED = ("migrate", "prediction", "gateway", "simulator")
"""What calls, outcomes and a storm need; the rest of the platform comes with ``--keep``."""


@dataclass(frozen=True, slots=True)
class DemoPlatform:
    """A platform that runs, as its callers see it."""

    home: Home
    prediction: str
    key: str

    def post(self, path: str, payload: dict[str, Any]) -> httpx.Response:
        headers = {API_KEY_HEADER: self.key, CALL_KIND_HEADER: SIMULATED}
        return httpx.post(f"{self.prediction}{path}", json=payload, headers=headers, timeout=10)

    def serves(self, promoted: Set[str]) -> bool:
        """Whether every promoted use case is answered by its champion."""
        try:
            answer = httpx.get(f"{self.prediction}/v1/use-cases", headers={API_KEY_HEADER: self.key}, timeout=5)
        except httpx.HTTPError:
            return False
        if answer.status_code != httpx.codes.OK:
            return False
        served = {item["name"]: item["source"] for item in answer.json()}
        return all(served.get(name) == "champion" for name in promoted)


@contextmanager
def demo_platform(home: Home, promoted: Set[str], *, keep: bool) -> Iterator[DemoPlatform]:
    """The platform of ``home``, serving the champions; stopped at the end unless it is to be kept or something
    fails before."""
    processes, made = Processes(home), secrets.keep(home)
    chosen = settings().model_copy(update={"home_path": home.root, "database_url": None})
    listed = programs(chosen, made, airflow=False)
    done = False
    try:
        with step("the platform starts" if keep else "prediction, gateway and simulator start"):
            processes.start(listed if keep else _only_needed(listed))
            start(processes, wait=600, tell=_quiet)
        address = {state.name: state.address for state in processes.states()}
        platform = DemoPlatform(home, address["prediction"], _key(address["gateway"], made))
        with step(f"prediction at {platform.prediction} serves the champions"):
            if not wait_until(lambda: platform.serves(promoted), seconds=180):
                raise VigieError(
                    "The prediction service did not serve the champions within three minutes.",
                    action=f"See {processes.log('prediction')}.",
                )
        yield platform
        done = True
    finally:
        if not (keep and done):
            processes.stop()


def show_kept(home: Home) -> None:
    """How one gets into the platform that was left running."""
    processes = Processes(home)
    showing.show(processes)
    showing.first_login(secrets.keep(home), airflow=False)
    if address := next((state.address for state in processes.states() if state.name == DASHBOARD), ""):
        out.print(f"\n[bold]The dashboard:[/] {address}")
    out.print(f"End it with: VIGIE_HOME={home.root} ./vigie down", markup=False)


def _only_needed(listed: list[Program]) -> list[Program]:
    """Without a registry server prediction reads the home's registry itself; nothing is trained behind one's back."""
    chosen = [program for program in listed if program.name in _NEEDED]
    return [
        replace(
            program,
            environment={
                **{name: value for name, value in program.environment.items() if name != "VIGIE_REGISTRY_URL"},
                "VIGIE_GATEWAY_FIRST_TRAINING": "false",
            },
        )
        for program in chosen
    ]


def _key(gateway: str, made: secrets.Secrets) -> str:
    """A key of a simulated centre, for the calls that the demo shows."""
    headers = service_headers(made.values["VIGIE_SERVICE_TOKEN"], "cli")
    answer = httpx.post(
        f"{gateway}/internal/simulator/keys",
        json={"centres": [CENTRE], "minutes": KEY_MINUTES},
        headers=headers,
        timeout=10,
    )
    text: str = answer.raise_for_status().json()["keys"][0]["text"]
    return text


def _quiet(state: State, seconds: float) -> None:
    err.print(f"  [dim]{state.name} ({seconds:.1f} s)[/]")
