"""DAG ``housekeeping``: retention, DVC's garbage collection, old reports, and Airflow's own old runs and logs."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, task

from services.core.steps import ALL_USE_CASES, JOBS
from vigie_orchestration.dag_factory import dag_arguments, daily_schedule, schedule_window
from vigie_orchestration.job_operator import job_task
from vigie_orchestration.retention import clean_logs, clean_runs

DOC = f"""
Removes what nobody needs any more: data that is past its retention, files in DVC's cache that no kept version names,
old reports, and Airflow's own old runs and logs.

**When:** every night {schedule_window(0)}, and by hand; with *dry run* it only says what it would remove.

**When it fails:** nothing is lost, it only grows. The task's log says what was expected and what to do; the next night
tries again.
"""
PARAMS = {
    "dry_run": Param(False, type="boolean", title="Dry run", description="Only say what would be removed."),
    "keep_days": Param(
        30,
        type="integer",
        minimum=1,
        maximum=3650,
        title="Days to keep",
        description="What is younger is never removed.",
    ),
}


@task(task_display_name="Airflow's old runs and logs", trigger_rule=TriggerRule.ALL_DONE, retries=0)
def airflow_history(params: dict[str, Any] | None = None) -> None:
    """Deletes Airflow's own rows and log files older than ``keep_days``."""
    assert params is not None
    clean_runs(params["keep_days"], dry_run=params["dry_run"])
    clean_logs(params["keep_days"], dry_run=params["dry_run"])


with DAG(**dag_arguments("housekeeping", DOC), schedule=daily_schedule("housekeeping", hour=0), params=PARAMS) as dag:
    cleaned = job_task(
        ALL_USE_CASES,
        JOBS["housekeeping"],
        {"dry_run": "{{ params.dry_run }}", "keep_days": "{{ params.keep_days }}"},
    )
    cleaned >> airflow_history()
