"""The service starts without what is broken, and tells so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.installed_packages import forget, install, toy_called
from tests.toy.folder_registry import FolderRegistry
from tests.unit.prediction.conftest import CALL, Client


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    """A service where a sound use case, one whose context is broken, and two broken ones are installed."""
    site = tmp_path / "site"
    toy_called("crates", site)
    (toy_called("barrels", site) / "context.py").write_text("import there_is_no_such_module\n")
    (toy_called("sacks", site) / "declaration.py").write_text("import there_is_no_such_module\n")
    odd = toy_called("bundles", site) / "declaration.py"  # sound by itself, but no column can be made of a set
    odd.write_text(odd.read_text().replace("town: str | None", "town: str | set[str] | None"))
    install(site, "vigie-goods", {name: name for name in ("bundles", "crates", "barrels", "sacks")})
    monkeypatch.syspath_prepend(site)
    forget()
    settings = PredictionSettings.model_validate({"VIGIE_HOME": tmp_path / "home", "prediction_access": "open"})
    yield create_app(settings, FolderRegistry)
    monkeypatch.undo()
    forget()


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    client = Client(app)
    yield client
    client.close()


def test_all_others_are_served(client: Client) -> None:
    assert client.post("/v1/crates/predict", json=CALL).status_code == 200
    assert client.post("/v1/sacks/predict", json=CALL).status_code == 404
    served = {item["name"] for item in client.get("/v1/use-cases").json()}
    assert {"crates", "barrels", "wine_quality", "fire_response"} <= served
    assert "sacks" not in served


def test_health_and_figures_name_what_was_left_out(client: Client) -> None:
    assert client.get("/health/ready").json()["skipped_use_cases"] == ["bundles", "sacks"]
    assert "vigie_skipped_use_cases 2.0" in client.get("/metrics").text


def test_a_context_that_cannot_be_loaded_costs_the_context_alone(app: FastAPI, client: Client) -> None:
    assert client.post("/v1/barrels/predict", json=CALL).status_code == 200
    source = app.state.deployments["barrels"].context
    assert dict(source.snapshot()) == {}
    assert "context cannot be loaded" in str(source.warning())
