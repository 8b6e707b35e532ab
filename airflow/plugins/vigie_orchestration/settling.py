"""No trigger fires before the executor has told of the task's deferral.

The scheduler of Airflow 3.2 fails a task whose trigger fires so soon that the task is queued again before the
executor's "finished" of its deferral is read ("... finished with state success, but the task instance's state attribute is
queued"). Seen with an approval that was answered at once, on a machine with time to spare.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.triggers.base import TriggerEvent

SETTLE_SECONDS = 6.0


async def settle(since: float) -> None:
    """Return ``SETTLE_SECONDS`` after ``since``, a reading of ``time.monotonic``, at the earliest."""
    await asyncio.sleep(max(0.0, since + SETTLE_SECONDS - time.monotonic()))


class SettledApproval(HITLTrigger):
    """Waits for a person's answer, and takes note of it no sooner than that."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", super().serialize()[1]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await settle(time.monotonic())
        async for event in super().run():
            yield event
