"""Delays triggers until the executor has recorded the task's deferral.

The scheduler of Airflow 3.2 fails a task whose trigger fires so soon that the task is queued again before the
executor's "finished" of its deferral is read: "... finished with state success, but the task instance's state
attribute is queued". Seen with an approval that was answered at once, on a machine with time to spare."""

from __future__ import annotations

import asyncio
import time

SETTLE_SECONDS = 6.0


async def delay_trigger(since: float) -> None:
    """Return ``SETTLE_SECONDS`` after ``since``, a reading of ``time.monotonic``, at the earliest."""
    await asyncio.sleep(max(0.0, since + SETTLE_SECONDS - time.monotonic()))
