"""Delays triggers until the executor has recorded the task's deferral.

The scheduler of Airflow 3.2 fails a task whose trigger fires so soon that the task is queued again before the
executor's "finished" of its deferral is read: "... finished with state success, but the task instance's state attribute
is queued". Observed with an approval that was answered immediately, on an idle machine."""

from __future__ import annotations

import asyncio
import time

SETTLE_SECONDS = 6.0


async def delay_trigger(since: float) -> None:
    """Sleep until ``SETTLE_SECONDS`` after ``since``, a reading of ``time.monotonic``."""
    await asyncio.sleep(max(0.0, since + SETTLE_SECONDS - time.monotonic()))
