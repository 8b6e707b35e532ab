"""``./vigie demo``: trains, gates, serves and calls every use case on a temporary platform.

What waits for nothing runs side by side: the platform starts while the last use case trains."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer

from services.cli.commands import platform as showing
from services.cli.commands import simulate
from services.cli.commands.models import example_payload
from services.cli.commands.pipeline import run_chains
from services.cli.console import Source, announce, err, out, remember_duration, step
from services.cli.local_platform import secrets
from services.cli.local_platform.ports import HOST, Ports, free_ports, replaced_ports
from services.cli.local_platform.service_specs import ServiceSpec, service_specs
from services.cli.local_platform.startup import BackgroundStart
from services.cli.local_platform.supervisor import ServiceState, Supervisor, wait_until
from services.core import use_case_registry as use_cases
from services.core.auth.service_credentials import derive_service_token, service_headers
from services.core.contract.learners import BoostedTrees
from services.core.errors import VigieError
from services.core.headers import API_KEY_HEADER, CALL_KIND_HEADER, SIMULATED
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT, settings

if TYPE_CHECKING:
    from services.core.params import Params

CENTRE = "simulated-demo"
KEY_MINUTES = 10
_MINIMAL = ("migrate", "prediction", "gateway", "simulator")
"""Services that calls, outcomes and the storm need; ``--keep`` starts the others."""


@dataclass(frozen=True, slots=True)
class DemoPlatform:
    """A running platform as seen by its callers."""

    home: VigiePaths
    prediction: str
    key: str

    def post(self, path: str, payload: dict[str, Any]) -> httpx.Response:
        headers = {API_KEY_HEADER: self.key, CALL_KIND_HEADER: SIMULATED}
        return httpx.post(f"{self.prediction}{path}", json=payload, headers=headers, timeout=10, trust_env=False)

    def serves(self, promoted: Set[str]) -> bool:
        """Whether every promoted use case is served by its champion."""
        try:
            headers = {API_KEY_HEADER: self.key}
            answer = httpx.get(f"{self.prediction}/v1/use-cases", headers=headers, timeout=5, trust_env=False)
        except httpx.HTTPError:
            return False
        if answer.status_code != httpx.codes.OK:
            return False
        served = {item["name"]: item["source"] for item in answer.json()}
        return all(served.get(name) == "champion" for name in promoted)


@contextmanager
def run_demo_platform(home: VigiePaths, *, keep: bool) -> Iterator[BackgroundStart]:
    """Run the platform of ``home``, which ``begin`` of the yielded object starts; it is stopped at the end unless it
    should keep running, or earlier on failure."""
    processes, done = Supervisor(home), False
    starting = BackgroundStart(processes, lambda: _demo_services(home, keep=keep), wait=600, tell=_report_dimmed)
    try:
        yield starting
        done = True
    finally:
        starting.end()
        if not (keep and done):
            processes.stop(patience=STOP_SECONDS)  # everything is deleted afterwards: nothing is waited for


def _demo_services(home: VigiePaths, *, keep: bool) -> list[ServiceSpec]:
    chosen = settings().model_copy(update={"home_path": home.root, "database_url": None})
    wanted = {name: port for name, port in Ports().wanted(airflow=False).items() if keep or name in _MINIMAL}
    ports = free_ports(wanted)
    for sentence in replaced_ports(wanted, ports):
        err.print(f"  {sentence}")
    listed = service_specs(chosen, secrets.ensure(home), airflow=False, ports={**Ports().wanted(), **ports})
    return listed if keep else _minimal_services(listed)


def wait_for_champions(starting: BackgroundStart, home: VigiePaths, promoted: Set[str]) -> DemoPlatform:
    """Wait until the platform serves the champions.

    Raises:
        VigieError: a service did not start, or the champions are not served in time.
    """
    processes = Supervisor(home)
    with step("the platform starts"):
        starting.result()
    address = {state.name: state.address for state in processes.states()}
    platform = DemoPlatform(home, address["prediction"], _simulator_key(address["gateway"], secrets.ensure(home)))
    with step(f"prediction at {platform.prediction} serves the champions"):
        if not wait_until(lambda: platform.serves(promoted), seconds=180):
            raise VigieError(
                "The prediction service did not serve the champions within three minutes.",
                action=f"See {processes.log('prediction')}.",
            )
    return platform


def show_running_platform(home: VigiePaths) -> None:
    """Print addresses and login of the platform that keeps running."""
    processes = Supervisor(home)
    showing.show_status(processes)
    showing.show_first_login(secrets.ensure(home), airflow=False)
    out.print(f"End it with: VIGIE_HOME={home.root} ./vigie down", markup=False)


def _minimal_services(listed: list[ServiceSpec]) -> list[ServiceSpec]:
    """Without a registry server prediction reads the home's registry directly, and nothing is retrained."""
    chosen = [program for program in listed if program.name in _MINIMAL]
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


def _simulator_key(gateway: str, made: secrets.Secrets) -> str:
    """Create an API key of a simulated centre, for the calls that the demo prints."""
    token = derive_service_token(made.values["VIGIE_SERVICE_TOKEN"], "cli")
    headers = service_headers(token, "cli", "gateway")
    answer = httpx.post(
        f"{gateway}/internal/simulator/keys",
        json={"centres": [CENTRE], "minutes": KEY_MINUTES},
        headers=headers,
        timeout=10,
        trust_env=False,
    )
    text: str = answer.raise_for_status().json()["keys"][0]["text"]
    return text


def _report_dimmed(state: ServiceState, seconds: float) -> None:
    err.print(f"  [dim]{state.name} ({seconds:.1f} s)[/]")


STORM = {"scenario": "storm", "rate": 10, "seconds": 8, "speed": 2_250}
"""Five simulated hours in eight seconds, so that outcomes are reported while the demo runs."""
ROUNDS_SHARE = 4
"""Simulated data is learned with a quarter of the boosting rounds at four times the learning rate."""
MAX_ETA = 0.3
STOP_SECONDS = 1.0
BUSY_MILLISECONDS = 250.0
"""Median latency of the storm above which other programs must have used the machine."""
USUAL_SECONDS = 75.0
ANSWERED_SHARE = 0.95
MAX_BODY_SHOWN = 2_000
"""Maximum number of characters printed of a body; images have many more."""


def demo(
    source: Source = "simulator",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the whole platform running to look at.")] = False,
) -> None:
    """Train, gate, serve and call every use case, and let a storm break over them."""
    started = time.perf_counter()
    home = VigiePaths(settings().home.root / "demo")
    Supervisor(home).stop()
    shutil.rmtree(home.root, ignore_errors=True)
    data = "simulated data" if source == "simulator" else f"data from {source}"
    out.print(f"[bold]Vigie demo[/]: from raw files to answered calls, on {data}. Everything below {home.root}.\n")
    announce("vigie demo", usual=USUAL_SECONDS)
    left_running, names = False, use_cases.names()
    try:
        with run_demo_platform(home, keep=keep) as starting:
            promoted = set()
            for number, result in enumerate(run_chains(home, names, source, quick_params(source)), 1):
                if result["promoted"]:
                    promoted.add(result["use_case"])
                out.print()
                if number >= len(names) - 1:
                    starting.begin()  # while the last one trains on the other core
            platform = wait_for_champions(starting, home, promoted)
            for name in names:
                _show_call(platform, name)
            _show_invalid_call(platform, names[0])
            _simulate_storm(home)
        left_running = keep
    finally:
        if not left_running:
            shutil.rmtree(home.root, ignore_errors=True)
    seconds = time.perf_counter() - started
    remember_duration("vigie demo", seconds)
    if left_running:
        out.print(f"[bold green]Done[/] in {seconds:.0f} s. The platform goes on running:\n")
        show_running_platform(home)
        return
    out.print(f"[bold green]Done[/] in {seconds:.0f} s; nothing is left running.")
    dashboard = f"http://{HOST}:{Ports().wanted()[showing.DASHBOARD]}"
    out.print(
        f"The dashboard of all this: ./vigie demo --keep leaves the platform running, with {dashboard} to look at."
    )
    out.print("Next: ./vigie run USE_CASE --source DIR trains on your files, ./vigie up serves them.")
    if source == "simulator":
        out.print("The demo trains with a quarter of the boosting rounds; ./vigie run trains with all of them.")


def quick_params(source: str) -> Params | None:
    """params.yaml with fewer and larger boosting steps, which simulated data does not need more of; None for others."""
    if source != "simulator":
        return None
    from services.core.params import LearnerOverride, load_params  # noqa: PLC0415

    changed = params = load_params(CHECKOUT)
    for name, of in params.use_cases.items():
        learners = {
            target.name: LearnerOverride(
                num_boost_round=max(10, target.learner.members[0].num_boost_round // ROUNDS_SHARE),
                parameters={
                    "eta": min(MAX_ETA, ROUNDS_SHARE * float(target.learner.members[0].parameters.get("eta", MAX_ETA)))
                },
            )
            for target in use_cases.get(name).modelling.targets
            if isinstance(target.learner, BoostedTrees)
        }
        train = of.train.model_copy(update={"learners": {**learners, **of.train.learners}})
        use_case_params = {**changed.use_cases, name: of.model_copy(update={"train": train})}
        changed = changed.model_copy(update={"use_cases": use_case_params})
    return changed


def _simulate_storm(home: VigiePaths) -> None:
    """Run seconds of high load and print its statistics."""
    out.print(f"[bold]A storm[/]: {STORM['seconds']} s of calls from simulated control rooms, and what they report.")
    with simulate.simulator_client(home) as client:
        status = simulate.run_scenario(client, dict(STORM), watch=True)
    out.print()
    if (status["latency_ms"]["p50"] or 0.0) > BUSY_MILLISECONDS:
        out.print(
            f"Half of the calls took more than {BUSY_MILLISECONDS:.0f} ms: this machine is busy with other programs "
            "(on two idle cores it is about 10 ms).\n"
        )
    calls = status["calls"]
    # On a busy machine some calls may exceed their timeout; the table shows it.
    if status["state"] != "finished" or calls["refused"] or calls["answered"] < ANSWERED_SHARE * calls["sent"]:
        raise VigieError(
            f"The storm ended as {status['state']}: {status['error'] or calls}",
            expected="calls that are answered",
            action=f"See the logs in {home.logs}.",
        )


def _show_call(platform: DemoPlatform, use_case: str) -> None:
    _post_and_show(platform, f"/v1/{use_case}/predict", last_example(platform.home, use_case))


def last_example(home: VigiePaths, use_case: str) -> dict[str, Any]:
    """The latest example of the data as a request: of places and words that its model has seen others of."""
    import pandas as pd  # noqa: PLC0415 - not needed for help
    from pydantic import TypeAdapter  # noqa: PLC0415

    from services.preprocessing.stage.preprocess import to_request_rows  # noqa: PLC0415

    examples = pd.read_parquet(home.data(use_case) / "examples" / "examples.parquet").tail(1)
    (row,) = to_request_rows(use_cases.get(use_case).serving.request, examples)
    sent: dict[str, Any] = TypeAdapter(dict[str, Any]).dump_python(row, mode="json")
    return sent


def _show_invalid_call(platform: DemoPlatform, use_case: str) -> None:
    """Print the response to an invalid request."""
    payload = {**example_payload(use_case), next(iter(example_payload(use_case))): "not what was asked for"}
    _post_and_show(platform, f"/v1/{use_case}/predict", payload, expected=422)


def _post_and_show(platform: DemoPlatform, path: str, payload: dict[str, Any], *, expected: int = 200) -> None:
    body = json.dumps(payload, ensure_ascii=False)
    out.print(f"[bold]POST {path}[/]")
    out.print(f"  {body if len(body) < MAX_BODY_SHOWN else body[:MAX_BODY_SHOWN] + ' …'}", markup=False)
    begun = time.perf_counter()
    answer = platform.post(path, payload)
    milliseconds = (time.perf_counter() - begun) * 1_000
    out.print(f"[bold]{answer.status_code}[/] [dim]in {milliseconds:.1f} ms with its connection[/]")
    out.print_json(answer.text, indent=2)
    out.print()
    if answer.status_code != expected:
        err.print(answer.text, markup=False)
        raise VigieError(f"{path} answered {answer.status_code}.", expected=str(expected))
