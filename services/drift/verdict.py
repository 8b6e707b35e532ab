"""Analyses the drift of a window of calls, decides the verdict with its reasons, and builds the stored summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.bundle.predictor import Predictor
from services.core.contract.columns import column_types
from services.core.contract.use_case import TargetPrediction, UseCase
from services.core.model_registry.version import RegisteredVersion
from services.core.monitoring.drift_state import TOO_FEW, MonitoringRunRow
from services.core.params import Monitoring
from services.drift import run_store
from services.drift.actions import MonitoringAction
from services.drift.column_drift import (
    MIN_VALUES,
    Column,
    ColumnDrift,
    Kind,
    column_values,
    compare_columns,
    drifted_share,
    request_columns,
)
from services.drift.label_quality import SuspectLabels
from services.drift.models import ModelVersions
from services.drift.performance.degradation import Degradation, Degradations
from services.drift.reasons import (
    DRIFT_FEATURE_PREFIX,
    OUTPUT_PREFIX,
    Reason,
    column_reason,
    effect_on_error,
    error_reason,
    estimate_reason,
    unmatched_reasons,
    volume_reason,
)
from services.drift.statistics import point_prediction
from services.drift.window import UnmatchedReports, drift_features_of


@dataclass
class MonitoringResult:
    """What a run measured. ``findings`` and ``quality`` concern the champion's own predictions; empty where too few."""

    columns: list[ColumnDrift] = field(default_factory=list)
    share: float = 0.0
    season_known: bool = True
    findings: Degradations = field(default_factory=Degradations)
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Column -> the group of each call of the window."""
    judged: int = 0
    """Calls answered by the champion whose outcome is known."""
    quality: list[dict[str, Any]] = field(default_factory=list)
    estimates: list[dict[str, Any]] = field(default_factory=list)
    shadow: dict[str, Any] = field(default_factory=dict)
    doubts: list[SuspectLabels] = field(default_factory=list)
    unmatched: list[UnmatchedReports] = field(default_factory=list)
    samples: tuple[pd.DataFrame, pd.DataFrame] | None = None
    """Reference and current columns, for the report."""


def analyse_window(
    use_case: UseCase,
    models: ModelVersions,
    predictor: Predictor,
    window: pd.DataFrame,
    *,
    values: Mapping[str, TargetPrediction],
    params: Monitoring,
) -> MonitoringResult:
    """Drift of inputs, predictions and derived features of the window (m calls) from the reference sample (n rows)."""
    reference = models.reference(predictor)
    importance = _importance(predictor)
    columns = request_columns(use_case.serving.request, reference, window, importance)
    for target in use_case.modelling.targets:
        name = f"{OUTPUT_PREFIX}{target.name}"
        if name in reference:
            shape: Kind = "words" if hasattr(target.output, "labels") else "number"
            said = pd.Series(point_prediction(values[target.name]))
            columns.append(Column(name, shape, column_values(reference[name], shape), column_values(said, shape)))
    unlearned = _unseen_row_weights(reference)
    for name, kept in drift_features_of(window).items():
        if f"{DRIFT_FEATURE_PREFIX}{name}" in reference:
            theirs = reference[f"{DRIFT_FEATURE_PREFIX}{name}"]
            shape = "number" if pd.api.types.is_numeric_dtype(theirs) else "words"
            columns.append(
                Column(
                    f"{DRIFT_FEATURE_PREFIX}{name}",
                    shape,
                    column_values(theirs, shape),
                    column_values(pd.Series(kept), shape),
                    counts=unlearned,
                )
            )
    times = reference[use_case.serving.time_field] if use_case.serving.time_field is not None else None
    found, season = compare_columns(columns, times, window["event_time"], params, use_case.data.timezone or "UTC")
    samples = (
        pd.DataFrame({column.name: column.reference for column in columns}),
        pd.DataFrame({column.name: column.current for column in columns}),
    )
    inputs = [column for column in found if not column.name.startswith(OUTPUT_PREFIX)]
    return MonitoringResult(columns=found, share=drifted_share(inputs), season_known=season, samples=samples)


def _unseen_row_weights(reference: pd.DataFrame) -> NDArray[np.float64] | None:
    """Weights (n,) of rows outside the training data alone, where enough: of training rows every word is known."""
    rows = np.asarray(reference["slice"] == "calibrate", dtype=np.float64)
    return rows if rows.sum() >= MIN_VALUES else None


def _importance(predictor: Predictor) -> dict[str, float]:
    """Field -> its share of the first target's gain."""
    path = predictor.folder / "importance.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {
        str(name): float(share) for name, share in content.get(predictor.use_case.modelling.targets[0].name, {}).items()
    }


STABLE, WATCH, DRIFTED = "stable", "watch", "drifted"
_VOLUME_FACTOR = 3.0


def decide_verdict(
    run: MonitoringRunRow,
    use_case: UseCase,
    window: pd.DataFrame,
    look: MonitoringResult,
    *,
    earlier: Sequence[MonitoringRunRow],
    params: Monitoring,
) -> tuple[str, list[Reason]]:
    """Decide the verdict of a run from its measurements and the ``earlier`` runs, newest first.

    Returns:
        ``stable``, ``watch`` or ``drifted``, and the reasons, errors before inputs.
    """
    findings = look.findings
    newest, oldest = (moment.timestamp() for moment in (window["event_time"].max(), window["event_time"].min()))

    def lasting(breach: Degradation) -> bool:
        return newest - (breach.since or oldest) >= params.breach_hours * 3_600

    named = [*findings.segments, *findings.overall]
    reasons = [error_reason(use_case, breach, lasting=lasting(breach)) for breach in named]
    drifted = sorted((c for c in look.columns if c.drifted), key=lambda c: (-c.importance, -c.value))
    effect = effect_on_error(look.judged >= params.minimum_outcomes, findings.breached)
    since = _first_seen(earlier, [column.name for column in drifted])
    reasons += [column_reason(use_case, column, since.get(column.name), effect) for column in drifted]
    reasons += [Reason(f"outcomes_{doubt.code}", doubt.reason, area=doubt.centre) for doubt in look.doubts]
    reasons += unmatched_reasons(look.unmatched)
    reasons += _estimate_reasons(use_case, look, params)
    reasons += _volume_reasons(_complete_days(use_case, window))
    shares, errors = look.share >= params.drifted_share, any(lasting(breach) for breach in named)
    if any(_confirmed(run, earlier, sign, params) for sign in ["breached"] * errors + ["inputs_drifted"] * shares):
        return DRIFTED, reasons
    usual = _usually_missing(earlier)
    telling = [reason for reason in reasons if reason.code != "input_missing" or reason.column not in usual]
    return (WATCH if telling else STABLE), reasons


def _confirmed(run: MonitoringRunRow, earlier: Sequence[MonitoringRunRow], sign: str, params: Monitoring) -> bool:
    """Whether the runs before had this sign too: those that saw older calls, as the same calls confirm nothing."""
    needed = params.confirmations - 1
    other = [item for item in earlier if item.model_version == run.model_version and _saw_newer_calls(run, item)]
    return len(other) >= needed and all(getattr(item, sign) for item in other[:needed])


def _saw_newer_calls(run: MonitoringRunRow, other: MonitoringRunRow) -> bool:
    """Whether ``run`` saw later calls than ``other``, or outcomes that came later."""
    if run.window_to is not None and other.window_to is not None and run.window_to > other.window_to:
        return True
    mine, its = run.outcomes_until, other.outcomes_until
    return mine is not None and its is not None and mine > its


def _usually_missing(earlier: Sequence[MonitoringRunRow]) -> set[str]:
    """Columns that callers omitted in the oldest of these runs already: their habit, and no news."""
    told = [item for item in earlier if item.verdict != TOO_FEW]
    return (
        {reason["column"] for reason in told[-1].summary["reasons"] if reason["code"] == "input_missing"}
        if told
        else set()
    )


def _first_seen(earlier: Sequence[MonitoringRunRow], names: Sequence[str]) -> dict[str, datetime]:
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


def _estimate_reasons(use_case: UseCase, look: MonitoringResult, params: Monitoring) -> list[Reason]:
    made = []
    for entry in look.estimates:
        value, reference = entry["value"], entry["reference"]
        if entry["count"] < params.minimum_outcomes or value is None or not reference:
            continue
        if entry["surely_above"] and value > reference * (1 + params.error_limit):
            made.append(estimate_reason(use_case, entry["target"], value, reference))
    return made


def _complete_days(use_case: UseCase, window: pd.DataFrame) -> pd.DataFrame:
    """Where a call's time is a day, the newest one is not over yet."""
    if column_types(use_case.serving.request).get(use_case.serving.time_field or "") != "date":
        return window
    return window[window["event_time"] < window["event_time"].max()]


def _volume_reasons(window: pd.DataFrame) -> list[Reason]:
    """Whether the last day has far more or fewer calls than those before it."""
    times, calls = window["event_time"], window["call_repeats"]
    day = pd.Timedelta(days=1)
    recent = int(calls[times > times.max() - day].sum())
    days = (times.max() - day - times.min()) / day
    if not days >= 3:  # nor where there are no calls
        return []
    usual = (int(calls.sum()) - recent) / days
    far = (
        recent > _VOLUME_FACTOR * usual + 5 * usual**0.5
        or recent < usual / _VOLUME_FACTOR - 5 * usual**0.5 / _VOLUME_FACTOR
    )
    return [volume_reason(recent, usual)] if far and usual >= 10 else []


def new_run(
    run_id: str, use_case: str, started: datetime, champion: RegisteredVersion | None, window: pd.DataFrame
) -> MonitoringRunRow:
    """A run of the window without a verdict yet (``too_few``), that has evaluated no outcomes."""
    return MonitoringRunRow(
        id=run_id,
        use_case=use_case,
        started_at=started,
        finished_at=started,
        window_to=window["event_time"].max().to_pydatetime() if len(window) else None,
        outcomes_until=None,
        model_version="" if champion is None else str(champion.number),
        verdict=TOO_FEW,
        breached=False,
        inputs_drifted=False,
        action=run_store.NONE,
        report=False,
        summary={"from": window["event_time"].min().isoformat() if len(window) else None},
    )


def run_summary(
    run: MonitoringRunRow,
    look: MonitoringResult,
    reasons: Sequence[Reason],
    action: MonitoringAction,
    *,
    calls: int,
    outcomes: int,
) -> dict[str, Any]:
    """The summary that people and programs read; also sets when the run ended."""
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
        "reports": [entry._asdict() for entry in look.unmatched],
        "report": run.report,
    }
