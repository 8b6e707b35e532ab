"""The names that Airflow's DAGs and the gateway agree on."""

from __future__ import annotations

NO_SOURCE = "none"
"""The source of a retraining that fetches no files and starts with what is published."""


def dag_id(kind: str, use_case: str) -> str:
    """The DAG of a use case; ``kind`` is ``ingest``, ``retrain``, ``monitor`` or ``rollback``."""
    return f"{dag_prefix(kind)}{use_case}"


def dag_prefix(kind: str) -> str:
    """How the ids of all DAGs of a kind begin."""
    return f"{kind}_"


def raw_data_asset(use_case: str) -> str:
    """The asset that ingestion updates when the data has really changed."""
    return f"raw_data_{use_case}"


def drift_signal_asset(use_case: str) -> str:
    """The asset that the gateway updates when monitoring calls for a retraining."""
    return f"drift_signal_{use_case}"
