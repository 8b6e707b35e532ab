"""A prediction service of the toy use case without a network: the follower is polled by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.prediction.app import Deployment, create_app
from services.prediction.settings import PredictionSettings
from tests.toy.bundles import make_toy_bundle
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

CALL: dict[str, Any] = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}


@pytest.fixture(scope="session")
def toy_bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two bundles that answer differently."""
    folder = tmp_path_factory.mktemp("bundles")
    return [make_toy_bundle(folder / str(seed), rows=600, seed=seed) for seed in (1, 2)]


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """Requests straight into the application, from synchronous tests."""

    def __init__(self, app: FastAPI) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://vigie")

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.get(path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.post(path, **options))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


@dataclass
class Service:
    app: FastAPI
    client: Client
    registry: FolderRegistry
    clock: Clock
    call: dict[str, Any] = field(default_factory=lambda: dict(CALL))

    @property
    def desk(self) -> Deployment:
        desk: Deployment = self.app.state.deployments["toy"]
        return desk

    def poll(self) -> None:
        self.desk.follower.poll()

    def predict(self, **changes: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/toy/predict", json={**self.call, **changes})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Makes services that share a home: making a second one is a restart."""
    opened: list[Client] = []

    def make(registry: FolderRegistry | None = None, **options: Any) -> Service:
        clock = Clock()
        chosen = registry or FolderRegistry()
        given = {"VIGIE_HOME": tmp_path / "home", "prediction_access": "open", **options.pop("settings", {})}
        settings = PredictionSettings.model_validate(given)
        options.setdefault("use_cases", [USE_CASE])
        app = create_app(settings, lambda: chosen, clock=clock, **options)
        client = Client(app)
        opened.append(client)
        return Service(app, client, chosen, clock)

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def service(make_service: Callable[..., Service], toy_bundles: list[Path]) -> Service:
    """A service whose champion is version 1."""
    made = make_service()
    made.registry.promote("toy", 1, toy_bundles[0])
    made.poll()
    return made
