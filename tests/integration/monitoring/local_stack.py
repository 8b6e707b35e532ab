"""The platform as local processes with a real Prometheus and Alertmanager beside it, and something going on in it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from services.cli.local_platform import secrets
from services.cli.local_platform.ports import Ports
from services.cli.local_platform.supervisor import Supervisor
from services.core.auth.service_credentials import derive_service_token
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT
from tests.e2e.platform_client import wait_for
from tests.prometheus_tools import free_port, program, started

MONITORING = CHECKOUT / "monitoring"
SECONDS = 600.0
TOKEN_SECONDS = 300.0


@dataclass(frozen=True)
class LocalStack:
    addresses: Mapping[str, str]
    password: str
    prometheus: str
    _tokens: list[tuple[float, str]] = field(default_factory=list)
    """The newest one, and when it was given: signing in is made to be slow."""

    def ask(self, part: str, method: str, path: str, *, expect: tuple[int, ...] = (200, 202), **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token()}", **more.pop("headers", {})}
        answer = httpx.request(method, self.addresses[part] + path, headers=headers, timeout=60, **more)
        assert answer.status_code in expect, f"{method} {path}: {answer.status_code} {answer.text[:1_000]}"
        return answer.json() if answer.content else None

    def token(self) -> str:
        if self._tokens and time.monotonic() - self._tokens[-1][0] < TOKEN_SECONDS:
            return self._tokens[-1][1]
        form = {"grant_type": "password", "username": "admin", "password": self.password}
        found: str = httpx.post(f"{self.addresses['gateway']}/auth/token", data=form, timeout=60).json()["access_token"]
        self._tokens.append((time.monotonic(), found))
        return found


@contextmanager
def local_stack(folder: Path) -> Iterator[LocalStack]:
    """``./vigie up --without airflow`` in a home of its own, on free ports."""
    home = VigiePaths(folder / "home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
    environment |= {
        "VIGIE_HOME": str(home.root),
        "VIGIE_EXTRA_USE_CASES": "tests.toy",
        "VIGIE_GATEWAY_FIRST_TRAINING": "false",
        "VIGIE_GATEWAY_MONITOR_HOURS": "0",
        "PYTHONPATH": str(CHECKOUT),
        **{f"VIGIE_{part.upper()}_PORT": str(free_port()) for part in Ports().wanted()},
    }
    processes = Supervisor(home)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", "up", "--without", "airflow"],
            env=environment,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
        addresses = {state.name: state.address for state in processes.states() if state.address}
        password = secrets.value(home, "VIGIE_GATEWAY_ADMIN_PASSWORD")
        token = derive_service_token(secrets.value(home, "VIGIE_SERVICE_TOKEN"), "alertmanager")
        with ExitStack() as beside:
            alertmanager = beside.enter_context(_alertmanager(folder, addresses["gateway"], token))
            prometheus = beside.enter_context(_prometheus(folder, {**addresses, "alertmanager": alertmanager}))
            yield LocalStack(addresses, password, prometheus)
    finally:
        processes.stop()


@contextmanager
def _alertmanager(folder: Path, gateway: str, token: str) -> Iterator[str]:
    port, place = free_port(), folder / "alertmanager"
    place.mkdir()
    address = f"http://127.0.0.1:{port}"
    line = [str(MONITORING / "alertmanager" / "start.sh"), f"--web.listen-address=127.0.0.1:{port}"]
    line += ["--web.route-prefix=/alertmanager", f"--storage.path={place / 'data'}"]
    environment = {
        "PATH": os.environ["PATH"],
        "VIGIE_ALERTMANAGER_FOLDER": str(place),
        "VIGIE_GATEWAY_URL": gateway,
        "VIGIE_SERVICE_TOKEN": token,
    }
    program("prometheus-alertmanager")
    with started(line, f"{address}/alertmanager/-/ready", log=place / "log", environment=environment):
        yield address


@contextmanager
def _prometheus(folder: Path, addresses: Mapping[str, str]) -> Iterator[str]:
    """The platform's own configuration and rules, with addresses instead of names and everything a little sooner."""
    port, place = free_port(), folder / "prometheus"
    (place / "rules").mkdir(parents=True)
    content = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())
    content["global"] = {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "2s"}
    content["alerting"]["alertmanagers"][0].pop("dns_sd_configs")
    content["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [_target(addresses["alertmanager"])]}]
    for job in content["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        name = job["job_name"]
        address = f"http://127.0.0.1:{port}" if name == "prometheus" else addresses.get(name)
        job["static_configs"] = [{"targets": [_target(address)]}] if address else []
    (place / "prometheus.yml").write_text(yaml.safe_dump(content))
    for path in (MONITORING / "prometheus" / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)
        (place / "rules" / path.name).write_text(yaml.safe_dump(rules))
    address = f"http://127.0.0.1:{port}/prometheus"
    line = [program("prometheus"), f"--config.file={place / 'prometheus.yml'}", f"--storage.tsdb.path={place / 'data'}"]
    line += [f"--web.listen-address=127.0.0.1:{port}", f"--web.external-url={address}"]
    with started(line, f"{address}/-/ready", log=place / "log"):
        yield address


def _target(address: str) -> str:
    return address.removeprefix("http://")


# --- something going on ---------------------------------------------------------------------------------------


def train(stack: LocalStack, use_case: str = "toy") -> None:
    """One retraining from simulated files, to its end, and until prediction serves it."""
    run = stack.ask("gateway", "POST", "/admin/retrainings", json={"use_case": use_case, "source": "simulator"})["id"]

    def ended() -> bool:
        found = stack.ask("gateway", "GET", f"/admin/retrainings/{run}")
        assert found["state"] not in {"failed", "rejected"}, found
        return bool(found["state"] == "succeeded")

    wait_for("the training", ended, seconds=SECONDS)
    wait_for("the swap", lambda: _served(stack, use_case) == "champion", seconds=180)


def _served(stack: LocalStack, use_case: str) -> str:
    listed = stack.ask("prediction", "GET", "/v1/use-cases")
    return next(str(item["source"]) for item in listed if item["name"] == use_case)


def call(stack: LocalStack, number: int = 300, *, seconds: float = 8.0) -> None:
    """Calls over some seconds, a few of them wrong, an exercise's among them; and what became of them."""
    chance = random.Random(7)
    signed_in = {"Authorization": f"Bearer {stack.token()}", "X-Vigie-Call-Kind": "simulated"}
    with closing(httpx.Client(base_url=stack.addresses["prediction"], timeout=30, headers=signed_in)) as client:
        reports = []
        for index in range(number):
            body = {
                "called_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "distance": round(chance.gammavariate(2.0, 2.0), 2),
                "kind": chance.choice(["letter", "parcel"]),
                "town": chance.choice(["east", "west", "north"]),
            }
            said = {"X-Request-Id": f"panel-{index}", "X-Vigie-Call-Kind": "simulated" if index % 5 else "live"}
            answer = client.post("/v1/toy/predict", json=body, headers=said)
            assert answer.status_code == 200, answer.text
            reports.append({"request_id": f"panel-{index}", "labels": {"seconds": 60 + 120 * body["distance"]}})
            time.sleep(seconds / number)
        client.post("/v1/toy/predict", json={})
        client.post("/v1/toy/predict", json=body, headers={"X-Vigie-Call-Kind": "exercise"})
        client.post("/v1/toy/predict", json=body, headers={"Authorization": "Bearer nonsense"})
        kept = client.post("/v1/toy/outcomes", json={"outcomes": [{**item, "simulated": True} for item in reports]})
        assert kept.is_success, kept.text


def look_at_drift(stack: LocalStack, use_case: str = "toy") -> None:
    """One look of the drift service at the calls, to its end."""
    wait_for("the journal's delivery", lambda: _delivered(stack), seconds=180)
    stack.ask("gateway", "POST", f"/admin/monitoring/{use_case}/runs", json={"report": False, "act": False})
    wait_for(
        "the look at drift",
        lambda: stack.ask("gateway", "GET", f"/admin/monitoring/{use_case}/runs?limit=1")["runs"],
        seconds=240,
    )


def _delivered(stack: LocalStack) -> bool:
    said = httpx.get(f"{stack.addresses['prediction']}/metrics", timeout=60).text.splitlines()
    (waiting,) = (line for line in said if line.startswith("vigie_journal_oldest_seconds"))
    return float(waiting.rpartition(" ")[2]) == 0
