"""What the drift service's jobs do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core import params
from services.core.database.connection import address, make_engine
from services.core.jobs.child import Task, Work
from services.core.jobs.options import MonitorOptions
from services.core.registry.client import Registry
from services.core.settings import CHECKOUT
from services.drift.actions import GatewayDesk
from services.drift.monitor import Monitor, limits_of
from services.drift.settings import DriftSettings


def monitor(task: Task) -> Mapping[str, Any]:
    """Look at the use case's calls. The result is the run's summary without its long lists."""
    options: MonitorOptions = task.options
    settings = DriftSettings()
    chosen = params.load(CHECKOUT).monitoring
    engine = make_engine(address(settings.database_url, settings.home))
    try:
        made = Monitor(
            home=task.home,
            engine=engine,
            registry=Registry.open(task.home),
            params=chosen,
            desk=GatewayDesk(settings),
            limits=limits_of(
                chosen, daily=settings.drift_daily_retrainings, cooldown_hours=settings.drift_cooldown_hours
            ),
        ).run(task.id, task.use_case, with_report=options.report, act=options.act)
    finally:
        engine.dispose()
    summary = made.summary
    task.progress(f"monitor: {made.verdict}")
    return {
        **{name: summary[name] for name in ("id", "verdict", "window", "model_version", "action")},
        "reasons": summary["reasons"][:10],
        "share": summary["drift"]["share"],
    }


JOBS: Mapping[str, Work] = {"monitor": monitor}
