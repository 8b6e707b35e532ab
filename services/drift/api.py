"""Routes below ``/monitoring`` and Prometheus metrics, both read from the stored runs: right after a restart too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from services.core import use_case_registry as declared
from services.core.contract.use_case import UseCase
from services.core.errors import NotFoundError
from services.core.jobs.metrics import JobMetrics
from services.core.monitoring.drift_state import MonitoringRunRow
from services.core.paths import VigiePaths
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import GatewayPrincipal
from services.drift import run_store
from services.drift.statistics import loss_name

_LIST_FIELDS = ("id", "started_at", "finished_at", "window", "model_version", "verdict", "reasons", "action", "report")


def monitoring_router(engine: Engine, home: VigiePaths) -> APIRouter:
    """Routes of the monitoring runs, their reports and the label quarantines, for other services.

    Args:
        engine: of the database with the runs.
        home: where Evidently's reports lie.

    Returns:
        The router. Unknown runs, reports and quarantines answer 404 (``NotFoundError``).
    """
    router = APIRouter(tags=["monitoring"])
    own = dict(SERVICE)

    @router.get("/monitoring/runs/{run_id}", openapi_extra=own, summary="One run in full")
    def get_monitoring_run(run_id: str, _: GatewayPrincipal) -> dict[str, Any]:
        return run_body(_get_run(engine, run_id))

    @router.get("/monitoring/runs/{run_id}/report", openapi_extra=own, summary="Evidently's report of a run (HTML)")
    def get_monitoring_report(run_id: str, _: GatewayPrincipal) -> Response:
        run = _get_run(engine, run_id)
        path = run_store.report_path(home, run.use_case, run.id)
        if not run.report or not path.is_file():
            raise NotFoundError("This run has no report, or it is no longer kept.", action="Start a new run.")
        return FileResponse(path, media_type="text/html")

    @router.get("/monitoring/{use_case}", openapi_extra=own, summary="The newest run, and outcomes that are held back")
    def get_latest_monitoring_run(use_case: str, _: GatewayPrincipal) -> dict[str, Any]:
        declared.get(use_case)
        found = run_store.recent_runs(engine, use_case, 1)
        if not found:
            raise NotFoundError(f"Nobody has looked at the calls of {use_case} yet.", action="Start a run.")
        return run_body(found[0]) | {"holds": _quarantines(engine, use_case)}

    @router.get("/monitoring/{use_case}/runs", openapi_extra=own, summary="The newest runs, in short")
    def list_monitoring_runs(
        use_case: str, _: GatewayPrincipal, limit: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> dict[str, Any]:
        declared.get(use_case)
        found = [run_body(run) for run in run_store.recent_runs(engine, use_case, limit)]
        short = [
            {name: run[name] for name in _LIST_FIELDS}
            | {"drift": {"share": run["drift"]["share"]}, "quality": _overall_losses(run)}
            for run in found
        ]
        return {"runs": short}

    @router.post("/monitoring/holds/{hold_id}/lift", openapi_extra=own, summary="Believe held outcomes after all")
    def lift_hold(hold_id: int, caller: GatewayPrincipal) -> dict[str, Any]:
        if not run_store.release_quarantine(engine, hold_id, caller.name):
            raise NotFoundError("There is no such hold in force.")
        return {"id": hold_id, "lifted_by": caller.name}

    @router.post("/monitoring/holds/{hold_id}/end", openapi_extra=own, summary="Believe what arrives from now on")
    def end_hold(hold_id: int, _: GatewayPrincipal) -> dict[str, Any]:
        if not run_store.close_quarantine(engine, hold_id):
            raise NotFoundError("There is no such hold that goes on.")
        return {"id": hold_id}

    return router


def run_body(run: MonitoringRunRow) -> dict[str, Any]:
    """The run's summary as it is sent; whether its report still exists can change."""
    return run_store.with_sentences(run.summary) | {"report": run.report}


def _get_run(engine: Engine, run_id: str) -> MonitoringRunRow:
    found = run_store.get_run(engine, run_id)
    if found is None:
        raise NotFoundError("There is no such run.", action="GET /monitoring/{use_case}/runs lists them.")
    return found


def _overall_losses(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Each target's loss over all calls of the champion."""
    losses = {"mae", "brier", "log_loss"}
    return [
        entry
        for entry in run["quality"]
        if entry["metric"] in losses
        and entry["version"] == run["model_version"]
        and not {"centre", "area", "hour"} & set(entry)
    ]


def _quarantines(engine: Engine, use_case: str) -> list[dict[str, Any]]:
    return [
        {
            "id": hold.id,
            "centre": hold.centre,
            "code": hold.code,
            "since": hold.since.isoformat(),
            "until": None if hold.until is None else hold.until.isoformat(),
            **run_store.entry_with_sentences(hold.reason),
            "lifted_at": None if hold.lifted_at is None else hold.lifted_at.isoformat(),
            "lifted_by": hold.lifted_by,
        }
        for hold in run_store.list_quarantines(engine, use_case)
    ]


VERDICT_CODES = {"stable": 0, "watch": 1, "drifted": 2, "too_few": -1}
_GROUPINGS = frozenset({"centre", "area", "hour"})

log = structlog.get_logger(__name__)


def register_metrics(counters: JobMetrics, engine: Engine) -> None:
    """Export the monitoring metrics of all use cases beside the counters of jobs."""
    counters.registry.register(MonitoringMetrics(engine, [declared.get(name) for name in declared.names()]))


class MonitoringMetrics(Collector):
    """Prometheus collector of drift, live error, label quarantines and actions: the newest run of each use case."""

    def __init__(self, engine: Engine, use_cases: Sequence[UseCase]) -> None:
        self._engine, self._use_cases = engine, use_cases

    def describe(self) -> list[Metric]:
        """Nothing: so registration does not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the metrics from the database; none where it cannot be read."""
        try:
            yield from self._collected()
        except SQLAlchemyError as error:
            log.warning("monitoring cannot be read", error=type(error).__name__)

    def _collected(self) -> Iterator[Metric]:
        one, of_target, of_centre = ("use_case",), ("use_case", "target", "metric"), ("use_case", "centre")
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
        reports = GaugeMetricFamily(
            "vigie_outcomes_reported", "Outcomes that the newest run looked for the calls of.", labels=of_centre
        )
        unmatched = GaugeMetricFamily(
            "vigie_outcomes_without_call", "Of those, outcomes that found no call after a day.", labels=of_centre
        )
        success = GaugeMetricFamily(
            "vigie_monitor_last_success_timestamp_seconds", "When calls were last looked at.", labels=one
        )
        held_now = run_store.open_quarantines(self._engine)
        for use_case in self._use_cases:
            key = (use_case.name,)
            held.add_metric(key, held_now.get(use_case.name, 0))
            for run in run_store.recent_runs(self._engine, use_case.name, 1):
                share.add_metric(key, run.summary["drift"]["share"])
                verdict.add_metric(key, VERDICT_CODES[run.verdict])
                breached.add_metric(key, float(run.breached))
                success.add_metric(key, run.finished_at.timestamp())
                for entry in run.summary.get("reports", ()):
                    reports.add_metric((use_case.name, entry["centre"]), entry["reports"])
                    unmatched.add_metric((use_case.name, entry["centre"]), entry["unmatched"])
                for entry in _overall_entries(use_case, run.summary["quality"], run.model_version):
                    labels = (use_case.name, entry["target"], entry["metric"])
                    error.add_metric(labels, entry["value"])
                    if entry["reference"] is not None:
                        reference.add_metric(labels, entry["reference"])
        yield from (share, verdict, error, reference, breached, held, reports, unmatched, success)
        yield from self._done()

    def _done(self) -> Iterator[Metric]:
        for action, name, help_ in (
            (run_store.RETRAINING, "vigie_automatic_retrainings", "Retrainings that monitoring started."),
            (run_store.ROLLBACK, "vigie_automatic_rollbacks", "Rollbacks that monitoring had done."),
        ):
            counter = CounterMetricFamily(name, help_, labels=("use_case",))
            numbers = run_store.count_actions(self._engine, action)
            for use_case in self._use_cases:
                counter.add_metric((use_case.name,), numbers.get(use_case.name, 0))
            yield counter


def _overall_entries(use_case: UseCase, entries: Sequence[dict[str, Any]], version: str) -> list[dict[str, Any]]:
    """The entries over all calls of the champion, of the losses that limits are set for."""
    wanted = {(target.name, loss_name(target)) for target in use_case.modelling.targets}
    return [
        entry
        for entry in entries
        if (entry["target"], entry["metric"]) in wanted
        and entry["version"] == version
        and not _GROUPINGS & set(entry)
        and entry["value"] is not None
    ]
