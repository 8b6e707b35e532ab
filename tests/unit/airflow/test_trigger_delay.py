"""A task is not resumed before Airflow has noticed that it waits."""

from __future__ import annotations

import asyncio
import time

import pytest

from vigie_orchestration import trigger_delay
from vigie_orchestration.trigger_delay import delay_trigger


def test_what_comes_at_once_is_held_back_and_what_comes_late_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigger_delay, "SETTLE_SECONDS", 0.05)
    begun = time.monotonic()
    asyncio.run(delay_trigger(begun))
    assert time.monotonic() - begun >= 0.05
    monkeypatch.setattr(trigger_delay, "SETTLE_SECONDS", 30.0)
    begun = time.monotonic()
    asyncio.run(delay_trigger(begun - 31))
    assert time.monotonic() - begun < 15
