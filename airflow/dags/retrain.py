"""DAGs ``retrain_<use case>``: from raw tables to a champion, in the order of ``services.core.steps``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, Param, TriggerRule, task

from services.core import use_case_registry
from services.core.contract.use_case import UseCase
from services.core.jobs.walk import job_options, new_steps, next_action
from services.core.steps import NO_SOURCE, STEPS
from vigie_orchestration.approval import PromotionApproval
from vigie_orchestration.dag_factory import dag_arguments, drift_signal, raw_data, schedule_window, weekly_schedule
from vigie_orchestration.job_operator import SOURCE, job_task
from vigie_orchestration.settings import OrchestrationSettings

DOC = f"""
Trains a new model, measures it, and makes it the champion if it is better.

**When:** as soon as ingestion has brought new data, or monitoring has found that the model no longer fits; on Sundays
{schedule_window(4)} at the latest, and by hand with *Trigger*. By hand it can fetch files first (*source*);
otherwise it starts with what is published.

**How it ends:** *Promote* green means a new champion, which serves within seconds. *Promote* skipped means that the
champion stays: the gate refused, found nothing new, or a person rejected. The log of *May it be promoted?* says why;
that is a normal end and no failure. With *require approval* the run waits at *Approval* for up to three days
(*Browse, Required Actions*); no answer means no.

**When it fails:** the failed task's log says what was expected, what came and what to do, and ends with the job's own
log. The champion goes on serving. Once the cause is mended, *Clear* the failed task: the same job is run again, and
steps whose inputs are the same are not computed again.
"""
log = logging.getLogger(__name__)

RUN_OPTIONS: Mapping[str, Any] = {"source": "{{ params.source }}", "force": "{{ params.force }}"}
GATE_RESULT: Mapping[str, Any] = {"version": "{{ ti.xcom_pull(task_ids='gate')['version'] }}"}
"""Templates of a run's params and of its gate's decision."""


def retrain(use_case: UseCase) -> DAG:
    signals = raw_data(use_case.name) | drift_signal(use_case.name)
    schedule = AssetOrTimeSchedule(assets=signals, timetable=weekly_schedule(use_case.name, hour=4))
    with DAG(**dag_arguments("retrain", DOC, use_case), schedule=schedule, params=params()) as dag:
        before: list[Any] = []
        for step in STEPS:
            arguments: dict[str, Any] = {"trigger_rule": TriggerRule.NONE_FAILED}
            if step.name == "ingest":
                arguments["skip_if"] = f"{{{{ params.source == '{NO_SOURCE}' }}}}"
            if step.name == "promote":
                before = consent(use_case, before[0])
            current = job_task(use_case.name, step, job_options(step.name, RUN_OPTIONS, GATE_RESULT), **arguments)
            before >> current
            before = [current]
    return dag


def params() -> dict[str, Param]:
    source = {**SOURCE, "examples": [NO_SOURCE, *SOURCE["examples"]]}
    source["description"] = f"{NO_SOURCE}: use the data that is there. {SOURCE['description']}"
    return {
        "source": Param(NO_SOURCE, **source),
        "force": Param(
            False,
            type="boolean",
            title="Force",
            description="Judge the model again even if nothing has changed since it was judged last.",
        ),
        "require_approval": Param(
            OrchestrationSettings().require_approval,
            type="boolean",
            title="Require approval",
            description="Wait for a person's approval between the gate and the promotion.",
        ),
    }


def consent(use_case: UseCase, gate: Any) -> list[Any]:
    """Create the tasks between gate and promotion: gate check and approval. Each skips the promotion on a negative
    result."""
    allowed = may_be_promoted(gate.output)
    approval = PromotionApproval(
        task_id="approve",
        task_display_name="Approval",
        doc_md="Waits for a person where the run asks for it. No answer in three days is a no.",
        use_case=use_case.name,
        title=use_case.presentation.title.en,
        gate_task=gate.task_id,
        retries=0,
    )
    allowed >> approval
    return [allowed, approval]


@task.short_circuit(task_id="allowed", task_display_name="May it be promoted?", retries=0)
def may_be_promoted(result: dict[str, Any]) -> bool:
    """Continues if the gate passed the version; otherwise logs the reasons and skips the promotion."""
    steps = new_steps(("gate", "promote"), {})
    steps[0] |= {"state": "succeeded", "result": result}
    if next_action(steps, {}).kind == "run":
        return True
    log.info(
        "The champion stays. The gate's decision on version %s: %s.", result.get("version"), result.get("decision")
    )
    for reason in result.get("reasons") or ():
        log.info("- %s", reason)
    return False


for declared in use_case_registry.list_use_cases():
    globals()[f"retrain_{declared.name}"] = retrain(declared)
