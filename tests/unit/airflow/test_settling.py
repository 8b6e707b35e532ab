"""A task is not resumed before Airflow has noticed that it waits."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest

from vigie_orchestration import settling
from vigie_orchestration.settling import SettledApproval, settle


def test_what_comes_at_once_is_held_back_and_what_comes_late_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "SETTLE_SECONDS", 0.05)
    begun = time.monotonic()
    asyncio.run(settle(begun))
    assert time.monotonic() - begun >= 0.05
    begun = time.monotonic()
    asyncio.run(settle(begun - 1))
    assert time.monotonic() - begun < 0.05


def test_an_approval_waits_in_the_trigger_that_settles_and_survives_a_restart_of_the_triggerer() -> None:
    given: dict[str, Any] = {"ti_id": uuid.uuid4(), "options": ["Approve", "Reject"], "params": {}, "defaults": None}
    path, arguments = SettledApproval(**given, timeout_datetime=None).serialize()
    assert path == "vigie_orchestration.settling.SettledApproval"
    assert SettledApproval(**arguments).serialize() == (path, arguments)
