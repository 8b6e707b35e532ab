"""A task is not resumed before Airflow has noticed that it waits."""

from __future__ import annotations

import asyncio
import time

import pytest

from vigie_orchestration import settling
from vigie_orchestration.settling import settle


def test_what_comes_at_once_is_held_back_and_what_comes_late_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "SETTLE_SECONDS", 0.05)
    begun = time.monotonic()
    asyncio.run(settle(begun))
    assert time.monotonic() - begun >= 0.05
    monkeypatch.setattr(settling, "SETTLE_SECONDS", 30.0)
    begun = time.monotonic()
    asyncio.run(settle(begun - 31))
    assert time.monotonic() - begun < 15
