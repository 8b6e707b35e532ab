"""The toy files of ingestion."""

from tests.unit.ingestion.conftest import as_csv, deliveries, delivery, toy  # noqa: F401
