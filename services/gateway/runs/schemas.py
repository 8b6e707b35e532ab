"""Request and response models of runs, jobs and data."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from services.core.jobs.options import CONFIRM_PATTERN
from services.core.steps import NO_SOURCE
from services.gateway.deps import StrictModel


class StartIngestionRequest(
    StrictModel, json_schema_extra={"examples": [{"use_case": "name_of_a_use_case", "source": "auto"}]}
):
    use_case: Annotated[str, StringConstraints(max_length=120)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        default="auto", description="official, simulator, a folder, or auto: the first of them that is there."
    )
    fresh: bool = Field(default=False, description="Forget the files that landed before.")
    confirm: Annotated[str, StringConstraints(max_length=500, pattern=CONFIRM_PATTERN)] = Field(
        default="", description="Codes of doubtful values that are right: the ingestion that was refused names them."
    )


class StartRetrainingRequest(
    StrictModel, json_schema_extra={"examples": [{"use_case": "name_of_a_use_case", "require_approval": True}]}
):
    use_case: Annotated[str, StringConstraints(max_length=120)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        default=NO_SOURCE, description=f"{NO_SOURCE}: the data that is there; else fetch first, as an ingestion does."
    )
    force: bool = Field(default=False, description="Judge the model again although it was judged before.")
    require_approval: bool | None = Field(
        default=None, description="Wait for a person between gate and promotion; left out, the platform's own choice."
    )


class Run(BaseModel):
    """An ingestion or retraining."""

    id: str = Field(description="Of the gateway's run, else Airflow's.")
    kind: Literal["ingest", "retrain"]
    use_case: str
    backend: Literal["airflow", "stages"]
    state: str = Field(description="queued, running, awaiting_approval, succeeded, failed, rejected")
    requested_by: str
    created: datetime
    finished: datetime | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    steps: list[dict[str, Any]] = Field(default_factory=list, description="With each step's job, where there is one.")
    error: dict[str, Any] | None = None
    dag_id: str | None = None
    dag_run_id: str | None = None


class RunList(BaseModel):
    runs: list[Run]
    silent: dict[str, str] = Field(description="Backends that do not answer, and why: their runs are not here.")


class JobList(BaseModel):
    jobs: list[dict[str, Any]]
    silent: dict[str, str] = Field(description="Services that do not answer, and why: their jobs are not here.")


class DataState(BaseModel):
    """Data that a use case's last runs published."""

    use_case: str
    raw: dict[str, Any] | None = Field(description="Files, tables and quarantine; null before the first ingestion.")
    examples: dict[str, Any] | None = Field(description="Rows and span; null before the first preprocessing.")
    silent: dict[str, str] = Field(description="Services that do not answer, and why.")
