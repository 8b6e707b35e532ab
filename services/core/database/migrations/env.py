"""Alembic's environment. The engine comes from ``services.core.database.migrate``."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Engine, text

from services.core.database.connection import Base
from services.core.database.migrate import import_table_modules

LOCK = 7_206_511
"""PostgreSQL advisory lock that serializes upgrades."""


def run() -> None:
    import_table_modules()
    engine: Engine = context.config.attributes["engine"]
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=engine.dialect.name == "sqlite",
            compare_type=True,
        )
        with context.begin_transaction():
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            context.run_migrations()


run()
