"""A gateway, a prediction service with a model and a simulator, each a real server, on one database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from services.cli.local_platform.ports import free_port
from services.prediction.app import create_app as prediction_app
from services.prediction.settings import PredictionSettings
from services.simulator import simulation
from services.simulator.app import create_app as simulator_app
from services.simulator.settings import SimulatorSettings
from tests.gateways import PASSWORD, SERVICE_TOKEN, make_gateway, sqlite_copy, sqlite_template
from tests.servers import running
from tests.toy.bundles import make_toy_bundle
from tests.toy.declaration import USE_CASE
from tests.toy.declared import toy_declared
from tests.toy.folder_registry import FolderRegistry


@dataclass
class Platform:
    gateway: httpx.Client
    prediction: httpx.Client
    simulator: httpx.Client
    engine: Engine
    bundle: Path
    token: str

    def start(self, **asked: Any) -> dict[str, Any]:
        answer = self.simulator.post("/simulations", json={"use_cases": ["toy"], **asked})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def play(self, **asked: Any) -> dict[str, Any]:
        """Until it is over."""
        started = self.start(**asked)
        return self.until(lambda told: told["finished_at"] is not None, started["id"])

    def until(self, reached: Callable[[dict[str, Any]], bool], id: str, seconds: float = 180.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while not reached(told := self.simulator.get(f"/simulations/{id}").raise_for_status().json()):
            assert time.monotonic() < end, f"not reached within {seconds} s: {told}"
            time.sleep(0.1)
        found: dict[str, Any] = told
        return found

    def as_admin(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.gateway.request(method, path, headers={"Authorization": f"Bearer {self.token}"}, **more)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with toy_declared(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "DRAIN_SECONDS", 1.0)
        yield from _platform(tmp_path_factory.mktemp("simulated"))


def _platform(home: Path) -> Iterator[Platform]:
    bundle = make_toy_bundle(home / "bundle", rows=1_500)
    registered = FolderRegistry()
    registered.promote("toy", 1, bundle)
    engine = sqlite_copy(sqlite_template(home), home)
    port = free_port(0)
    shared = {"service_token": SERVICE_TOKEN, "database_url": engine.url.render_as_string()}
    gateway = make_gateway(home / "gateway", engine, simulator_url=f"http://127.0.0.1:{port}")
    with running(gateway) as gateway_url:
        given = {
            **shared,
            "VIGIE_HOME": home / "prediction",
            "gateway_url": gateway_url,
            "access_poll_seconds": 0.2,
            "prediction_journal_seconds": 0.2,
        }
        prediction = prediction_app(PredictionSettings.model_validate(given), lambda: registered, use_cases=[USE_CASE])
        with running(prediction) as prediction_url:
            settings = {**shared, "gateway_url": gateway_url, "prediction_url": prediction_url}
            with (
                running(simulator_app(SimulatorSettings.model_validate(settings)), port) as simulator_url,
                httpx.Client(base_url=gateway_url, timeout=60) as to_gateway,
                httpx.Client(base_url=prediction_url, timeout=60) as to_prediction,
                httpx.Client(
                    base_url=simulator_url, timeout=60, headers={"Authorization": f"Bearer {SERVICE_TOKEN}"}
                ) as to_simulator,
            ):
                form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
                token = to_gateway.post("/auth/token", data=form).raise_for_status().json()["access_token"]
                _wait_for_champion(prediction)
                yield Platform(to_gateway, to_prediction, to_simulator, engine, bundle, token)


def _wait_for_champion(app: Any) -> None:
    end = time.monotonic() + 90
    while app.state.deployments["toy"].slot.serving.model is None:
        assert time.monotonic() < end, "the model did not come into service"
        time.sleep(0.05)
