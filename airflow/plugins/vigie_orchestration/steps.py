"""The steps and jobs of ``services.core.steps`` as tasks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.core.steps import Step
from vigie_orchestration.job_operator import JobOperator

TIME_LIMITS: Mapping[str, timedelta] = {
    "ingest": timedelta(hours=3),
    "preprocess": timedelta(hours=2),
    "train": timedelta(hours=12),
    "evaluate": timedelta(hours=2),
    "gate": timedelta(hours=1),
    "promote": timedelta(minutes=15),
    "rollback": timedelta(minutes=15),
    "monitor": timedelta(hours=1),
    "housekeeping": timedelta(hours=2),
}
"""How long a job may take, its time in the queue included."""

SOURCE: Mapping[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "title": "Source",
    "examples": ["auto", "official", "simulator"],
    "description": "auto: the first that is there of official download, drop folder and simulator. Or official, "
    "simulator, or the path of a folder that the ingestion service can read.",
}
"""Schema of the param that says where raw files come from."""


def step_task(use_case: str, step: Step, options: Mapping[str, Any] | None = None, **arguments: Any) -> JobOperator:
    return JobOperator(
        task_id=step.name,
        task_display_name=step.title.en,
        doc_md=f"Job `{step.name}` of the {step.service} service.",
        use_case=use_case,
        step=step.name,
        service=step.service,
        options=options,
        time_limit=TIME_LIMITS[step.name],
        **arguments,
    )
