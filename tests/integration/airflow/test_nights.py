"""When the nightly runs start."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zlib import crc32

import pytest

from services.core import use_case_registry
from services.core.settings import CHECKOUT


def times(orchestration: SimpleNamespace, hour: int) -> set[int]:
    """Hours of the day at which the use cases' daily runs start."""
    crons = [orchestration.dag_factory.daily_schedule(name, hour=hour).expression for name in use_case_registry.names()]
    assert len({cron.split()[0] for cron in crons}) > 1, "all use cases start together"
    return {int(cron.split()[1]) for cron in crons}


@pytest.mark.parametrize(
    ("begins", "ingestion", "said"),
    [(None, {2, 3}, "between 02:00 and 04:00 UTC"), ("13", {15, 16}, "between 15:00 and 17:00 UTC"),
     ("21", {23, 0}, "between 23:00 and 01:00 UTC"), ("23", {1, 2}, "between 01:00 and 03:00 UTC")],
)  # fmt: skip
def test_the_night_begins_when_the_operator_says(
    orchestration: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, begins: str | None, ingestion: set[int], said: str
) -> None:
    if begins is not None:
        monkeypatch.setenv("VIGIE_AIRFLOW_NIGHT_BEGINS", begins)
    assert times(orchestration, 2) <= ingestion
    assert orchestration.dag_factory.schedule_window(2) == said


def test_sundays_stay_sundays(orchestration: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_AIRFLOW_NIGHT_BEGINS", "22")
    _, hour, *days = orchestration.dag_factory.weekly_schedule("toy", hour=4).expression.split()
    assert (int(hour) in {2, 3}, days) == (True, ["*", "*", "0"])


NEXT_RUN = """
import json, sys
from datetime import UTC, datetime, timedelta
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import TimeRestriction
from vigie_orchestration.dag_factory import daily_schedule

stored = json.loads(json.dumps(encode_timetable(daily_schedule(sys.argv[1], hour=2))))
scheduled = decode_timetable(stored)
first = scheduled.next_dagrun_info(last_automated_data_interval=None, restriction=TimeRestriction(None, None, False))
print(first.logical_date.isoformat())
"""


def test_a_platform_that_starts_after_the_nights_runs_waits_for_the_next_night() -> None:
    """As the scheduler reads it, in a process of Airflow's own: the time has just gone by."""
    now = datetime.now(UTC)
    minute = crc32(b"toy") % 120
    begins = (now - timedelta(hours=2, minutes=minute + 1)).hour
    environment = {**os.environ, "VIGIE_AIRFLOW_NIGHT_BEGINS": str(begins), "_AIRFLOW__AS_LIBRARY": "1"}
    environment["PYTHONPATH"] = f"{CHECKOUT}:{CHECKOUT / 'airflow' / 'plugins'}"
    command = [sys.executable, "-c", NEXT_RUN, "toy"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120)
    first = datetime.fromisoformat(done.stdout.strip().splitlines()[-1])
    assert timedelta(hours=20) < first - now < timedelta(hours=25), f"the first run is for {first}"
