"""Buttons on a task's page: to the MLflow run and to the model's version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.types import TaskInstanceKey

from vigie_orchestration.settings import OrchestrationSettings

RUN, VERSION = "vigie_mlflow_run", "vigie_model_version"


def mlflow_links(use_case: str, result: Mapping[str, Any]) -> dict[str, str]:
    """XCom key -> address, for what a job's result names; addresses are those of people's browsers."""
    base = f"{OrchestrationSettings().public_url.rstrip('/')}/mlflow/#"
    links = {}
    if run := result.get("run_id"):
        links[RUN] = f"{base}/runs/{quote(str(run))}"
    if version := result.get("version"):
        links[VERSION] = f"{base}/models/{quote(use_case)}/versions/{quote(str(version))}"
    return links


def remember(ti: Any, use_case: str, result: Mapping[str, Any]) -> None:
    """Keep the links of a task's result where its buttons look for them."""
    for key, address in mlflow_links(use_case, result).items():
        ti.xcom_push(key=key, value=address)


class MlflowRunLink(BaseOperatorLink):
    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        return BaseXCom.get_value(ti_key=ti_key, key=RUN) or ""


class ModelVersionLink(BaseOperatorLink):
    name = "Model version"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        return BaseXCom.get_value(ti_key=ti_key, key=VERSION) or ""


LINKS = (MlflowRunLink(), ModelVersionLink())
