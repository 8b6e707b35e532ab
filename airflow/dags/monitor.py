"""DAGs ``monitor_<use case>``: check calls for input drift and the model's live error."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from services.core import use_case_registry
from services.core.contract.use_case import UseCase
from services.core.steps import JOBS
from vigie_orchestration.dag_factory import dag_arguments, daily_schedule, schedule_window
from vigie_orchestration.job_operator import job_task

DOC = f"""
Looks at the calls of the last days: whether they are distributed as in training, and what the error is on those whose
outcome is known.

**When:** every night {schedule_window(0)}, and by hand with *Trigger*.

**What follows:** where the inputs have drifted, or the error has been beyond its limit for long enough, the drift
service asks the gateway for a retraining. The gateway updates the asset that `retrain_<use case>` follows. A new
champion that does worse than the one before it on the same calls is rolled back.

**When it fails:** the task's log says what was expected, what came and what to do. Nothing else depends on it: calls
are answered as before.
"""


def monitor(use_case: UseCase) -> DAG:
    params = {
        "act": Param(
            True,
            type="boolean",
            title="Act",
            description="Ask for a retraining or a rollback where that is called for; else only look.",
        ),
    }
    with DAG(
        **dag_arguments("monitor", DOC, use_case), schedule=daily_schedule(use_case.name, hour=0), params=params
    ) as dag:
        job_task(use_case.name, JOBS["monitor"], {"act": "{{ params.act }}"})
    return dag


for declared in use_case_registry.list_use_cases():
    globals()[f"monitor_{declared.name}"] = monitor(declared)
