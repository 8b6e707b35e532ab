"""Waits for a job in the triggerer, whose one process handles a thousand waits without workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from services.core.errors import VigieError
from services.core.jobs.client import FINAL_STATES, cancel_job, get_job, is_transient
from vigie_orchestration.settings import OrchestrationSettings, stage_client
from vigie_orchestration.trigger_delay import delay_trigger

MAX_LOG_CHARACTERS = 6_000
"""Maximum length of the job's log tail in an event, which Airflow stores in its database."""


class JobTrigger(BaseTrigger):
    """Fires once, with ``{"outcome": ..., "job": {...}}``. Outcomes are the final states of jobs, and

    - ``late``: the job was not done at ``deadline`` (seconds since 1970, so that a restart of the triggerer
      does not extend it);
    - ``unavailable``: the service did not answer for longer than ``VIGIE_AIRFLOW_OUTAGE_SECONDS``;
    - ``refused``: the service does not know the job or rejects the credential.

    When the task is ended manually or cleared, or its run is marked as failed, the job is cancelled."""

    def __init__(self, service: str, job_id: str, deadline: float) -> None:
        super().__init__()
        self.service = service
        self.job_id = job_id
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = {"service": self.service, "job_id": self.job_id, "deadline": self.deadline}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        started = time.monotonic()
        try:
            found = await self._wait()
            await delay_trigger(started)
            yield TriggerEvent(found)
        except asyncio.CancelledError:
            # Also raised when the triggerer stops or hands over: task and job continue then.
            if await self._task_was_ended():
                await self._cancel()
            raise

    async def _wait(self) -> dict[str, Any]:
        chosen = OrchestrationSettings()
        answered = time.monotonic()
        async with stage_client(self.service) as client:
            while (left := self.deadline - time.time()) > 0:
                asked = time.monotonic()
                try:
                    job = await client.call(get_job(self.job_id, min(20.0, left)))
                except VigieError as error:
                    if not is_transient(error):
                        return {"outcome": "refused", "job": {"id": self.job_id}, "problem": str(error)}
                    self.log.warning("no answer from %s, waiting on: %s", self.service, error.problem)
                    if time.monotonic() - answered > chosen.airflow_outage_seconds:
                        return {"outcome": "unavailable", "job": {"id": self.job_id}, "problem": str(error)}
                else:
                    answered = time.monotonic()
                    if job.get("state") in FINAL_STATES:
                        return {"outcome": job["state"], "job": _event_job(job)}
                # After a completed long poll the next request follows at once.
                await asyncio.sleep(max(0.0, chosen.airflow_poll_seconds - (time.monotonic() - asked)))
        return {"outcome": "late", "job": {"id": self.job_id}}

    async def _task_was_ended(self) -> bool:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415 - triggerer only
        from asgiref.sync import sync_to_async  # noqa: PLC0415

        ti = self.task_instance
        if ti is None:
            return False
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        state = states.get(ti.run_id, {}).get(ti.task_id)
        return str(state) not in {"deferred", "running", "queued"}

    async def _cancel(self) -> None:
        try:
            async with stage_client(self.service) as client:
                await client.call(cancel_job(self.job_id))
        except VigieError as error:
            self.log.warning("job %s could not be cancelled: %s", self.job_id, error)
        else:
            self.log.info("job %s was cancelled, because its task was ended", self.job_id)


def _event_job(job: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of the job that the log and downstream tasks need."""
    shown = {name: job.get(name) for name in ("id", "state", "step", "result", "error", "attempts")}
    return {**shown, "log_tail": str(job.get("log_tail") or "")[-MAX_LOG_CHARACTERS:]}
