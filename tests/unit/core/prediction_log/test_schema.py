"""The migration makes the tables that the code declares."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from services.core.database.connection import Base
from services.core.prediction_log.tables import OutcomeRow, PredictionRow

NAMES = {PredictionRow.__tablename__, OutcomeRow.__tablename__}


def differences(engine: Engine) -> list[object]:
    def mine(item: object, name: str | None, kind: str, *_: object) -> bool:
        return name in NAMES if kind == "table" else True

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": mine, "compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def test_metadata_and_migrated_schema_agree(engine: Engine) -> None:
    assert set(inspect(engine).get_table_names()) >= NAMES
    assert differences(engine) == []
