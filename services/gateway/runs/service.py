"""Starts, lists and approves runs; on start-up trains use cases that have no model yet."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from services.core import use_case_registry as declared
from services.core.audit.entries import AuditOutcome
from services.core.auth.principal import Principal
from services.core.errors import ConflictError, UnavailableError, VigieError
from services.core.jobs.retraining import OPEN_RUN_STATES, retraining_blocker, unfinished_retraining
from services.core.jobs.tables import RunRow
from services.core.messages import Message
from services.core.steps import dag_id, dag_prefix
from services.gateway.audit.service import SERVICE_NAME, SYSTEM_PRINCIPAL, RequestOrigin
from services.gateway.container import GatewayContainer
from services.gateway.deps import require_use_case
from services.gateway.models.service import list_versions
from services.gateway.runs import store as runs_store
from services.gateway.runs.airflow_client import RUN_STATES
from services.gateway.runs.orchestrator import AUDIT_ACTIONS, RunOrchestrator, count_approvals, dag_id_of, dag_run_id_of
from services.gateway.runs.schemas import Run, RunList
from services.gateway.runs.store import RunKind

_INTERNAL_OPTIONS = {"patient"}


def run_from_row(row: RunRow) -> Run:
    run = Run.model_validate(row, from_attributes=True)
    run.options = {name: value for name, value in run.options.items() if name not in _INTERNAL_OPTIONS}
    if row.backend == "airflow":
        run.dag_id, run.dag_run_id = dag_id_of(row), dag_run_id_of(row)
    return run


def run_from_airflow(kind: RunKind, run: dict[str, Any]) -> Run:
    """Convert a run that Airflow started on schedule or in its UI."""
    return Run(
        id=run["dag_run_id"],
        kind=kind,
        use_case=str(run["dag_id"]).removeprefix(dag_prefix(kind)),
        backend="airflow",
        state=RUN_STATES.get(run["state"], "running"),
        requested_by=str(run.get("triggering_user_name") or run.get("triggered_by") or "airflow"),
        created=run.get("queued_at") or run["run_after"],
        finished=run.get("end_date"),
        options=run.get("conf") or {},
        dag_id=run["dag_id"],
        dag_run_id=run["dag_run_id"],
    )


_UNFINISHED_SCAN_LIMIT = 50


def _idempotency_key(caller: Principal, kind: runs_store.RunKind, key: str) -> str:
    return hashlib.sha256(f"{caller.id} {kind} {key}".encode()).hexdigest()


def _visible_run(caller: Principal, row: RunRow) -> Run:
    """Return the run as the caller may see it: without the requester's name where that person is of another centre."""
    run = run_from_row(row)
    return run if not row.centre or caller.can_see_centre(row.centre) else _without_requester(run)


def _without_requester(run: Run) -> Run:
    return run.model_copy(update={"requested_by": ""})


class RunService:
    """Starts, lists and approves ingestion and retraining runs."""

    def __init__(self, gateway: GatewayContainer, runner: RunOrchestrator) -> None:
        self._gateway, self._runner = gateway, runner

    async def start(
        self,
        caller: Principal,
        origin: RequestOrigin,
        kind: runs_store.RunKind,
        *,
        use_case: str,
        options: Mapping[str, Any],
        key: str | None,
    ) -> tuple[Run, bool]:
        """Start a run; return it and whether it is new: the same ``key`` of the same caller is the same run.

        Raises:
            VigieError: the backend does not answer or rejects it; no run is stored then.
        """
        require_use_case(caller, declared.get(use_case).name)
        new = runs_store.NewRun(
            kind=kind,
            use_case=use_case,
            backend="stages" if self._runner.airflow is None else "airflow",
            options=options,
            requested_by=caller.name,
            centre=caller.centre,
            **({} if key is None else {"key": _idempotency_key(caller, kind, key)}),
        )
        row, is_new = await self._gateway.run_in_transaction(
            lambda session: runs_store.insert_run(session, new, self._runner.owner)
        )
        if not is_new:
            return run_from_row(row), False
        try:
            await self._runner.begin(row)
        except Exception as error:
            failed = partial(self._record, outcome="failed", reason=type(error).__name__)
            await run_in_threadpool(failed, caller, origin, row, "started")
            raise
        await run_in_threadpool(self._record, caller, origin, row, "started")
        return run_from_row(row), True

    async def listed(self, caller: Principal, kind: runs_store.RunKind, use_case: str | None, limit: int) -> RunList:
        """List the gateway's runs and Airflow's other runs that the caller may see, newest first."""
        airflow = self._runner.airflow
        rows = await self._gateway.run_in_transaction(
            lambda session: runs_store.newest_runs(session, kind, use_case, limit)
        )
        found = [_visible_run(caller, row) for row in rows]
        silent = {}
        if airflow is not None:
            known = {run.dag_run_id for run in found}
            try:
                others = await airflow.runs(dag_id(kind, use_case or ""), limit)
                found += [
                    run_from_airflow(kind, run)
                    if caller.centres is None
                    else _without_requester(run_from_airflow(kind, run))
                    for run in others
                    if run["dag_run_id"] not in known
                ]
            except UnavailableError as error:
                silent["airflow"] = error.problem
        seen = [run for run in found if caller.can_call(run.use_case)]
        return RunList(runs=sorted(seen, key=lambda run: run.created, reverse=True)[:limit], silent=silent)

    async def retraining_blocker(self, caller: Principal, use_case: str, key: str) -> Message | None:
        """Return why no retraining may start now, ignoring the run of ``key`` of ``caller``; None if one may.

        If Airflow does not answer, its own runs are not considered."""
        own_run = runs_store.run_id_of(_idempotency_key(caller, "retrain", key))
        blocker = await run_in_threadpool(retraining_blocker, self._gateway.engine, use_case, own_run=own_run)
        if blocker is not None or self._runner.airflow is None:
            return blocker
        try:
            others = await self._runner.airflow.runs(dag_id("retrain", use_case), _UNFINISHED_SCAN_LIMIT)
        except UnavailableError:
            return None
        runs = [run_from_airflow("retrain", run) for run in others]
        begun = [run.created for run in runs if run.use_case == use_case and run.state in OPEN_RUN_STATES]
        return unfinished_retraining(use_case, max(begun)) if begun else None

    async def one(self, caller: Principal, run_id: str) -> Run:
        """Return one run.

        Raises:
            NotFoundError: no such run.
            HttpError: 403, it is of another use case than the caller's.
        """
        airflow = self._runner.airflow
        row = await self._gateway.run_in_transaction(lambda session: runs_store.get_run(session, run_id))
        require_use_case(caller, row.use_case)
        run = _visible_run(caller, row)
        open_in_airflow = row.backend == "airflow" and row.state == "running" and airflow is not None
        if open_in_airflow and airflow is not None:
            try:
                if await airflow.is_awaiting_approval(dag_id_of(row), dag_run_id_of(row)):
                    run.state = runs_store.AWAITING_APPROVAL
            except UnavailableError as error:
                run.error = {"problem": error.problem, "expected": "", "action": error.action}
        return run

    async def answer(self, caller: Principal, origin: RequestOrigin, run_id: str, *, approve: bool) -> Run:
        """Apply an approval decision to a waiting run.

        Raises:
            ConflictError: the run is not waiting for approval.
        """

        def decide(session: Session) -> RunRow:
            row = runs_store.get_run(session, run_id, lock=True)
            require_use_case(caller, row.use_case)
            if row.backend == "stages":  # otherwise Airflow knows whether the run waits
                if row.state != runs_store.AWAITING_APPROVAL:
                    raise ConflictError(f"The run does not wait for an approval; it is {row.state}.")
                runs_store.apply_decision(row, approve=approve, by=caller.name)
            return row

        row = await self._gateway.run_in_transaction(decide)
        if row.backend == "airflow":
            if self._runner.airflow is None:
                raise UnavailableError("This run is Airflow's, and VIGIE_AIRFLOW_URL is not set now.")
            await self._runner.airflow.answer_approval(dag_id_of(row), dag_run_id_of(row), approve=approve)
        await run_in_threadpool(self._record, caller, origin, row, "approved" if approve else "rejected")
        self._runner.wake()
        return run_from_row(row)

    def _record(
        self,
        caller: Principal,
        origin: RequestOrigin,
        row: RunRow,
        event: str,
        *,
        outcome: AuditOutcome = "ok",
        reason: str = "",
    ) -> None:
        with self._gateway.transaction() as session:
            count_approvals(self._gateway, session)
            self._gateway.trail.add(
                session,
                origin,
                f"{AUDIT_ACTIONS[row.kind]}.{event}",
                by=caller,
                use_case=row.use_case,
                target=f"run {row.id}",
                outcome=outcome,
                backend=row.backend,
                **({"reason": reason} if reason else {}),
                **({"confirmed": row.options["confirm"]} if row.options.get("confirm") else {}),
            )


log = structlog.get_logger(__name__)

FIRST_TRAINING_RETRY_SECONDS = 5.0


class FirstTraining:
    """Trains use cases that have no model, once after start-up."""

    def __init__(self, gateway: GatewayContainer, runner: RunOrchestrator) -> None:
        self._gateway, self._runner = gateway, runner

    async def run(self) -> None:
        """Run until every use case has been checked; the registry may not be up yet."""
        waiting = set(declared.names())
        logged = False
        while waiting:
            for use_case in sorted(waiting):
                try:
                    if await asyncio.to_thread(self.look, use_case):
                        self._runner.wake()
                except (SQLAlchemyError, VigieError) as error:
                    if not logged:
                        log.info("first training waits", use_case=use_case, reason=str(error).splitlines()[0][:300])
                    logged = True
                    continue
                waiting.discard(use_case)
            if waiting:
                await asyncio.sleep(FIRST_TRAINING_RETRY_SECONDS)

    def look(self, use_case: str) -> bool:
        """Start the first training of a use case that has neither a model nor a run; return whether it did.

        Raises:
            VigieError: the registry does not answer.
        """
        gateway = self._gateway
        with gateway.transaction() as session:
            if runs_store.has_retraining(session, use_case):
                return False
        if list_versions(gateway.settings, use_case):
            return False
        new = runs_store.NewRun(
            kind="retrain",
            use_case=use_case,
            backend="stages" if self._runner.airflow is None else "airflow",
            options={
                "source": gateway.settings.gateway_first_source,
                "force": False,
                "require_approval": False,
                "patient": True,
            },
            requested_by=SERVICE_NAME,
            centre="",
            key=f"first-training:{use_case}",
        )
        with gateway.transaction() as session:
            row, is_new = runs_store.insert_run(session, new, "")
            if not is_new:
                return False
            row.owned_until = None
            gateway.trail.add(
                session,
                RequestOrigin(),
                "retraining.started",
                by=SYSTEM_PRINCIPAL,
                use_case=use_case,
                target=f"run {row.id}",
                first=True,
            )
        log.info("first training started", use_case=use_case, run_id=row.id)
        return True
