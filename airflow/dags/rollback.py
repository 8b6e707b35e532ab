"""DAGs ``rollback_<use case>``: make the previous champion serve again, triggered manually."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from services.core import use_case_registry
from services.core.contract.use_case import UseCase
from services.core.steps import JOBS
from vigie_orchestration.dag_factory import dag_arguments
from vigie_orchestration.job_operator import job_task

DOC = """
Makes the previous champion the champion again; prediction follows within seconds.

**When:** by hand alone, when answers of the new model look wrong. Say why: the reason stays with the run.

**What follows:** the version that was rolled back is marked and is not promoted again by the gate; retraining goes on
and a new version may take over. Freeze promotions through the gateway where none should.

**When it fails:** most likely there is no previous version. The task's log says so.
"""


def rollback(use_case: UseCase) -> DAG:
    params = {
        "reason": Param(
            "No reason given",
            type="string",
            minLength=3,
            maxLength=500,
            title="Reason",
            description="Why the champion is taken back, for those who look at it later.",
        )
    }
    with DAG(**dag_arguments("rollback", DOC, use_case), schedule=None, params=params) as dag:
        job_task(use_case.name, JOBS["rollback"])
    return dag


for declared in use_case_registry.list_use_cases():
    globals()[f"rollback_{declared.name}"] = rollback(declared)
