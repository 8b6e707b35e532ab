"""A gateway on SQLite, its client and the tokens of its first administrator.

Building an application takes longer than any test with it, so there is one for all; each test finds its database
as the first start left it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.core.database.connection import make_engine
from services.gateway.container import GatewayContainer
from tests.gateways import PASSWORD, make_gateway, sqlite_copy, sqlite_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sqlite_template(tmp_path_factory.mktemp("migrated"))


@pytest.fixture(scope="session")
def prepared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, Path, Path]]:
    """The application, its database file and a copy of that as the first start left it."""
    home = tmp_path_factory.mktemp("gateway")
    engine = sqlite_copy(template, home)
    app = make_gateway(home, engine)
    engine.dispose()
    used = home / "vigie.db"
    shutil.copyfile(used, home / "first.db")
    yield app, used, home / "first.db"
    engine.dispose()


@pytest.fixture
def client(prepared: tuple[FastAPI, Path, Path]) -> Iterator[TestClient]:
    app, used, first = prepared
    gateway: GatewayContainer = app.state.gateway
    gateway.engine.dispose()
    for path in (used, used.with_name(used.name + "-wal"), used.with_name(used.name + "-shm")):
        path.unlink(missing_ok=True)
    shutil.copyfile(first, used)
    gateway.signing.forget()
    gateway.access.renew()
    yield TestClient(app, base_url="https://vigie.test")
    gateway.engine.dispose()


@pytest.fixture
def gateway(client: TestClient) -> GatewayContainer:
    made: GatewayContainer = client.app.state.gateway  # type: ignore[attr-defined]
    return made


@pytest.fixture
def start(template: Path, tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """A client of a gateway of its own with other settings; called again, on the same database."""
    path = tmp_path / "vigie.db"
    shutil.copyfile(template, path)
    engine = make_engine(f"sqlite:///{path}")

    def started(**changed: Any) -> TestClient:
        return TestClient(make_gateway(tmp_path, engine, **changed), base_url="https://vigie.test")

    yield started
    engine.dispose()


@pytest.fixture
def admin(client: TestClient) -> dict[str, str]:
    """Headers of the first administrator."""
    answer = client.post("/auth/token", data={"grant_type": "password", "username": "admin", "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
