"""A small model of simulated products, and a prediction service without a network that answers with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.params import Train
from services.core.raw_files.reader import read_folder
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from services.training.stage.train import train
from services.use_cases.product_category import raw, simulator
from services.use_cases.product_category.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

ROWS = 220


@pytest.fixture(scope="session")
def products(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("products")
    simulator.write(folder, seed=3, rows=ROWS, start="2024-01-01", days=30)
    tables = read_folder("product_category", folder)
    return raw.build_examples(tables)


@pytest.fixture(scope="session")
def bundle(products: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("product-bundle") / "bundle"
    named = {"codes": pd.array(["1140", "50"]).to_numpy(dtype=str), "names": pd.array(["Shirts", "Bags"]).to_numpy(str)}
    return train(USE_CASE, products, named, {}, params=Train(folds=3), folder=folder, simulated=True)


@pytest.fixture(scope="session")
def predictor(bundle: Path) -> Predictor:
    return Predictor(USE_CASE, bundle)


@dataclass
class Service:
    runner: asyncio.Runner
    client: httpx.AsyncClient
    home: Path

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.runner.run(self.client.post(f"/v1/product_category/{path}", **options))

    def get(self, path: str) -> httpx.Response:
        return self.runner.run(self.client.get(path))

    def journal(self) -> list[dict[str, Any]]:
        """Every record that was written down, as it stands there."""
        lines = [
            line
            for file in (self.home / "serving" / "journal").rglob("*")
            if file.is_file()
            for line in file.read_bytes().splitlines()
        ]
        return [json.loads(line) for line in lines if line.startswith(b"{")]


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("product-home")
    champions = FolderRegistry()
    champions.promote("product_category", 1, bundle)
    settings = PredictionSettings.model_validate({"VIGIE_HOME": home, "prediction_access": "open"})
    app = create_app(settings, lambda: champions, use_cases=[USE_CASE])
    app.state.deployments["product_category"].follower.poll()
    app.state.calls.journal.open()
    with asyncio.Runner() as runner:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://vigie", timeout=60)
        yield Service(runner, client, home)
        runner.run(client.aclose())
    app.state.calls.journal.close()
