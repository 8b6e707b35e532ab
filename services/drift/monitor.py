"""The job ``monitor``: look, judge, act, and write down what was seen and done."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from services.core.calls.kinds import LIVE, SIMULATED
from services.core.errors import VigieError
from services.core.home import Home
from services.core.monitoring.findings import holds
from services.core.monitoring.tables import MonitoringRun, OutcomeHold
from services.core.params import Monitoring
from services.core.registry.client import Registry
from services.core.registry.version import Tag, Version
from services.core.usecases import registry as declared
from services.core.usecases.contract import Text, UseCase
from services.drift import actions, history, report
from services.drift.actions import NOTHING, Action, Desk, Limits
from services.drift.breaches import Breach
from services.drift.calls import read_window
from services.drift.doubts import doubtful
from services.drift.frozen import frozen_of
from services.drift.live_error import error_of, other_versions
from services.drift.look import Look, drift_of
from services.drift.models import Models
from services.drift.segments import box
from services.drift.shadow import challenged, worse_than_before
from services.drift.summary import begun, summary_of
from services.drift.verdict import DRIFTED, TOO_FEW, verdict_of
from services.drift.wording import Reason

log = structlog.get_logger(__name__)

_TRUST_AFTER_LIFT = timedelta(days=30)


@dataclass(frozen=True)
class Monitor:
    """What a run works with. ``home`` has the published context and takes the reports."""

    home: Home
    engine: Engine
    registry: Registry
    params: Monitoring
    desk: Desk
    limits: Limits

    def run(self, run_id: str, use_case_name: str, *, with_report: bool = True, act: bool = True) -> MonitoringRun:
        """
        Raises:
            VigieError: the registry cannot be asked, or the champion cannot be run by this code.
        """
        use_case, started = declared.get(use_case_name), datetime.now(UTC)
        with tempfile.TemporaryDirectory(prefix="vigie-monitor-") as folder:
            models = Models(use_case, self.registry, self.home, Path(folder))
            champion = models.champion()
            window = pd.DataFrame() if champion is None else self._window(use_case, champion)
            run = begun(run_id, use_case.name, started, champion, window)
            if champion is None or len(window) < self.params.minimum_calls:
                return self._without(run, len(window), champion)
            return self._judged(run, use_case, models, champion, window, with_report=with_report, act=act)

    # --- inside -------------------------------------------------------------------------------------

    def _window(self, use_case: UseCase, champion: Version) -> pd.DataFrame:
        kinds = (LIVE, SIMULATED) if champion.simulated else (LIVE,)
        with self.engine.connect() as connection:
            held = holds(connection, use_case.name)
            return read_window(
                connection,
                use_case,
                kinds,
                days=self.params.window_days,
                maximum=self.params.maximum_calls,
                held=held,
            )

    def _without(self, run: MonitoringRun, calls: int, champion: Version | None) -> MonitoringRun:
        """Nothing can be said."""
        needed = self.params.minimum_calls
        text = (
            Text("No model serves yet.", "Aucun modèle n'est encore en service.")
            if champion is None
            else Text(
                f"{calls} calls in the window are too few; {needed} are needed.",
                f"{calls} appels dans la fenêtre ne suffisent pas ; il en faut {needed}.",
            )
        )
        run.verdict = TOO_FEW
        run.summary = summary_of(run, Look(), [Reason("too_few", text)], NOTHING, calls=calls, outcomes=0)
        return self._kept(run)

    def _judged(
        self,
        run: MonitoringRun,
        use_case: UseCase,
        models: Models,
        champion: Version,
        window: pd.DataFrame,
        *,
        with_report: bool,
        act: bool,
    ) -> MonitoringRun:
        predictor = models.predictor(champion)
        if predictor is None:
            raise VigieError(
                f"The champion of {use_case.name}, version {champion.number}, cannot be run by this code.",
                action="See the log; roll back or train again.",
            )
        frozen = frozen_of(models, champion, predictor, window)
        prediction = models.predict(predictor, window)
        doubts = self._new_doubts(use_case, doubtful(use_case, window, prediction.values, frozen))
        if doubts:
            history.hold(self.engine, use_case.name, doubts, run.id)
            window = self._window(use_case, champion)
            prediction = models.predict(predictor, window)
        look = drift_of(use_case, models, predictor, window, values=prediction.values, params=self.params)
        look.doubts = doubts
        error_of(look, use_case, window, prediction, frozen=frozen, version=champion, params=self.params)
        other_versions(look, use_case, window, models, champion=champion, params=self.params)
        challenged(look, use_case, window, models, champion=champion, params=self.params)
        watch = worse_than_before(look, use_case, window, models, champion=champion, params=self.params)
        earlier = history.before(self.engine, use_case.name, 60)
        verdict, reasons = verdict_of(run, use_case, window, look, earlier=earlier, params=self.params)
        run.verdict, run.breached = verdict, look.findings.breached
        run.inputs_drifted = look.share >= self.params.drifted_share
        action = NOTHING
        if watch is not None:
            reasons.insert(0, Reason("worse_than_before", watch.text))
            run.verdict = DRIFTED
            old = int(champion.tags[Tag.FOLLOWS])
            if act:
                action = actions.rollback(self.desk, use_case.name, champion.number, old, watch.text)
        elif verdict == DRIFTED:
            action = self._retrain(run, use_case, window, look=look, reasons=reasons, act=act)
        run.action = action.kind
        if with_report and look.samples is not None:
            run.report = report.write(self.home, use_case.name, run.id, *look.samples)
        outcomes = int(window[[target.label for target in use_case.targets]].notna().any(axis=1).sum())
        calls = int(window["call_repeats"].sum())
        run.summary = summary_of(run, look, reasons, action, calls=calls, outcomes=outcomes)
        return self._kept(run)

    def _new_doubts(self, use_case: UseCase, found: Sequence[Any]) -> list[Any]:
        """Without those that a person has lifted."""
        since = datetime.now(UTC) - _TRUST_AFTER_LIFT
        query = select(OutcomeHold.centre).where(OutcomeHold.use_case == use_case.name, OutcomeHold.lifted_at > since)
        with Session(self.engine) as session:
            trusted = set(session.scalars(query))
        return [doubt for doubt in found if doubt.centre not in trusted]

    def _retrain(
        self,
        run: MonitoringRun,
        use_case: UseCase,
        window: pd.DataFrame,
        *,
        look: Look,
        reasons: Sequence[Reason],
        act: bool,
    ) -> Action:
        """Note the change for training, then ask for a retraining."""
        findings = look.findings
        breached = findings.segments if findings.localised else findings.overall
        moments = [breach.since for breach in breached if breach.since is not None]
        since = window["event_time"].min() if not moments else pd.Timestamp(int(min(moments)), unit="s", tz="UTC")
        if findings.breached:
            segments = self._segments(use_case, window, look, findings.segments) if findings.localised else []
            history.note_change(self.engine, use_case.name, since.to_pydatetime(), segments, run.id)
        labels = [target.label for target in use_case.targets]
        learnable = int((window[labels].notna().any(axis=1) & (window["event_time"] >= since)).sum())
        if not act:
            return NOTHING
        told = " ".join(reason.text.en for reason in reasons[:3])
        return actions.retraining(self.engine, self.desk, run, reasons=told, learnable=learnable, limits=self.limits)

    def _segments(
        self, use_case: UseCase, window: pd.DataFrame, look: Look, found: Sequence[Breach]
    ) -> list[dict[str, Any]]:
        """The breached segments as training understands them: by a column of examples, else by their place."""
        of_examples = {*use_case.request.model_fields, *(group.column for group in use_case.subgroups)}
        made = []
        for breach in found:
            assert breach.segment is not None
            column, value = breach.segment.column, breach.segment.value
            rows = np.asarray(look.groups[column] == value, dtype=np.bool_)
            place = {} if column in of_examples else box(use_case, window, rows)
            made.append({"column": column, "value": value, "box": place})
        return made

    def _kept(self, run: MonitoringRun) -> MonitoringRun:
        old = history.keep(self.engine, run, self.params.reports_kept)
        report.remove(self.home, run.use_case, old)
        log.info("calls looked at", use_case=run.use_case, verdict=run.verdict, action=run.action, run=run.id)
        return run


def limits_of(params: Monitoring, *, daily: int | None = None, cooldown_hours: float | None = None) -> Limits:
    """The limits in ``params.yaml``, or what the settings say instead."""
    made = Limits(params.cooldown_hours, params.daily_retrainings, params.retraining_outcomes)
    if daily is not None:
        made = replace(made, daily=daily)
    return made if cooldown_hours is None else replace(made, cooldown_hours=cooldown_hours)
