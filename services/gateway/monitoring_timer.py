"""Without Airflow the gateway itself has the calls looked at, every so many hours."""

from __future__ import annotations

import asyncio
import time

import structlog

from services.core.errors import VigieError
from services.core.usecases import registry as declared
from services.core.web.faults import RefusedError
from services.gateway.stages import Stages

ROUND_SECONDS = 30.0

log = structlog.get_logger(__name__)


class MonitoringTimer:
    def __init__(self, stages: Stages, hours: float) -> None:
        self._stages, self._seconds = stages, hours * 3_600

    async def run(self) -> None:
        """Until cancelled. A slot of time has one job for each use case, however many gateways ask for it."""
        done: dict[str, int] = {}
        while True:
            slot = int(time.time() // self._seconds)
            for use_case in declared.names():
                if done.get(use_case) == slot:
                    continue
                try:
                    await self._stages.submit(use_case, "monitor", {}, f"monitor-timer:{use_case}:{slot}", "")
                except (VigieError, RefusedError) as error:
                    log.info("monitoring waits", use_case=use_case, reason=str(error).splitlines()[0][:200])
                    continue
                done[use_case] = slot
            await asyncio.sleep(ROUND_SECONDS)
