"""Runs as people see them, whoever carries them on."""

from __future__ import annotations

from typing import Any

from services.core.access.tables import RunRow
from services.core.orchestration import dag_prefix
from services.gateway.airflow import STATES
from services.gateway.run_schemas import Run
from services.gateway.runner import dag_of, dag_run_of
from services.gateway.runs import Kind

_INNER = {"patient"}


def shown(row: RunRow) -> Run:
    in_airflow = row.backend == "airflow"
    return Run.model_validate(
        {
            "id": row.id,
            "kind": row.kind,
            "use_case": row.use_case,
            "backend": row.backend,
            "state": row.state,
            "requested_by": row.requested_by,
            "created": row.created,
            "finished": row.finished,
            "options": {name: value for name, value in row.options.items() if name not in _INNER},
            "steps": row.steps,
            "error": row.error,
            "dag_id": dag_of(row) if in_airflow else None,
            "dag_run_id": dag_run_of(row) if in_airflow else None,
        }
    )


def from_airflow(kind: Kind, run: dict[str, Any]) -> Run:
    """A run that Airflow started by itself, or a person in Airflow's pages."""
    return Run(
        id=run["dag_run_id"],
        kind=kind,
        use_case=str(run["dag_id"]).removeprefix(dag_prefix(kind)),
        backend="airflow",
        state=STATES.get(run["state"], "running"),
        requested_by=str(run.get("triggering_user_name") or run.get("triggered_by") or "airflow"),
        created=run.get("queued_at") or run["run_after"],
        finished=run.get("end_date"),
        options=run.get("conf") or {},
        dag_id=run["dag_id"],
        dag_run_id=run["dag_run_id"],
    )
