"""Operator that runs a job of a stage service, and the steps of ``services.core.steps`` as such tasks."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from services.core.errors import VigieError
from services.core.jobs.client import RETRYABLE_STATES, ServiceRequest, cancel_job, is_transient
from services.core.jobs.options import CONFIRM_PATTERN
from services.core.jobs.walk import Job, JobServiceExecutor, run_blocking, run_step
from services.core.steps import Step
from vigie_orchestration.links import LINKS, mlflow_links
from vigie_orchestration.settings import stage_client
from vigie_orchestration.trigger import JobTrigger

MAX_RESULT_CHARACTERS = 8_000
"""Maximum JSON length of one part of a job's result in XCom, in characters."""
ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE = 7, 1.0, 30.0
"""Retries while a service restarts, with exponential backoff; after them Airflow's task retries take over."""


class JobOperator(BaseOperator):
    """Submits a job and defers, which frees the worker until the job has ended.

    The job's idempotency key is derived from DAG, run and task, not from the try number: a retry finds its job and
    waits if it still runs, reruns it if it failed or was interrupted, and takes its result if it succeeded. ``skip_if``
    (a template) skips the task if it renders to a true value."""

    template_fields = ("options", "skip_if")
    template_fields_renderers = {"options": "json"}  # noqa: RUF012 - required by Airflow
    ui_color = "#dfe9f5"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        use_case: str,
        step: str,
        service: str,
        options: Mapping[str, Any] | None = None,
        skip_if: str | bool = False,
        time_limit: timedelta = timedelta(hours=6),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.use_case = use_case
        self.step = step
        self.service = service
        self.options = dict(options or {})
        self.skip_if = skip_if
        self.time_limit = time_limit
        self.links: dict[str, str] = {}
        self._job_id: str | None = None

    def execute(self, context: Context) -> Any:
        if self.skip_if:
            raise AirflowSkipException(f"{self.task_display_name}: not asked for in this run.")
        try:
            job = self._find_or_start(context)
        except VigieError as error:
            raise (AirflowException if is_transient(error) else AirflowFailException)(str(error)) from error
        self._job_id = str(job["id"])
        self.log.info("Job %s of the %s service: %s.", self._job_id, self.service, job["state"])
        if job["state"] == "succeeded":
            return self._succeeded(job)
        self.defer(
            trigger=JobTrigger(self.service, self._job_id, time.time() + self.time_limit.total_seconds()),
            method_name="resume",
        )
        return None

    def resume(self, context: Context, event: dict[str, Any]) -> Any:  # noqa: ARG002 - Airflow's signature
        """Handle the trigger's event.

        Raises:
            AirflowException: the job failed or its state is unknown; a retry may help.
            AirflowFailException: a retry would not help.
        """
        job: Job = event["job"]
        self._job_id = None
        match event["outcome"]:
            case "succeeded":
                return self._succeeded(job)
            case "failed" if (job.get("attempts") or 1) < 2:
                raise AirflowException(_failure_text(f"{self._name()} failed.", job))
            case "failed":
                # The same step failed twice on the same data: it needs manual inspection.
                raise AirflowFailException(_failure_text(f"{self._name()} failed.", job))
            case "interrupted":
                raise AirflowException(
                    _failure_text(f"{self._name()} was interrupted: its service was restarted.", job)
                )
            case "cancelled":
                raise AirflowFailException(_failure_text(f"{self._name()} was cancelled.", job))
            case "late":
                self._cancel(str(job["id"]))
                raise AirflowFailException(f"{self._name()} was not done within {self.time_limit} and was cancelled.")
            case "unavailable":
                raise AirflowException(event["problem"])
            case _:
                raise AirflowFailException(event["problem"])

    def on_kill(self) -> None:
        if self._job_id is not None:
            self._cancel(self._job_id)

    def _find_or_start(self, context: Context) -> Job:
        ti, run = context["ti"], context["dag_run"]
        person = (run.conf or {}).get("requested_by") or run.triggering_user_name or ""
        client = stage_client(self.service)

        async def call(_: str, request: ServiceRequest) -> Job:
            return dict(self._patiently(lambda: client.call_sync(request)))

        executor = JobServiceExecutor(
            call,
            self.use_case,
            lambda _: job_key(ti.dag_id, ti.run_id, ti.task_id),
            on_behalf_of=str(person),
            rerun=lambda job: ti.try_number > 1 and job["state"] in RETRYABLE_STATES,
        )
        return run_blocking(run_step({"step": self.step}, self.options, executor))

    def _patiently(self, submit: Callable[[], Job]) -> Job:
        retrying = Retrying(
            retry=retry_if_exception(_may_succeed_later),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(FIRST_PAUSE, max=LONGEST_PAUSE),
            before_sleep=self._try_again,
            reraise=True,
        )
        return retrying(submit)

    def _try_again(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.next_action is not None
        problem = getattr(state.outcome.exception(), "problem", "")
        self.log.warning("%s Trying again in %.0f s.", problem, state.next_action.sleep)

    def _succeeded(self, job: Job) -> dict[str, Any]:
        result = {name: part for name, part in (job.get("result") or {}).items() if _is_small(part)}
        self.links = mlflow_links(self.use_case, result)
        self.log.info("Job %s succeeded: %s", job["id"], json.dumps(result, default=str))
        return result

    def _cancel(self, job_id: str) -> None:
        try:
            stage_client(self.service).call_sync(cancel_job(job_id))
        except VigieError as error:
            self.log.warning("Job %s could not be cancelled: %s", job_id, error)

    def _name(self) -> str:
        return f"{self.step} of {self.use_case}"


def _may_succeed_later(error: BaseException) -> bool:
    return isinstance(error, VigieError) and is_transient(error)


def job_key(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the idempotency key; run ids with characters that keys do not allow are hashed."""
    key = f"airflow:{dag_id}:{run_id}:{task_id}"
    if re.fullmatch(r"[A-Za-z0-9._:+/~-]{8,200}", key):
        return key
    return f"airflow:{hashlib.sha256(key.encode()).hexdigest()}"


def _failure_text(headline: str, job: Job) -> str:
    """Format a job's error and the end of its log."""
    error = job.get("error") or {}
    lines = [f"{headline} {error.get('problem') or ''}".strip()]
    if error.get("expected"):
        lines.append(f"Expected: {error['expected']}")
    if error.get("action"):
        lines.append(f"What to do: {error['action']}")
    lines.append(f"Job {job.get('id')}, attempt {job.get('attempts')}. The end of its log:")
    lines.append(str(job.get("log_tail") or "(empty)").rstrip())
    return "\n".join(lines)


def _is_small(part: Any) -> bool:
    return len(json.dumps(part, default=str)) <= MAX_RESULT_CHARACTERS


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
"""Timeout of a job, including its time in the queue."""

SOURCE: Mapping[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "title": "Source",
    "examples": ["auto", "official", "simulator"],
    "description": "auto: the first that is there of official download, drop folder and simulator. Or official, "
    "simulator, or the path of a folder that the ingestion service can read.",
}
"""Schema of the param for the source of raw files."""
CONFIRM: Mapping[str, Any] = {
    "type": "string",
    "maxLength": 500,
    "pattern": CONFIRM_PATTERN,
    "title": "Confirm",
    "description": "Codes of doubtful values that are right, with commas: the ingestion that was refused names them.",
}
"""Schema of the param with which a person confirms values."""


def job_task(use_case: str, step: Step, options: Mapping[str, Any] | None = None, **arguments: Any) -> JobOperator:
    """Create the task of one step."""
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
