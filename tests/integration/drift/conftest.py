"""A gateway on an embedded database, beside stage services that do as a test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.core.contract.use_case import UseCase
from tests.gateways import PASSWORD, make_gateway
from tests.integration.gateway.runs.stage_services import StageServices
from tests.servers import running
from tests.toy.declared import toy_declared


@pytest.fixture(scope="module")
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    return sqlite_engine


@pytest.fixture
def stages() -> StageServices:
    return StageServices()


@pytest.fixture
def platform(engine: Engine, tmp_path: Path, stages: StageServices) -> Iterator[Any]:
    """Starts a gateway, as a context that gives the administrator's client."""

    with running(stages.app) as url:

        @contextmanager
        def started(**changed: Any) -> Iterator[TestClient]:
            urls = dict.fromkeys(("ingestion_url", "preprocessing_url", "training_url", "drift_url"), url)
            app = make_gateway(tmp_path, engine, **({"gateway_monitor_hours": 0} | urls | changed))
            app.state.runner._poll = 0.05
            with TestClient(app, base_url="https://vigie.test") as client:
                form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
                token = client.post("/auth/token", data=form).json()["access_token"]
                client.headers["Authorization"] = f"Bearer {token}"
                yield client

        yield started
