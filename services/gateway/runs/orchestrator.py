"""Advances runs step by step; takes over runs whose lease expired."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.core.auth.principal import Principal, Role
from services.core.errors import UnavailableError, VigieError
from services.core.jobs.tables import RunRow
from services.core.orchestration import dag_id
from services.core.web.errors import HttpError
from services.gateway.audit.service import RequestOrigin
from services.gateway.container import GatewayContainer
from services.gateway.runs import store as runs_store
from services.gateway.runs.airflow_client import RUN_STATES, AirflowClient
from services.gateway.service_client import FINAL_STATES, JobClient

log = structlog.get_logger(__name__)

CLAIM_SECONDS = 2.0
"""How often runs are looked for that nobody carries on, and how long a backend that did not answer is left alone."""
JOB_POLL_SECONDS = 10.0
MAX_JOB_RETRIES = 2
"""Times that a job is run again that was interrupted by its service's end."""
AUDIT_ACTIONS = {"ingest": "ingestion", "retrain": "retraining"}


class RunOrchestrator:
    """``stages`` and, where there is one, ``airflow`` do the work. ``poll_seconds``: how long one look at a job may
    wait for its end."""

    def __init__(
        self,
        gateway: GatewayContainer,
        stages: JobClient,
        airflow: AirflowClient | None,
        *,
        poll_seconds: float = JOB_POLL_SECONDS,
    ) -> None:
        self._gateway, self.stages, self.airflow = gateway, stages, airflow
        self._poll = poll_seconds
        self.owner = uuid.uuid4().hex
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._patience = gateway.settings.gateway_stage_patience_seconds

    async def run(self) -> None:
        """Until cancelled; what is under way is then left to the next gateway."""
        try:
            while True:
                self._wake.clear()
                await self._claim_runs()
                # Not wait_for: Python 3.11's forgets a cancellation that comes together with the wake-up.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLAIM_SECONDS):
                        await self._wake.wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await asyncio.shield(asyncio.to_thread(self._release))

    def wake(self) -> None:
        """There is a new run, or one that may go on."""
        self._wake.set()

    async def close(self) -> None:
        await self.stages.close()
        if self.airflow is not None:
            await self.airflow.close()

    async def begin(self, run: RunRow) -> None:
        """Hand a new run over to its backend now, so that whoever asked hears if that does not work; the
        run is then forgotten.

        Raises:
            VigieError: the backend refused.
            UnavailableError: the backend does not answer.
        """
        try:
            await self._advance(run, wait=0.0)
        except (VigieError, HttpError):
            await self._write(lambda session: runs_store.delete_run(session, run.id))
            raise
        self._track_in_background(run.id)

    # --- inside -------------------------------------------------------------------------------------

    async def _claim_runs(self) -> None:
        try:
            claimed = await self._write(lambda session: runs_store.claim_runs(session, self.owner))
        except SQLAlchemyError as error:
            log.warning("runs not looked for: the database does not answer", error=type(error).__name__)
            return
        for run_id in claimed:
            log.info("run taken over", run_id=run_id)
            self._track_in_background(run_id)

    def _track_in_background(self, run_id: str) -> None:
        if run_id not in self._tasks or self._tasks[run_id].done():
            self._tasks[run_id] = asyncio.create_task(self._track(run_id))
            self._tasks[run_id].add_done_callback(lambda _: self._tasks.pop(run_id, None))

    async def _track(self, run_id: str) -> None:
        """Until the run has ended, waits for a person, or belongs to another gateway."""
        silent_since: float | None = None
        while True:
            try:
                if not await self._write(lambda session: runs_store.renew_lease(session, run_id, self.owner)):
                    return
                run = await self._write(lambda session: runs_store.get_run(session, run_id))
                await self._advance(run, wait=self._poll)
                silent_since = None
            except SQLAlchemyError as error:
                log.warning("run waits for the database", run_id=run_id, error=type(error).__name__)
                await asyncio.sleep(CLAIM_SECONDS)
            except UnavailableError as error:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > self._patience and not run.options.get("patient"):
                    await self._end(run, "failed", error)
                    return
                await asyncio.sleep(CLAIM_SECONDS)
            except (VigieError, HttpError) as error:
                await self._end(run, "failed", error)
                return
            except Exception as error:
                log.error("run failed in the gateway", run_id=run_id, exc_info=error)
                await self._end(run, "failed", VigieError("The gateway failed on this run; its log says more."))
                raise

    async def _advance(self, run: RunRow, *, wait: float) -> None:
        """One look at what the run does, and what follows from it."""
        if run.backend == "airflow":
            await self._advance_in_airflow(run, wait)
            return
        current = next((step for step in run.steps if step["state"] not in {"succeeded", "skipped"}), None)
        if current is None:
            await self._end(run, "succeeded")
            return
        name = str(current["step"])
        if "job_id" not in current:
            job = await self.stages.submit(
                run.use_case, name, job_options(run, name), f"{run.id}:{name}", run.requested_by
            )
        else:
            job = await self.stages.job(name, current["job_id"], wait)
        if job["state"] == "interrupted" and int(job.get("attempts") or 1) <= MAX_JOB_RETRIES:
            job = await self.stages.retry(name, str(job["id"]), run.requested_by)
        current |= {"job_id": job["id"], "state": job["state"]}
        if job["state"] in FINAL_STATES:
            current |= {"result": job.get("result"), "error": job.get("error")}
        await self._record_progress(run, current)

    async def _record_progress(self, run: RunRow, current: dict[str, Any]) -> None:
        """Write down how the step stands; and what its end means for the run."""
        name, state, result = current["step"], current["state"], current.get("result") or {}
        if state in FINAL_STATES and state != "succeeded":
            told = current.get("error") or {"problem": f"The job was {state}."}
            await self._save(run, steps=run.steps)
            await self._end(run, "failed", VigieError(f"{name}: {told.get('problem', '')}", **_error_details(told)))
            return
        if state == "succeeded" and name == "gate":
            if not result.get("promote"):
                for step in run.steps:
                    if step["step"] == "promote":
                        step |= {"state": "skipped", "result": {"reasons": result.get("reasons", [])}}
            elif run.options.get("require_approval") and not run.options.get("approved_by"):
                await self._save(run, steps=run.steps, state=runs_store.AWAITING_APPROVAL)
                await asyncio.to_thread(self._count_approvals)
                return
        await self._save(run, steps=run.steps, state="running")

    async def _advance_in_airflow(self, run: RunRow, wait: float) -> None:
        if self.airflow is None:
            raise UnavailableError("This run was started in Airflow, and VIGIE_AIRFLOW_URL is not set now.")
        dag, name = dag_id_of(run), dag_run_id_of(run)
        if run.state == "queued":
            found = await self.airflow.trigger(dag, name, dag_conf_of(run), f"Started by {run.requested_by} in Vigie.")
            await self._save(run, state="running")
        else:
            await asyncio.sleep(wait)
            found = await self.airflow.run(dag, name)
        state = RUN_STATES.get(str(found["state"]), "running")
        if state == "failed":
            await self._end(
                run, "failed", VigieError(f"The run {name} of {dag} failed in Airflow.", action="See it there.")
            )
        elif state == "succeeded":
            await self._end(run, "succeeded")

    async def _save(self, run: RunRow, **values: Any) -> bool:
        """Write values of the run. False where it belongs to another gateway by now."""

        def write(session: Any) -> bool:
            row = runs_store.get_run(session, run.id, lock=True)
            if row.owner != self.owner:
                return False
            for name, value in values.items():
                # A new object: a list that was changed in place would not be seen as a change.
                setattr(row, name, [dict(step) for step in value] if name == "steps" else value)
            return True

        saved = bool(await self._write(write))
        for name, value in values.items():
            setattr(run, name, value)
        return saved

    async def _end(self, run: RunRow, state: str, error: Exception | None = None) -> None:
        told = None
        if isinstance(error, VigieError):
            told = {"problem": error.problem, "expected": error.expected, "action": error.action}
        elif error is not None:
            told = {"problem": str(error), "expected": "", "action": ""}
        if not await self._save(run, state=state, error=told, finished=datetime.now(UTC)):
            return
        await asyncio.to_thread(
            self._tell,
            run,
            f"{AUDIT_ACTIONS[run.kind]}.{state}",
            f"run {run.id}",
            "ok" if state == "succeeded" else "failed",
        )
        self._gateway.counters.runs.labels(run.kind, state).inc()
        log.info("run ended", run_id=run.id, kind=run.kind, use_case=run.use_case, state=state)

    def _tell(self, run: RunRow, action: str, target: str, outcome: Any) -> None:
        by = Principal("user", "", run.requested_by, Role.OPERATOR, run.centre)
        with self._gateway.transaction() as session:
            self._gateway.trail.add(
                session,
                RequestOrigin(),
                action,
                by=by,
                use_case=run.use_case,
                target=target,
                outcome=outcome,
                run=run.id,
            )

    def _count_approvals(self) -> None:
        with self._gateway.transaction() as session:
            self._gateway.counters.approvals.set(runs_store.count_runs_in(session, runs_store.AWAITING_APPROVAL))

    def _release(self) -> None:
        try:
            with self._gateway.transaction() as session:
                runs_store.release_runs(session, self.owner)
        except SQLAlchemyError as error:
            log.warning("runs not released; they are taken over when their lease ends", error=type(error).__name__)

    async def _write(self, work: Callable[[Any], Any]) -> Any:
        def written() -> Any:
            with self._gateway.transaction() as session:
                return work(session)

        return await asyncio.to_thread(written)


def job_options(run: RunRow, step: str) -> dict[str, Any]:
    """The options of the step's job."""
    if step == "ingest":
        return {"source": run.options.get("source", "auto"), "fresh": bool(run.options.get("fresh"))}
    if step == "gate":
        return {"force": bool(run.options.get("force"))}
    if step == "promote":
        gate = next(step for step in run.steps if step["step"] == "gate")
        return {"approved": gate["result"]["version"]}
    return {}


def dag_id_of(run: RunRow) -> str:
    return dag_id(run.kind, run.use_case)


def dag_run_id_of(run: RunRow) -> str:
    return f"gateway-{run.id}"


def dag_conf_of(run: RunRow) -> dict[str, Any]:
    """The DAG's params."""
    names = ("source", "fresh") if run.kind == "ingest" else ("source", "force", "require_approval")
    return {name: run.options[name] for name in names if run.options.get(name) is not None}


def _error_details(told: dict[str, Any]) -> dict[str, str]:
    return {name: str(told.get(name) or "") for name in ("expected", "action")}
