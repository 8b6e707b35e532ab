"""DAGs ``ingest_<use case>``: ingest new raw files daily."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, task
from airflow.sdk.exceptions import AirflowSkipException

from services.core import use_case_registry
from services.core.contract.use_case import UseCase
from services.core.steps import JOBS
from vigie_orchestration.dag_factory import dag_arguments, daily_schedule, raw_data, schedule_window
from vigie_orchestration.job_operator import CONFIRM, SOURCE, job_task

DOC = f"""
Fetches new raw files, validates them row by row and publishes the tables.

**When:** every night {schedule_window(2)}, and by hand with *Trigger* (choose a source there).

**What follows:** only where the data has really changed does *New data?* update the asset, and with it start a
retraining. Otherwise that task is skipped, which is the normal end of a quiet day.

**When it fails:** the failed task's log says what was expected, what came and what to do, and ends with the job's
own log. A bad row never fails a run: it goes to quarantine. What was published before stays as it was. Once the cause
is mended, *Clear* the failed task: the same job is run again. Where it names doubtful values that are right, *Trigger*
it again with their codes in *Confirm*.
"""


def ingest(use_case: UseCase) -> DAG:
    params = {
        "source": Param("auto", **SOURCE),
        "fresh": Param(
            False,
            type="boolean",
            title="Start afresh",
            description="Forget the files that landed before and start again with what the source has.",
        ),
        "confirm": Param("", **CONFIRM),
    }
    with DAG(
        **dag_arguments("ingest", DOC, use_case), schedule=daily_schedule(use_case.name, hour=2), params=params
    ) as dag:
        fetched = job_task(
            use_case.name,
            JOBS["ingest"],
            {
                "source": "{{ params.source }}",
                "fresh": "{{ params.fresh }}",
                "confirm": "{{ params.confirm or '' }}",
            },
        )
        announce.override(outlets=[raw_data(use_case.name)], trigger_rule=TriggerRule.ALL_SUCCESS)(fetched.output)
    return dag


@task(task_id="announce", task_display_name="New data?", retries=0)
def announce(result: Any) -> dict[str, Any]:
    """Emits an event of the raw-data asset, which triggers retraining, unless nothing has changed."""
    if not result.get("changed", True):
        raise AirflowSkipException("The data is what it was: no retraining is started.")
    done: dict[str, Any] = result
    return done


for declared in use_case_registry.list_use_cases():
    globals()[f"ingest_{declared.name}"] = ingest(declared)
