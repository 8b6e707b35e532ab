"""The job ``monitor``: analyses a window of calls, reaches a verdict, acts on it and stores the run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from services.core import params
from services.core import use_case_registry as declared
from services.core.contract.use_case import UseCase
from services.core.database.connection import database_address, make_engine
from services.core.errors import VigieError
from services.core.headers import LIVE, SIMULATED
from services.core.jobs.job_process import JobContext, JobHandler
from services.core.jobs.options import MonitorOptions
from services.core.jobs.retraining import RetrainingLimits
from services.core.messages import Message, render
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.version import RegisteredVersion, Tag
from services.core.monitoring.drift_state import TOO_FEW, LabelQuarantineRow, MonitoringRunRow
from services.core.params import Monitoring
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT
from services.drift import actions, run_store
from services.drift.actions import NO_ACTION, ActionClient, GatewayClient, MonitoringAction
from services.drift.label_quality import find_suspect_sources
from services.drift.models import ModelVersions, holdout_reference
from services.drift.performance.comparison import compare_challenger, regressed_from_previous
from services.drift.performance.degradation import Degradation
from services.drift.performance.live_error import measure_live_error, measure_other_versions
from services.drift.reasons import Reason, unmatched_reasons
from services.drift.run_store import with_sentences
from services.drift.settings import DriftSettings
from services.drift.verdict import (
    DRIFTED,
    MonitoringResult,
    analyse_window,
    decide_verdict,
    new_run,
    run_summary,
)
from services.drift.window import LogReader, UnmatchedReports

log = structlog.get_logger(__name__)

_TRUST_AFTER_RELEASE = timedelta(days=30)


@dataclass(frozen=True)
class Monitor:
    """Everything that a monitoring run works with. ``home`` has the published context and takes the reports."""

    home: VigiePaths
    engine: Engine
    registry: ModelRegistry
    params: Monitoring
    client: ActionClient
    limits: RetrainingLimits

    def run(self, run_id: str, use_case_name: str, *, with_report: bool = True, act: bool = True) -> MonitoringRunRow:
        """Analyse the newest calls of a use case, act on the verdict and store the run.

        Args:
            run_id: id of the run to store.
            use_case_name: whose calls.
            with_report: whether to write Evidently's report.
            act: whether to start retrainings and rollbacks.

        Returns:
            The stored run; of verdict ``too_few`` where there is no champion or too few calls.

        Raises:
            VigieError: the registry does not answer, or the champion cannot be run by this code.
        """
        use_case, started = declared.get(use_case_name), datetime.now(UTC)
        with tempfile.TemporaryDirectory(prefix="vigie-monitor-") as folder:
            models = ModelVersions(use_case, self.registry, self.home, Path(folder))
            champion = models.champion()
            kinds = (LIVE, SIMULATED) if champion is not None and champion.simulated else (LIVE,)
            log_reader = LogReader(self.engine, use_case, kinds, self.params, started)
            window = pd.DataFrame() if champion is None else log_reader.window()
            run = new_run(run_id, use_case.name, started, champion, window)
            if champion is None or len(window) < self.params.minimum_calls:
                return self._without(run, len(window), champion, log_reader.unmatched())
            return self._judged(run, log_reader, models, champion, window, with_report=with_report, act=act)

    def _without(
        self, run: MonitoringRunRow, calls: int, champion: RegisteredVersion | None, unmatched: list[UnmatchedReports]
    ) -> MonitoringRunRow:
        """Store a run without a champion, or with too few calls: it has evaluated nothing."""
        message = (
            Message("monitoring.no_model")
            if champion is None
            else Message("monitoring.too_few_calls", {"calls": calls, "needed": self.params.minimum_calls})
        )
        run.verdict = TOO_FEW
        reasons = [Reason("too_few", message), *unmatched_reasons(unmatched)]
        look = MonitoringResult(unmatched=unmatched)
        run.summary = run_summary(run, look, reasons, NO_ACTION, calls=calls, outcomes=0)
        return self._kept(run)

    def _judged(
        self,
        run: MonitoringRunRow,
        log_reader: LogReader,
        models: ModelVersions,
        champion: RegisteredVersion,
        window: pd.DataFrame,
        *,
        with_report: bool,
        act: bool,
    ) -> MonitoringRunRow:
        use_case = log_reader.use_case
        predictor = models.predictor(champion)
        if predictor is None:
            raise VigieError(
                f"The champion of {use_case.name}, version {champion.number}, cannot be run by this code.",
                action="See the log; roll back or train again.",
            )
        frozen = holdout_reference(models, champion, predictor, window)
        reports, doubts = log_reader.reports(), []
        if len(reports):
            run.outcomes_until = reports["call_stored_at"].max().to_pydatetime()
            said = models.predict(predictor, reports)
            doubts = self._new_doubts(use_case, find_suspect_sources(use_case, reports, said.values, frozen))
        if doubts:
            run_store.quarantine_labels(self.engine, use_case.name, doubts, run.id)
            window = log_reader.window()
        prediction = models.predict(predictor, window)
        look = analyse_window(use_case, models, predictor, window, values=prediction.values, params=self.params)
        look.doubts, look.unmatched = doubts, log_reader.unmatched()
        measure_live_error(look, use_case, window, prediction, frozen=frozen, version=champion, params=self.params)
        measure_other_versions(look, use_case, window, models, champion=champion, params=self.params)
        compare_challenger(look, use_case, window, models, champion=champion, params=self.params)
        watch = regressed_from_previous(look, use_case, window, models, champion=champion, params=self.params)
        earlier = run_store.recent_runs(self.engine, use_case.name, 60)
        verdict, reasons = decide_verdict(run, use_case, window, look, earlier=earlier, params=self.params)
        run.verdict, run.breached = verdict, look.findings.breached
        run.inputs_drifted = look.share >= self.params.drifted_share
        action = NO_ACTION
        if watch is not None:
            reasons.insert(0, watch)
            run.verdict = DRIFTED
            old = int(champion.tags[Tag.FOLLOWS])
            if act:
                action = actions.start_rollback(self.client, use_case.name, champion.number, old, watch.message)
        elif verdict == DRIFTED:
            action = self._retrain(run, use_case, window, look=look, reasons=reasons, act=act)
        run.action = action.kind
        if with_report and look.samples is not None:
            run.report = run_store.write_report(self.home, use_case.name, run.id, *look.samples)
        outcomes = int(window[[target.label for target in use_case.modelling.targets]].notna().any(axis=1).sum())
        calls = int(window["call_repeats"].sum())
        run.summary = run_summary(run, look, reasons, action, calls=calls, outcomes=outcomes)
        return self._kept(run)

    def _new_doubts(self, use_case: UseCase, found: Sequence[Any]) -> list[Any]:
        """Without those that a person has lifted."""
        since = datetime.now(UTC) - _TRUST_AFTER_RELEASE
        query = select(LabelQuarantineRow.centre).where(
            LabelQuarantineRow.use_case == use_case.name, LabelQuarantineRow.lifted_at > since
        )
        with Session(self.engine) as session:
            trusted = set(session.scalars(query))
        return [doubt for doubt in found if doubt.centre not in trusted]

    def _retrain(
        self,
        run: MonitoringRunRow,
        use_case: UseCase,
        window: pd.DataFrame,
        *,
        look: MonitoringResult,
        reasons: Sequence[Reason],
        act: bool,
    ) -> MonitoringAction:
        """Record the concept drift for training, then start a retraining."""
        findings = look.findings
        breached = findings.segments if findings.localised else findings.overall
        moments = [breach.since for breach in breached if breach.since is not None]
        since = window["event_time"].min() if not moments else pd.Timestamp(int(min(moments)), unit="s", tz="UTC")
        if findings.breached:
            segments = self._segments(use_case, window, look, findings.segments) if findings.localised else []
            run_store.record_concept_drift(self.engine, use_case.name, since.to_pydatetime(), segments, run.id)
        labels = [target.label for target in use_case.modelling.targets]
        learnable = int((window[labels].notna().any(axis=1) & (window["event_time"] >= since)).sum())
        if not act:
            return NO_ACTION
        because = " ".join(render(reason.message, "en") for reason in reasons[:3])
        return actions.start_retraining(
            self.engine, self.client, run, reasons=because, learnable=learnable, limits=self.limits
        )

    def _segments(
        self, use_case: UseCase, window: pd.DataFrame, look: MonitoringResult, found: Sequence[Degradation]
    ) -> list[dict[str, Any]]:
        """The breached segments as training understands them: by a column of examples, else by a bounding box."""
        of_examples = {
            *use_case.serving.request.model_fields,
            *(group.column for group in use_case.modelling.subgroups),
        }
        made = []
        for breach in found:
            assert breach.segment is not None
            column, value = breach.segment.column, breach.segment.value
            rows = np.asarray(look.groups[column] == value, dtype=np.bool_)
            place = {} if column in of_examples else _bounding_box(use_case, window, rows)
            made.append({"column": column, "value": value, "box": place})
        return made

    def _kept(self, run: MonitoringRunRow) -> MonitoringRunRow:
        old = run_store.save_run(self.engine, run, self.params.reports_kept)
        run_store.remove_reports(self.home, run.use_case, old)
        log.info("calls looked at", use_case=run.use_case, verdict=run.verdict, action=run.action, run=run.id)
        return run


def _bounding_box(use_case: UseCase, frame: pd.DataFrame, rows: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Where the rows lie: field -> [low, high], of the fields that the use case declares as places.

    Args:
        use_case: declares which fields are places.
        frame: n calls of the window.
        rows: which of them (n,), bool.

    Returns:
        The 2nd and 98th percentile of each field, in the field's unit.
    """
    found = {}
    for name, step in use_case.serving.pii_fields.items():
        if step is None or name not in frame or not pd.api.types.is_numeric_dtype(frame[name]):
            continue
        values = frame.loc[rows, name].dropna()
        if len(values) >= max(10, rows.sum() / 2):
            found[name] = [float(values.quantile(0.02)), float(values.quantile(0.98))]
    return found


def retraining_limits(
    params: Monitoring, *, daily: int | None = None, cooldown_hours: float | None = None
) -> RetrainingLimits:
    """The limits of automatic retrainings in ``params.yaml``, or the settings' values (``daily``, hours) instead."""
    made = RetrainingLimits(params.cooldown_hours, params.daily_retrainings, params.retraining_outcomes)
    if daily is not None:
        made = replace(made, daily=daily)
    return made if cooldown_hours is None else replace(made, cooldown_hours=cooldown_hours)


def monitor(task: JobContext) -> Mapping[str, Any]:
    """Run the job: monitor the use case's calls.

    Args:
        task: id, use case, options and folders of the job.

    Returns:
        The run's summary without its long lists.

    Raises:
        VigieError: the registry does not answer, or the champion cannot be run by this code.
    """
    options: MonitorOptions = task.options
    settings = DriftSettings()
    chosen = params.load_params(CHECKOUT).monitoring
    engine = make_engine(database_address(settings.database_url, settings.home))
    try:
        made = Monitor(
            home=task.home,
            engine=engine,
            registry=ModelRegistry.open(task.home),
            params=chosen,
            client=GatewayClient(settings),
            limits=retraining_limits(
                chosen, daily=settings.drift_daily_retrainings, cooldown_hours=settings.drift_cooldown_hours
            ),
        ).run(task.id, task.use_case, with_report=options.report, act=options.act)
    finally:
        engine.dispose()
    summary = with_sentences(made.summary)
    task.progress(f"monitor: {made.verdict}")
    return {
        **{name: summary[name] for name in ("id", "verdict", "window", "model_version", "action")},
        "reasons": summary["reasons"][:10],
        "share": summary["drift"]["share"],
    }


JOBS: Mapping[str, JobHandler] = {"monitor": monitor}
