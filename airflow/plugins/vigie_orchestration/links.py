"""Link buttons on a task's page: the MLflow run and the model version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.types import TaskInstanceKey

from vigie_orchestration.settings import OrchestrationSettings

RUN, VERSION = "MLflow run", "Model version"


def mlflow_links(use_case: str, result: Mapping[str, Any]) -> dict[str, str]:
    """Return link name -> public URL for a job's result."""
    base = f"{OrchestrationSettings().mlflow_pages}/#"
    links = {}
    if run := result.get("run_id"):
        links[RUN] = f"{base}/runs/{quote(str(run))}"
    if version := result.get("version"):
        links[VERSION] = f"{base}/models/{quote(use_case)}/versions/{quote(str(version))}"
    return links


class _Link(BaseOperatorLink):
    """Operator link; Airflow stores its URL when the task has ended."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        links: Mapping[str, str] = getattr(operator, "links", {})
        return links.get(self.name, "")


class MlflowRunLink(_Link):
    """Link to the MLflow run."""

    name = RUN


class ModelVersionLink(_Link):
    """Link to the model version."""

    name = VERSION


LINKS = (MlflowRunLink(), ModelVersionLink())
