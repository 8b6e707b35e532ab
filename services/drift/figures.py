"""What the drift service tells Prometheus: read from the newest runs, so that it is right after a restart too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from services.core.jobs.counters import Counters
from services.core.usecases import registry as declared
from services.core.usecases.contract import UseCase
from services.drift import history
from services.drift.losses import loss_name

VERDICTS = {"stable": 0, "watch": 1, "drifted": 2, "too_few": -1}
_GROUPED = frozenset({"centre", "area", "hour"})

log = structlog.get_logger(__name__)


def show_runs(counters: Counters, engine: Engine) -> None:
    counters.registry.register(MonitoringFigures(engine, [declared.get(name) for name in declared.names()]))


class MonitoringFigures(Collector):
    def __init__(self, engine: Engine, use_cases: Sequence[UseCase]) -> None:
        self._engine, self._use_cases = engine, use_cases

    def describe(self) -> list[Metric]:
        """Nothing: registering this asks no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            yield from self._collected()
        except SQLAlchemyError as error:
            log.warning("monitoring cannot be read", error=type(error).__name__)

    def _collected(self) -> Iterator[Metric]:
        one, of_target = ("use_case",), ("use_case", "target", "metric")
        share = GaugeMetricFamily("vigie_drift_share", "Importance that lies on drifted inputs.", labels=one)
        verdict = GaugeMetricFamily(
            "vigie_drift_verdict", "0 stable, 1 watch, 2 drifted, -1 too few calls.", labels=one
        )
        error = GaugeMetricFamily("vigie_live_error", "Error on calls whose outcome is known.", labels=of_target)
        reference = GaugeMetricFamily(
            "vigie_live_error_reference", "The same on the champion's frozen test rows.", labels=of_target
        )
        breached = GaugeMetricFamily(
            "vigie_live_error_breached", "Whether the live error, or a segment's, is beyond its limit.", labels=one
        )
        held = GaugeMetricFamily("vigie_outcome_holds", "Centres whose outcomes are held back.", labels=one)
        success = GaugeMetricFamily(
            "vigie_monitor_last_success_timestamp_seconds", "When calls were last looked at.", labels=one
        )
        held_now = history.holds_by_use_case(self._engine)
        for use_case in self._use_cases:
            key = (use_case.name,)
            held.add_metric(key, held_now.get(use_case.name, 0))
            for run in history.before(self._engine, use_case.name, 1):
                share.add_metric(key, run.summary["drift"]["share"])
                verdict.add_metric(key, VERDICTS[run.verdict])
                breached.add_metric(key, float(run.breached))
                success.add_metric(key, run.finished_at.timestamp())
                for entry in _overall(use_case, run.summary["quality"], run.model_version):
                    labels = (use_case.name, entry["target"], entry["metric"])
                    error.add_metric(labels, entry["value"])
                    if entry["reference"] is not None:
                        reference.add_metric(labels, entry["reference"])
        yield from (share, verdict, error, reference, breached, held, success)
        yield from self._done()

    def _done(self) -> Iterator[Metric]:
        for action, name, help_ in (
            (history.RETRAINING, "vigie_automatic_retrainings", "Retrainings that monitoring started."),
            (history.ROLLBACK, "vigie_automatic_rollbacks", "Rollbacks that monitoring had done."),
        ):
            counter = CounterMetricFamily(name, help_, labels=("use_case",))
            numbers = history.number_of(self._engine, action)
            for use_case in self._use_cases:
                counter.add_metric((use_case.name,), numbers.get(use_case.name, 0))
            yield counter


def _overall(use_case: UseCase, entries: Sequence[dict[str, Any]], version: str) -> list[dict[str, Any]]:
    """The entries over all calls of the champion, of the losses that limits are set for."""
    wanted = {(target.name, loss_name(target)) for target in use_case.targets}
    return [
        entry
        for entry in entries
        if (entry["target"], entry["metric"]) in wanted
        and entry["version"] == version
        and not _GROUPED & set(entry)
        and entry["value"] is not None
    ]
