"""Manual approval of a promotion in Airflow's UI."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, NoReturn

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from vigie_orchestration.links import RUN, VERSION, mlflow_links
from vigie_orchestration.trigger_delay import delay_trigger

RESPONSE_TIMEOUT = timedelta(days=3)
"""Timeout of an approval, which counts as a rejection."""


class DelayedApprovalTrigger(HITLTrigger):
    """Waits for an approval; fires with a delay, see ``trigger_delay``."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", super().serialize()[1]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await delay_trigger(time.monotonic())
        async for event in super().run():
            yield event


class PromotionApproval(ApprovalOperator):
    """Requests approval in Airflow's UI, showing the gate's decision, metrics and links.

    Skipped if the run needs no approval. Without an answer within three days the version is not promoted."""

    def __init__(self, *, use_case: str, title: str, gate_task: str, **kwargs: Any) -> None:
        super().__init__(
            subject=f"Promote the new model of {title}?",
            response_timeout=RESPONSE_TIMEOUT,
            defaults=self.REJECT,
            **kwargs,
        )
        self.use_case = use_case
        self.gate_task = gate_task

    def execute(self, context: Context) -> Any:
        if not context["params"]["require_approval"]:
            raise AirflowSkipException("This run needs no approval: the gate's decision is enough.")
        result = context["ti"].xcom_pull(task_ids=self.gate_task) or {}
        self.body = approval_body(self.use_case, result)
        return super().execute(context)

    def defer(self, *, trigger: BaseTrigger, method_name: str, **more: Any) -> NoReturn:
        super().defer(trigger=DelayedApprovalTrigger(**trigger.serialize()[1]), method_name=method_name, **more)


def approval_body(use_case: str, result: Mapping[str, Any]) -> str:
    """Format the gate's result as Markdown."""
    links = mlflow_links(use_case, result)
    version = f"version {result.get('version')}"
    reasons = [f"- {reason}" for reason in result.get("reasons") or ["no reasons given"]]
    lines = [f"The gate decided about {version} of `{use_case}`: **{result.get('decision')}**", "", *reasons]
    if metrics := _numbers(result.get("metrics") or {}):
        lines += ["", "| metric | value |", "|---|---|"]
        lines += [f"| {name} | {value:.6g} |" for name, value in metrics.items()]
    if VERSION in links:
        lines += ["", f"[The version in the registry]({links[VERSION]})"]
    if RUN in links:
        lines += ["", f"[Its MLflow run with all numbers and plots]({links[RUN]})"]
    lines += ["", "*Approve*: it is champion within seconds. *Reject*, or no answer in three days: the champion stays."]
    return "\n".join(lines)


def _numbers(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Flatten nested metrics: ``seconds.mae`` -> 61.2."""
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[f"{prefix}{name}"] = value
    return flat
