"""A platform that has just been started is not empty for long: use cases without any model are trained, once."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.core.errors import VigieError
from services.core.usecases import registry as declared
from services.gateway import runs
from services.gateway.gateway import Gateway
from services.gateway.models import versions_of
from services.gateway.runner import Runner
from services.gateway.trail import SERVICE, SYSTEM, Origin

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5.0


class FirstTraining:
    def __init__(self, gateway: Gateway, runner: Runner) -> None:
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
                await asyncio.sleep(RETRY_SECONDS)

    def look(self, use_case: str) -> bool:
        """Start the first training of a use case if it has neither a model nor a run. Whether it did.

        Raises:
            VigieError: the registry does not answer.
        """
        gateway = self._gateway
        with gateway.transaction() as session:
            if runs.any_retraining(session, use_case):
                return False
        if versions_of(gateway.settings, use_case):
            return False
        new = runs.NewRun(
            kind="retrain",
            use_case=use_case,
            backend="stages" if self._runner.airflow is None else "airflow",
            options={
                "source": gateway.settings.gateway_first_source,
                "force": False,
                "require_approval": False,
                "patient": True,
            },
            requested_by=SERVICE,
            centre="",
            key=f"first-training:{use_case}",
        )
        with gateway.transaction() as session:
            row, is_new = runs.create(session, new, "")
            if not is_new:
                return False
            row.owned_until = None
            gateway.trail.add(
                session,
                Origin(),
                "retraining.started",
                by=SYSTEM,
                use_case=use_case,
                target=f"run {row.id}",
                first=True,
            )
        log.info("first training started", use_case=use_case, run_id=row.id)
        return True
