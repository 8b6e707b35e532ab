"""Arguments, assets and schedules shared by all DAGs."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any
from zlib import crc32

from airflow.sdk import Asset, CronTriggerTimetable

from services.core.contract.use_case import UseCase
from services.core.steps import dag_id, drift_signal_asset, raw_data_asset
from vigie_orchestration.settings import OrchestrationSettings

RUN_IMMEDIATELY_WITHIN = timedelta(seconds=0.5)
"""A new platform waits for its first scheduled time. With a start date in the DAG, Airflow would start with the
interval before its own first start, when there is no data yet. With ``False`` instead of a timedelta, Airflow 3.2 does
the same if that time is at most a tenth of the schedule's period ago (about two hours of a day, most of a day of a
week)."""


def dag_arguments(kind: str, doc: str, use_case: UseCase | None = None) -> dict[str, Any]:
    """Return the arguments shared by all DAGs: display name, documentation, tags, owner, retries, one run at a time."""
    chosen = OrchestrationSettings()
    title = f"{kind.capitalize()}: {use_case.presentation.title.en}" if use_case else kind.capitalize()
    doc_md = inspect.cleandoc(doc)
    return {
        "dag_id": dag_id(kind, use_case.name) if use_case else kind,
        "dag_display_name": title,
        "description": doc_md.partition("\n")[0],
        "doc_md": doc_md
        + (f"\n\n**{use_case.presentation.title.en}**: {use_case.presentation.description.en}" if use_case else ""),
        "tags": ["vigie", kind, *([use_case.name] if use_case else [])],
        "catchup": False,
        "max_active_runs": 1,
        "render_template_as_native_obj": True,  # a boolean param stays a boolean in the job's options
        "default_args": {
            "owner": "vigie",
            "retries": chosen.airflow_retries,
            "retry_delay": timedelta(seconds=chosen.airflow_retry_seconds),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=30),
        },
    }


def raw_data(use_case: str) -> Asset:
    """Return the asset that ingestion updates when the data has changed, and that triggers retraining."""
    return Asset(name=raw_data_asset(use_case), uri=f"vigie://raw-data/{use_case}", group="vigie")


def drift_signal(use_case: str) -> Asset:
    """Return the asset that the gateway updates when monitoring requests a retraining."""
    return Asset(name=drift_signal_asset(use_case), uri=f"vigie://drift-signal/{use_case}", group="vigie")


def schedule_window(hour: int) -> str:
    """Describe the two hours in which ``daily`` or ``weekly`` schedules start a run."""
    begin = _hour(hour)
    return f"between {begin:02d}:00 and {(begin + 2) % 24:02d}:00 UTC"


def daily_schedule(name: str, *, hour: int) -> CronTriggerTimetable:
    """Schedule a daily run, ``hour`` to ``hour`` + 2 hours after the night begins (``VIGIE_AIRFLOW_NIGHT_BEGINS``).

    The minute is derived from the name: use cases do not start together, and adding one does not move the others."""
    return _cron(name, hour, "* * *")


def weekly_schedule(name: str, *, hour: int) -> CronTriggerTimetable:
    """Schedule a weekly run: like ``daily_schedule``, on Sundays."""
    return _cron(name, hour, "* * 0")


def _cron(name: str, hour: int, days: str) -> CronTriggerTimetable:
    minute = crc32(name.encode()) % 120
    when = f"{minute % 60} {_hour(hour + minute // 60)} {days}"
    return CronTriggerTimetable(when, timezone="UTC", run_immediately=RUN_IMMEDIATELY_WITHIN)


def _hour(after_night_began: int) -> int:
    return (OrchestrationSettings().airflow_night_begins + after_night_began) % 24
