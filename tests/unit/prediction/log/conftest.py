"""The prediction log's fixtures."""

from tests.unit.core.prediction_log.conftest import database, engine, make_journal, migrated, shelf  # noqa: F401
