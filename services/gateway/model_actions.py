"""Promoting by hand and rolling back: jobs of the training service, asked for directly, so that going back to a
model that worked needs no scheduler."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from services.core.access import freeze
from services.core.access.audit import Outcome
from services.core.access.caller import Caller
from services.core.errors import ConflictError
from services.gateway.gateway import Gateway
from services.gateway.run_schemas import ModelAction
from services.gateway.stages import FINAL, Stages
from services.gateway.trail import Origin

WAIT_SECONDS = 25.0
"""So long the answer waits for the end; the job goes on by itself."""
WORDS = {"promote": "promoted", "rollback": "rolled_back"}


class ModelActions:
    def __init__(self, gateway: Gateway, stages: Stages) -> None:
        self._gateway, self._stages = gateway, stages

    async def promote(
        self, caller: Caller, origin: Origin, use_case: str, version: int, *, reason: str, key: str | None
    ) -> ModelAction:
        """
        Raises:
            ConflictError: promotions are frozen.
        """
        target = f"version {version}"
        frozen = await run_in_threadpool(freeze.frozen, self._gateway.engine)
        if frozen is not None:
            await self._tell(caller, origin, "model.promoted", use_case, target, "refused", {"frozen": True})
            raise ConflictError(
                f"Promotions are frozen by {frozen.by}: {frozen.reason}", action="DELETE /admin/freeze lifts it."
            )
        return await self._act(caller, origin, use_case, "promote", {"version": version}, target, reason, key)

    async def roll_back(
        self, caller: Caller, origin: Origin, use_case: str, *, reason: str, key: str | None
    ) -> ModelAction:
        """Also while promotions are frozen."""
        target = "the previous champion"
        return await self._act(caller, origin, use_case, "rollback", {}, target, reason, key)

    async def _act(  # noqa: PLR0917
        self,
        caller: Caller,
        origin: Origin,
        use_case: str,
        step: str,
        options: Mapping[str, Any],
        target: str,
        reason: str,
        key: str | None,
    ) -> ModelAction:
        # Written before: an action whose end is not heard of is in the log all the same.
        await self._tell(caller, origin, f"model.{step}_asked", use_case, target, "ok", {"reason": reason})
        action = f"model.{WORDS[step]}"
        try:
            job = await self._stages.submit(
                use_case, step, options, f"{step}:{caller.id}:{key or uuid.uuid4().hex}", caller.name
            )
            if job["state"] not in FINAL:
                job = await self._stages.job(step, job["id"], WAIT_SECONDS)
        except Exception as error:
            more = {"error": type(error).__name__}
            await self._tell(caller, origin, action, use_case, target, "failed", more)
            raise
        if job["state"] in FINAL:
            outcome: Outcome = "ok" if job["state"] == "succeeded" else "failed"
            version = (job.get("result") or {}).get("version")
            named = target if version is None else f"version {version}"
            await self._tell(caller, origin, action, use_case, named, outcome, {"job": str(job["id"])})
        return ModelAction(
            use_case=use_case, id=job["id"], state=job["state"], result=job.get("result"), error=job.get("error")
        )

    async def _tell(  # noqa: PLR0917
        self,
        caller: Caller,
        origin: Origin,
        action: str,
        use_case: str,
        target: str,
        outcome: Outcome,
        details: Mapping[str, str | bool],
    ) -> None:
        def write() -> None:
            with self._gateway.transaction() as session:
                self._gateway.trail.add(
                    session, origin, action, by=caller, use_case=use_case, target=target, outcome=outcome, **details
                )

        await run_in_threadpool(write)
