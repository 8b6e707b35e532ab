"""Buttons on a task's page: to the MLflow run and to the model's version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.types import TaskInstanceKey

from vigie_orchestration.settings import OrchestrationSettings

RUN, VERSION = "MLflow run", "Model version"


def mlflow_links(use_case: str, result: Mapping[str, Any]) -> dict[str, str]:
    """Button -> address, for what a job's result names; addresses are those of people's browsers."""
    base = f"{OrchestrationSettings().mlflow_pages}/#"
    links = {}
    if run := result.get("run_id"):
        links[RUN] = f"{base}/runs/{quote(str(run))}"
    if version := result.get("version"):
        links[VERSION] = f"{base}/models/{quote(use_case)}/versions/{quote(str(version))}"
    return links


class _Link(BaseOperatorLink):
    """Airflow asks for the address once, where the task has ended, and keeps it for its pages."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        links: Mapping[str, str] = getattr(operator, "links", {})
        return links.get(self.name, "")


class MlflowRunLink(_Link):
    name = RUN


class ModelVersionLink(_Link):
    name = VERSION


LINKS = (MlflowRunLink(), ModelVersionLink())
