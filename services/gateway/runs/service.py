"""Starts, lists and approves runs; trains use cases that have no model yet when the platform starts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from services.core import use_case_registry as declared
from services.core.audit.log import AuditOutcome
from services.core.auth.principal import Principal
from services.core.errors import ConflictError, UnavailableError, VigieError
from services.core.jobs.tables import RunRow
from services.core.orchestration import dag_id, dag_prefix
from services.gateway.audit.service import SERVICE_NAME, SYSTEM_PRINCIPAL, RequestOrigin
from services.gateway.container import GatewayContainer
from services.gateway.deps import require_use_case
from services.gateway.models.service import list_versions
from services.gateway.runs import store as runs_store
from services.gateway.runs.airflow_client import RUN_STATES
from services.gateway.runs.orchestrator import AUDIT_ACTIONS, RunOrchestrator, dag_id_of, dag_run_id_of
from services.gateway.runs.schemas import Run, RunList
from services.gateway.runs.store import RunKind

_INTERNAL_OPTIONS = {"patient"}


def run_from_row(row: RunRow) -> Run:
    in_airflow = row.backend == "airflow"
    return Run.model_validate(
        {
            "id": row.id,
            "kind": row.kind,
            "use_case": row.use_case,
            "backend": row.backend,
            "state": row.state,
            "requested_by": row.requested_by,
            "created": row.created,
            "finished": row.finished,
            "options": {name: value for name, value in row.options.items() if name not in _INTERNAL_OPTIONS},
            "steps": row.steps,
            "error": row.error,
            "dag_id": dag_id_of(row) if in_airflow else None,
            "dag_run_id": dag_run_id_of(row) if in_airflow else None,
        }
    )


def run_from_airflow(kind: RunKind, run: dict[str, Any]) -> Run:
    """A run that Airflow started by itself, or a person in Airflow's pages."""
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


class RunService:
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
        """The run, and whether it is new: the same ``key`` of the same caller stands for the same run.

        Raises:
            VigieError: its backend does not answer or refuses; there is no run then.
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
        row, is_new = await run_in_threadpool(self._create, new)
        if not is_new:
            return run_from_row(row), False
        try:
            await self._runner.begin(row)
        except Exception as error:
            failed = partial(self._tell, outcome="failed", reason=type(error).__name__)
            await run_in_threadpool(failed, caller, origin, row, "started")
            raise
        await run_in_threadpool(self._tell, caller, origin, row, "started")
        return run_from_row(row), True

    async def listed(self, kind: runs_store.RunKind, use_case: str | None, limit: int) -> RunList:
        """The gateway's own runs and those that Airflow started otherwise, newest first."""
        airflow = self._runner.airflow
        found = [run_from_row(row) for row in await run_in_threadpool(self._newest, kind, use_case, limit)]
        silent = {}
        if airflow is not None:
            known = {run.dag_run_id for run in found}
            try:
                others = await airflow.runs(dag_id(kind, use_case or ""), limit)
                found += [run_from_airflow(kind, run) for run in others if run["dag_run_id"] not in known]
            except UnavailableError as error:
                silent["airflow"] = error.problem
        return RunList(runs=sorted(found, key=lambda run: run.created, reverse=True)[:limit], silent=silent)

    async def unfinished(self, caller: Principal, kind: runs_store.RunKind, use_case: str, key: str) -> Run | None:
        """A run of the use case that has not ended, other than the one that ``key`` of ``caller`` stands for. Where
        Airflow does not say, none of its own."""
        found = (await self.listed(kind, use_case, _UNFINISHED_SCAN_LIMIT)).runs
        mine = runs_store.run_id_of(_idempotency_key(caller, kind, key))
        return next(
            (
                run
                for run in found
                if run.use_case == use_case and run.state in runs_store.OPEN_STATES and run.id != mine
            ),
            None,
        )

    async def one(self, run_id: str) -> Run:
        """
        Raises:
            NotFoundError: there is no such run.
        """
        row, airflow = await run_in_threadpool(self._get, run_id), self._runner.airflow
        run = run_from_row(row)
        open_in_airflow = row.backend == "airflow" and row.state == "running" and airflow is not None
        if open_in_airflow and airflow is not None:
            try:
                if await airflow.is_awaiting_approval(dag_id_of(row), dag_run_id_of(row)):
                    run.state = runs_store.AWAITING_APPROVAL
            except UnavailableError as error:
                run.error = {"problem": error.problem, "expected": "", "action": error.action}
        return run

    async def answer(self, caller: Principal, origin: RequestOrigin, run_id: str, *, approve: bool) -> Run:
        """A person's word to a run that waits for it.

        Raises:
            ConflictError: it does not wait.
        """
        row = await run_in_threadpool(self._answered, caller, run_id, approve)
        if row.backend == "airflow":
            if self._runner.airflow is None:
                raise UnavailableError("This run is Airflow's, and VIGIE_AIRFLOW_URL is not set now.")
            await self._runner.airflow.answer_approval(dag_id_of(row), dag_run_id_of(row), approve=approve)
        await run_in_threadpool(self._tell, caller, origin, row, "approved" if approve else "rejected")
        self._runner.wake()
        return run_from_row(row)

    def _create(self, new: runs_store.NewRun) -> tuple[RunRow, bool]:
        with self._gateway.transaction() as session:
            return runs_store.insert_run(session, new, self._runner.owner)

    def _get(self, run_id: str) -> RunRow:
        with self._gateway.transaction() as session:
            return runs_store.get_run(session, run_id)

    def _newest(self, kind: runs_store.RunKind, use_case: str | None, limit: int) -> list[RunRow]:
        with self._gateway.transaction() as session:
            return runs_store.newest_runs(session, kind, use_case, limit)

    def _answered(self, caller: Principal, run_id: str, approve: bool) -> RunRow:
        with self._gateway.transaction() as session:
            row = runs_store.get_run(session, run_id, lock=True)
            require_use_case(caller, row.use_case)
            if row.backend == "airflow":
                return row  # Airflow knows whether it waits
            if row.state != runs_store.AWAITING_APPROVAL:
                raise ConflictError(f"The run does not wait for an approval; it is {row.state}.")
            runs_store.apply_decision(row, approve=approve, by=caller.name)
            return row

    def _tell(
        self,
        caller: Principal,
        origin: RequestOrigin,
        row: RunRow,
        word: str,
        *,
        outcome: AuditOutcome = "ok",
        reason: str = "",
    ) -> None:
        with self._gateway.transaction() as session:
            self._gateway.counters.approvals.set(runs_store.count_runs_in(session, runs_store.AWAITING_APPROVAL))
            self._gateway.trail.add(
                session,
                origin,
                f"{AUDIT_ACTIONS[row.kind]}.{word}",
                by=caller,
                use_case=row.use_case,
                target=f"run {row.id}",
                outcome=outcome,
                backend=row.backend,
                **({"reason": reason} if reason else {}),
            )


log = structlog.get_logger(__name__)

FIRST_TRAINING_RETRY_SECONDS = 5.0


class FirstTraining:
    def __init__(self, gateway: GatewayContainer, runner: RunOrchestrator) -> None:
        self._gateway, self._runner = gateway, runner

    async def run(self) -> None:
        """Until every use case was looked at; the registry may take its time to start."""
        left = set(declared.names())
        said = False
        while left:
            for use_case in sorted(left):
                try:
                    if await asyncio.to_thread(self.look, use_case):
                        self._runner.wake()
                except (SQLAlchemyError, VigieError) as error:
                    if not said:
                        log.info("first training waits", use_case=use_case, reason=str(error).splitlines()[0][:300])
                    said = True
                    continue
                left.discard(use_case)
            if left:
                await asyncio.sleep(FIRST_TRAINING_RETRY_SECONDS)

    def look(self, use_case: str) -> bool:
        """Start the first training of a use case if it has neither a model nor a run. Whether it did.

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
