"""Real prediction servers of the toy use case on free ports of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.servers import running
from tests.toy.bundles import make_toy_bundle
from tests.toy.declaration import USE_CASE

CALL: dict[str, Any] = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}


@dataclass(frozen=True)
class Served:
    url: str
    app: Any

    def predict(self) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}/v1/toy/predict", json=CALL)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def wait_for(self, reached: Callable[[dict[str, Any]], bool], seconds: float = 20.0) -> dict[str, Any]:
        """Answers until one is as wanted."""
        until = time.monotonic() + seconds
        while not reached(body := self.predict()):
            assert time.monotonic() < until, f"not reached within {seconds} s: {body}"
            time.sleep(0.02)
        return body


@pytest.fixture(scope="session")
def toy_bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [make_toy_bundle(folder / str(seed), rows=600, seed=seed) for seed in (1, 2)]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers that share a home."""
    with ExitStack() as stack:

        def start(champions: Callable[[], Any], **options: Any) -> Served:
            chosen = {"VIGIE_HOME": tmp_path / "home", "alias_poll_seconds": 0.05, "prediction_access": "open"}
            settings = PredictionSettings.model_validate({**chosen, **options.pop("settings", {})})
            app = create_app(settings, champions, use_cases=[USE_CASE], **options)
            return Served(stack.enter_context(running(app)), app)

        yield start
