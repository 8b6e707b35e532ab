"""Upgrades the database to the newest schema: ``python -m services.core.database.migrate``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from services.core.database.connection import database_address, make_engine
from services.core.errors import VigieError
from services.core.logs import configure_logging
from services.core.settings import settings

TABLE_MODULES: tuple[str, ...] = (
    "services.core.auth.tables",
    "services.core.audit.log",
    "services.core.model_registry.promotion_freeze",
    "services.core.monitoring.alerts",
    "services.core.prediction_log.tables",
    "services.core.jobs.tables",
    "services.core.monitoring.drift_state",
)
"""Modules that declare tables."""
MIGRATION_BRANCHES = ("access", "alerts", "calls", "jobs", "monitoring")
"""Alembic's branch labels. They are stored in databases, so they do not follow renamed modules."""


def import_table_modules() -> None:
    """Import all table modules, which registers their tables in the metadata."""
    for module in TABLE_MODULES:
        importlib.import_module(module)


MIGRATIONS = Path(__file__).with_name("migrations")
PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 0.5


def alembic_config(engine: Engine) -> Config:
    """Build Alembic's configuration without an ini file."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["engine"] = engine
    return made


def upgrade(engine: Engine) -> None:
    """Apply all pending migrations. Idempotent; concurrent upgrades of one database are serialized."""
    command.upgrade(alembic_config(engine), "heads")


def wait_for_database(engine: Engine, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the database accepts connections.

    Raises:
        VigieError: it did not within ``seconds``.
    """

    def ask() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    retrying = Retrying(
        retry=retry_if_exception_type(OperationalError),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(PAUSE_SECONDS),
        reraise=True,
    )
    try:
        retrying(ask)
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise VigieError(
            f"The database {engine.url.render_as_string(hide_password=True)} does not answer: {reason}",
            action="See that it runs and that VIGIE_DATABASE_URL is its address.",
        ) from None


def main() -> int:
    configure_logging("database")
    chosen = settings()
    engine = make_engine(database_address(chosen.database_url, chosen.home))
    try:
        wait_for_database(engine)
        upgrade(engine)
    except VigieError as error:
        structlog.get_logger().error("database not up to date", reason=str(error))
        return 1
    structlog.get_logger().info("database up to date", address=engine.url.render_as_string(hide_password=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
