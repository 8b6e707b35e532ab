"""Advances runs step by step; takes over runs whose lease expired."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.core.auth.principal import Principal, Role
from services.core.errors import UnavailableError, VigieError
from services.core.jobs.tables import RunRow, error_payload
from services.core.jobs.walk import JobServiceExecutor, advance, step_error
from services.core.steps import dag_id
from services.gateway.audit.service import RequestOrigin
from services.gateway.container import GatewayContainer
from services.gateway.runs import store as runs_store
from services.gateway.runs.airflow_client import RUN_STATES, AirflowClient
from services.gateway.service_client import JobClient

log = structlog.get_logger(__name__)

CLAIM_SECONDS = 2.0
"""Interval of claiming runs with an expired lease, and pause after a backend did not answer."""
JOB_POLL_SECONDS = 10.0
AUDIT_ACTIONS = {"ingest": "ingestion", "retrain": "retraining"}


class RunOrchestrator:
    """Advances runs through their steps with ``stages`` (job client) and, if configured, ``airflow``.

    ``poll_seconds``: long-poll duration of one job request."""

    def __init__(
        self,
        gateway: GatewayContainer,
        stages: JobClient,
        airflow: AirflowClient | None,
        *,
        poll_seconds: float = JOB_POLL_SECONDS,
    ) -> None:
        self._gateway, self.stages, self.airflow = gateway, stages, airflow
        self._poll, self._write = poll_seconds, gateway.run_in_transaction
        self.owner = uuid.uuid4().hex
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._patience = gateway.settings.gateway_stage_patience_seconds

    async def run(self) -> None:
        """Run until cancelled; unfinished runs are then released to other gateways."""
        try:
            while True:
                self._wake.clear()
                await self._claim_runs()
                # Not wait_for: Python 3.11's swallows a cancellation that coincides with the wake-up.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLAIM_SECONDS):
                        await self._wake.wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await asyncio.shield(asyncio.to_thread(self._release))

    def wake(self) -> None:
        """Check for claimable runs now."""
        self._wake.set()

    async def close(self) -> None:
        await self.stages.close()
        if self.airflow is not None:
            await self.airflow.close()

    async def begin(self, run: RunRow) -> None:
        """Start a new run in its backend now, so that the caller gets the error if that fails; the run is then deleted.

        Raises:
            VigieError: the backend rejected it.
            UnavailableError: the backend does not answer.
        """
        try:
            await self._advance(run, wait=0.0)
        except VigieError:
            await self._write(lambda session: runs_store.delete_run(session, run.id))
            raise
        self._track_in_background(run.id)

    # --- internal -----------------------------------------------------------------------------------

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
        """Follow a run until it ends, waits for approval, or is owned by another gateway."""
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
            except VigieError as error:
                await self._end(run, "failed", error)
                return
            except Exception as error:
                log.error("run failed in the gateway", run_id=run_id, exc_info=error)
                await self._end(run, "failed", VigieError("The gateway failed on this run; its log says more."))
                raise

    async def _advance(self, run: RunRow, *, wait: float) -> None:
        """Poll the run's current step once and start what follows."""
        if run.backend == "airflow":
            await self._advance_in_airflow(run, wait)
            return
        executor = JobServiceExecutor(
            self.stages.call,
            run.use_case,
            lambda step: f"{run.id}:{step}",
            on_behalf_of=run.requested_by,
            wait_seconds=wait,
        )
        action = await advance(run.steps, run.options, executor)
        if action.kind == "await_approval":
            await self._save(run, steps=run.steps, state=runs_store.AWAITING_APPROVAL)
            await self._write(lambda session: count_approvals(self._gateway, session))
            return
        await self._save(run, steps=run.steps, state="running")
        if action.kind == "failed":
            await self._end(run, "failed", step_error(action.step))
        elif action.kind == "succeeded":
            await self._end(run, "succeeded")

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
        """Update the run's row. False if another gateway owns it now."""

        def write(session: Any) -> bool:
            row = runs_store.get_run(session, run.id, lock=True)
            if row.owner != self.owner:
                return False
            for name, value in values.items():
                # A new object: SQLAlchemy does not detect a list changed in place.
                setattr(row, name, [dict(step) for step in value] if name == "steps" else value)
            return True

        saved = bool(await self._write(write))
        for name, value in values.items():
            setattr(run, name, value)
        return saved

    async def _end(self, run: RunRow, state: str, error: VigieError | None = None) -> None:
        payload = None if error is None else error_payload(error)
        if not await self._save(run, state=state, error=payload, finished=datetime.now(UTC)):
            return
        await asyncio.to_thread(
            self._gateway.record,
            RequestOrigin(),
            f"{AUDIT_ACTIONS[run.kind]}.{state}",
            by=Principal("user", "", run.requested_by, Role.OPERATOR, run.centre),
            use_case=run.use_case,
            target=f"run {run.id}",
            outcome="ok" if state == "succeeded" else "failed",
            run=run.id,
        )
        self._gateway.counters.runs.labels(run.kind, state).inc()
        log.info("run ended", run_id=run.id, kind=run.kind, use_case=run.use_case, state=state)

    def _release(self) -> None:
        try:
            with self._gateway.transaction() as session:
                runs_store.release_runs(session, self.owner)
        except SQLAlchemyError as error:
            log.warning("runs not released; they are taken over when their lease ends", error=type(error).__name__)


def count_approvals(gateway: GatewayContainer, session: Session) -> None:
    """Set the gauge of runs that wait for approval."""
    gateway.counters.approvals.set(runs_store.count_runs_in(session, runs_store.AWAITING_APPROVAL))


def dag_id_of(run: RunRow) -> str:
    return dag_id(run.kind, run.use_case)


def dag_run_id_of(run: RunRow) -> str:
    return f"gateway-{run.id}"


def dag_conf_of(run: RunRow) -> dict[str, Any]:
    """Return the run's options as the DAG's params."""
    names = ("source", "fresh", "confirm") if run.kind == "ingest" else ("source", "force", "require_approval")
    return {name: run.options[name] for name in names if run.options.get(name) is not None}
