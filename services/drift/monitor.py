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
from services.core.registry.version import Version
from services.core.usecases import registry as declared
from services.core.usecases.contract import Text, UseCase
from services.drift import actions, history, report
from services.drift.actions import NOTHING, Action, Desk, Limits
from services.drift.breaches import Breach
from services.drift.calls import read_window
from services.drift.look import Look, doubtful, drift_of, duel_of, error_of, frozen_of, other_versions
from services.drift.models import Models
from services.drift.segments import box
from services.drift.wording import (
    Reason,
    column_reason,
    effect_on_error,
    error_reason,
    estimate_reason,
    volume_reason,
)

log = structlog.get_logger(__name__)

STABLE, WATCH, DRIFTED, TOO_FEW = "stable", "watch", "drifted", "too_few"
_OTHER_TARGETS = 3.0
"""A target that does not decide has to be so many times the limit worse to bring a model down."""
_VOLUME = 3.0
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
            run = _blank(run_id, use_case.name, started, champion, window)
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
        run.summary = _summary(run, Look(), [Reason("too_few", text)], NOTHING, calls=calls, outcomes=0)
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
        watch = self._new_champion(use_case, models, champion, window, look)
        verdict, reasons = self._verdict(run, use_case, window, look)
        run.verdict, run.breached = verdict, look.findings.breached
        run.inputs_drifted = look.share >= self.params.drifted_share
        action = NOTHING
        if watch is not None:
            reasons.insert(0, Reason("worse_than_before", watch.text))
            run.verdict = DRIFTED
            old = int(champion.tags["follows"])
            if act:
                action = actions.rollback(self.desk, use_case.name, champion.number, old, watch.text)
        elif verdict == DRIFTED:
            action = self._retrain(run, use_case, window, look=look, reasons=reasons, act=act)
        run.action = action.kind
        if with_report and look.samples is not None:
            run.report = report.write(self.home, use_case.name, run.id, *look.samples)
        outcomes = int(window[[target.label for target in use_case.targets]].notna().any(axis=1).sum())
        run.summary = _summary(run, look, reasons, action, calls=len(window), outcomes=outcomes)
        return self._kept(run)

    def _new_doubts(self, use_case: UseCase, found: Sequence[Any]) -> list[Any]:
        """Without those that a person has lifted."""
        since = datetime.now(UTC) - _TRUST_AFTER_LIFT
        query = select(OutcomeHold.centre).where(OutcomeHold.use_case == use_case.name, OutcomeHold.lifted_at > since)
        with Session(self.engine) as session:
            trusted = set(session.scalars(query))
        return [doubt for doubt in found if doubt.centre not in trusted]

    def _new_champion(
        self, use_case: UseCase, models: Models, champion: Version, window: pd.DataFrame, look: Look
    ) -> Reason | None:
        """Fill in the comparisons of versions on the same calls; why the new champion should go, if it should."""
        challenger = models.challenger()
        if challenger is not None:
            fresh = window[window["call_received_at"] > pd.Timestamp(challenger.created)]
            duel = duel_of(use_case, models, fresh, new=challenger, old=champion, params=self.params)
            look.shadow["challenger"] = {"version": challenger.number, "targets": duel}
        promoted, old = champion.tags.get("promoted", ""), models.before(champion)
        if old is None or not promoted or champion.tags.get("rolled_back") or old.tags.get("rolled_back"):
            return None
        since = pd.Timestamp(promoted)
        if since < pd.Timestamp(datetime.now(UTC) - timedelta(days=self.params.watch_days)):
            return None
        mine = (window["call_received_at"] > since) & (window["call_version"] == str(champion.number))
        duel = duel_of(use_case, models, window[mine], new=champion, old=old, params=self.params)
        look.shadow["previous"] = {"version": old.number, "since": since.isoformat(), "targets": duel}
        for place, entry in enumerate(duel):
            limit = self.params.rollback_limit * (1.0 if place == 0 else _OTHER_TARGETS)
            enough = entry["count"] >= self.params.minimum_outcomes
            if enough and entry["high"] < 0 and entry["new"] > entry["old"] * (1 + limit):
                title = use_case.target(entry["target"]).title
                return Reason(
                    "worse_than_before",
                    Text(
                        f"On the same {entry['count']} calls its {entry['metric']} of '{title.en}' is "
                        f"{entry['new']:.4g}, that of version {old.number} before it {entry['old']:.4g}.",
                        f"Sur les mêmes {entry['count']} appels, son {entry['metric']} de « {title.fr} » est de "
                        f"{entry['new']:.4g}, celui de la version {old.number} précédente de {entry['old']:.4g}.",
                    ),
                )
        return None

    def _verdict(
        self, run: MonitoringRun, use_case: UseCase, window: pd.DataFrame, look: Look
    ) -> tuple[str, list[Reason]]:
        params, findings = self.params, look.findings
        newest = window["event_time"].max().timestamp()
        oldest = window["event_time"].min().timestamp()

        def lasting(breach: Breach) -> bool:
            return newest - (breach.since or oldest) >= params.breach_hours * 3_600

        named = [*findings.segments, *findings.overall]
        reasons = [error_reason(use_case, breach, lasting=lasting(breach)) for breach in named]
        drifted = sorted((c for c in look.columns if c.drifted), key=lambda c: (-c.importance, -c.value))
        effect = effect_on_error(look.judged >= params.minimum_outcomes, findings.breached)
        earlier = history.before(self.engine, use_case.name, 60)
        since = _first_seen(earlier, [column.name for column in drifted])
        reasons += [column_reason(use_case, column, since.get(column.name), effect) for column in drifted]
        reasons += [Reason(f"outcomes_{doubt.code}", doubt.reason, area=doubt.centre) for doubt in look.doubts]
        reasons += _estimated(use_case, look, params)
        reasons += _volume(window)
        shares = look.share >= params.drifted_share
        errors = any(lasting(breach) for breach in named)
        if errors and self._confirmed(run, earlier, "breached"):
            return DRIFTED, reasons
        if shares and self._confirmed(run, earlier, "inputs_drifted"):
            return DRIFTED, reasons
        usual = _left_out_before(earlier)
        telling = [reason for reason in reasons if reason.code != "input_missing" or reason.column not in usual]
        return (WATCH if telling else STABLE), reasons

    def _confirmed(self, run: MonitoringRun, earlier: Sequence[MonitoringRun], sign: str) -> bool:
        """Whether the runs before said so too: those that saw older calls, as the same calls confirm nothing."""
        needed = self.params.confirmations - 1
        other = [item for item in earlier if item.model_version == run.model_version and _newer(run, item)]
        return len(other) >= needed and all(getattr(item, sign) for item in other[:needed])

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


def _blank(
    run_id: str, use_case: str, started: datetime, champion: Version | None, window: pd.DataFrame
) -> MonitoringRun:
    reported = window["call_reported_at"].max() if len(window) else None
    return MonitoringRun(
        id=run_id,
        use_case=use_case,
        started_at=started,
        finished_at=started,
        window_to=window["event_time"].max().to_pydatetime() if len(window) else None,
        outcomes_until=None if reported is None or pd.isna(reported) else reported.to_pydatetime(),
        model_version="" if champion is None else str(champion.number),
        verdict=TOO_FEW,
        breached=False,
        inputs_drifted=False,
        action=history.NONE,
        report=False,
        summary={"from": window["event_time"].min().isoformat() if len(window) else None},
    )


def _summary(
    run: MonitoringRun, look: Look, reasons: Sequence[Reason], action: Action, *, calls: int, outcomes: int
) -> dict[str, Any]:
    """What people and programs read of the run; sets when it ended."""
    run.finished_at = datetime.now(UTC)
    return {
        "id": run.id,
        "use_case": run.use_case,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat(),
        "window": {
            "from": (run.summary or {}).get("from"),
            "to": None if run.window_to is None else run.window_to.isoformat(),
            "calls": calls,
            "outcomes": outcomes,
            "season_known": look.season_known,
        },
        "model_version": run.model_version,
        "verdict": run.verdict,
        "reasons": [reason.as_json() for reason in reasons],
        "action": action.as_json(),
        "drift": {"share": round(look.share, 4), "columns": [column.as_json() for column in look.columns]},
        "quality": look.quality,
        "judged": look.judged,
        "estimate": {"targets": look.estimates},
        "shadow": look.shadow,
        "report": run.report,
    }


def _newer(run: MonitoringRun, other: MonitoringRun) -> bool:
    """Whether ``run`` saw later calls than ``other``, or outcomes that came later."""
    if run.window_to is not None and other.window_to is not None and run.window_to > other.window_to:
        return True
    mine, its = run.outcomes_until, other.outcomes_until
    return mine is not None and its is not None and mine > its


def _left_out_before(earlier: Sequence[MonitoringRun]) -> set[str]:
    """Columns that callers left out in the oldest of these looks already: their habit, and no news."""
    told = [item for item in earlier if item.verdict != TOO_FEW]
    return (
        {reason["column"] for reason in told[-1].summary["reasons"] if reason["code"] == "input_missing"}
        if told
        else set()
    )


def _first_seen(earlier: Sequence[MonitoringRun], names: Sequence[str]) -> dict[str, datetime]:
    """Column -> the window's end of the first run in the unbroken row of runs that saw it drifted."""
    found: dict[str, datetime] = {}
    left = set(names)
    for item in earlier:
        seen = {column["name"] for column in item.summary.get("drift", {}).get("columns", ()) if column["drifted"]}
        left &= seen
        if item.window_to is not None:
            found |= dict.fromkeys(left, item.window_to)
        if not left:
            break
    return found


def _estimated(use_case: UseCase, look: Look, params: Monitoring) -> list[Reason]:
    made = []
    for entry in look.estimates:
        value, reference = entry["value"], entry["reference"]
        if entry["count"] < params.minimum_outcomes or value is None or not reference:
            continue
        if value > reference * (1 + params.error_limit):
            made.append(estimate_reason(use_case, entry["target"], value, reference))
    return made


def _volume(window: pd.DataFrame) -> list[Reason]:
    """Whether the last day has far more or fewer calls than those before it."""
    times = window["event_time"]
    day = pd.Timedelta(days=1)
    recent = int((times > times.max() - day).sum())
    days = (times.max() - day - times.min()) / day
    if days < 3:
        return []
    usual = (len(times) - recent) / days
    far = recent > _VOLUME * usual + 5 * usual**0.5 or recent < usual / _VOLUME - 5 * usual**0.5 / _VOLUME
    return [volume_reason(recent, usual)] if far and usual >= 10 else []
