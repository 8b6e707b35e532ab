"""Starting, listing and answering runs, for whoever may."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool

from services.core.access.audit import Outcome
from services.core.access.caller import Caller
from services.core.access.tables import RunRow
from services.core.errors import ConflictError, UnavailableError
from services.core.orchestration import dag_id
from services.core.usecases import registry as declared
from services.gateway import runs
from services.gateway.gateway import Gateway
from services.gateway.rights import require_use_case
from services.gateway.run_schemas import Run, Runs
from services.gateway.run_views import from_airflow, shown
from services.gateway.runner import ACTIONS, Runner, dag_of, dag_run_of
from services.gateway.trail import Origin

_NEWEST = 50


def _key(caller: Caller, kind: runs.Kind, key: str) -> str:
    return hashlib.sha256(f"{caller.id} {kind} {key}".encode()).hexdigest()


class RunDesk:
    def __init__(self, gateway: Gateway, runner: Runner) -> None:
        self._gateway, self._runner = gateway, runner

    async def start(
        self,
        caller: Caller,
        origin: Origin,
        kind: runs.Kind,
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
        new = runs.NewRun(
            kind=kind,
            use_case=use_case,
            backend="stages" if self._runner.airflow is None else "airflow",
            options=options,
            requested_by=caller.name,
            centre=caller.centre,
            **({} if key is None else {"key": _key(caller, kind, key)}),
        )
        row, is_new = await run_in_threadpool(self._create, new)
        if not is_new:
            return shown(row), False
        try:
            await self._runner.begin(row)
        except Exception as error:
            failed = partial(self._tell, outcome="failed", reason=type(error).__name__)
            await run_in_threadpool(failed, caller, origin, row, "started")
            raise
        await run_in_threadpool(self._tell, caller, origin, row, "started")
        return shown(row), True

    async def listed(self, kind: runs.Kind, use_case: str | None, limit: int) -> Runs:
        """The gateway's own runs and those that Airflow started otherwise, newest first."""
        airflow = self._runner.airflow
        found = [shown(row) for row in await run_in_threadpool(self._newest, kind, use_case, limit)]
        silent = {}
        if airflow is not None:
            known = {run.dag_run_id for run in found}
            try:
                others = await airflow.runs(dag_id(kind, use_case or ""), limit)
                found += [from_airflow(kind, run) for run in others if run["dag_run_id"] not in known]
            except UnavailableError as error:
                silent["airflow"] = error.problem
        return Runs(runs=sorted(found, key=lambda run: run.created, reverse=True)[:limit], silent=silent)

    async def unfinished(self, caller: Caller, kind: runs.Kind, use_case: str, key: str) -> Run | None:
        """A run of the use case that has not ended, other than the one that ``key`` of ``caller`` stands for. Where
        Airflow does not say, none of its own."""
        found = (await self.listed(kind, use_case, _NEWEST)).runs
        mine = runs.id_of(_key(caller, kind, key))
        return next(
            (run for run in found if run.use_case == use_case and run.state in runs.OPEN and run.id != mine), None
        )

    async def one(self, run_id: str) -> Run:
        """
        Raises:
            NotFoundError: there is no such run.
        """
        row, airflow = await run_in_threadpool(self._get, run_id), self._runner.airflow
        run = shown(row)
        open_in_airflow = row.backend == "airflow" and row.state == "running" and airflow is not None
        if open_in_airflow and airflow is not None:
            try:
                if await airflow.waits_for_approval(dag_of(row), dag_run_of(row)):
                    run.state = runs.AWAITING
            except UnavailableError as error:
                run.error = {"problem": error.problem, "expected": "", "action": error.action}
        return run

    async def answer(self, caller: Caller, origin: Origin, run_id: str, *, approve: bool) -> Run:
        """A person's word to a run that waits for it.

        Raises:
            ConflictError: it does not wait.
        """
        row = await run_in_threadpool(self._answered, caller, run_id, approve)
        if row.backend == "airflow":
            if self._runner.airflow is None:
                raise UnavailableError("This run is Airflow's, and VIGIE_AIRFLOW_URL is not set now.")
            await self._runner.airflow.answer_approval(dag_of(row), dag_run_of(row), approve=approve)
        await run_in_threadpool(self._tell, caller, origin, row, "approved" if approve else "rejected")
        self._runner.wake()
        return shown(row)

    def _create(self, new: runs.NewRun) -> tuple[RunRow, bool]:
        with self._gateway.transaction() as session:
            return runs.create(session, new, self._runner.owner)

    def _get(self, run_id: str) -> RunRow:
        with self._gateway.transaction() as session:
            return runs.get(session, run_id)

    def _newest(self, kind: runs.Kind, use_case: str | None, limit: int) -> list[RunRow]:
        with self._gateway.transaction() as session:
            return runs.newest(session, kind, use_case, limit)

    def _answered(self, caller: Caller, run_id: str, approve: bool) -> RunRow:
        with self._gateway.transaction() as session:
            row = runs.get(session, run_id, lock=True)
            require_use_case(caller, row.use_case)
            if row.backend == "airflow":
                return row  # Airflow knows whether it waits
            if row.state != runs.AWAITING:
                raise ConflictError(f"The run does not wait for an approval; it is {row.state}.")
            runs.answer(row, approve=approve, by=caller.name)
            return row

    def _tell(
        self, caller: Caller, origin: Origin, row: RunRow, word: str, *, outcome: Outcome = "ok", reason: str = ""
    ) -> None:
        with self._gateway.transaction() as session:
            self._gateway.counters.approvals.set(runs.number_in(session, runs.AWAITING))
            self._gateway.trail.add(
                session,
                origin,
                f"{ACTIONS[row.kind]}.{word}",
                by=caller,
                use_case=row.use_case,
                target=f"run {row.id}",
                outcome=outcome,
                backend=row.backend,
                **({"reason": reason} if reason else {}),
            )
