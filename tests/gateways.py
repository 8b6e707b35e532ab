"""A gateway for tests: on a migrated database, with cheap password hashing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from fastapi import FastAPI
from sqlalchemy import Engine

from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.gateway.app import create_app
from services.gateway.container import GatewayContainer, prepare_database
from services.gateway.settings import GatewaySettings

PASSWORD = "quiet harbour lamp 7"
SERVICE_TOKEN = "service-token-of-the-gateway-tests"
KEY = Fernet.generate_key().decode()
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def sqlite_template(folder: Path) -> Path:
    """An empty, migrated SQLite database to copy from."""
    path = folder / "template.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


def sqlite_copy(template: Path, folder: Path) -> Engine:
    path = folder / "vigie.db"
    shutil.copyfile(template, path)
    return make_engine(f"sqlite:///{path}")


def gateway_settings(home: Path, **changed: Any) -> GatewaySettings:
    given = {
        "VIGIE_HOME": home,
        "service_token": SERVICE_TOKEN,
        "gateway_key_encryption": KEY,
        "gateway_admin_password": PASSWORD,
        "gateway_first_training": False,
        "airflow_url": None,
        "registry_url": None,
        "database_url": None,
    }
    return GatewaySettings.model_validate(given | changed)


def make_gateway(home: Path, engine: Engine, **changed: Any) -> FastAPI:
    """The application, prepared as its own start would do it."""
    app = create_app(gateway_settings(home, **changed), engine=engine, hasher=CHEAP)
    gateway: GatewayContainer = app.state.gateway
    prepare_database(gateway)
    gateway.access.renew()
    return app
