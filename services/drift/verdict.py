"""The verdict on a look, and its reasons: what was found now, and whether the runs before found it too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from services.core.monitoring.tables import MonitoringRun
from services.core.params import Monitoring
from services.core.usecases.columns import kinds
from services.core.usecases.contract import UseCase
from services.drift.breaches import Breach
from services.drift.look import Look
from services.drift.wording import (
    Reason,
    column_reason,
    effect_on_error,
    error_reason,
    estimate_reason,
    volume_reason,
)

STABLE, WATCH, DRIFTED, TOO_FEW = "stable", "watch", "drifted", "too_few"
_VOLUME = 3.0


def verdict_of(
    run: MonitoringRun,
    use_case: UseCase,
    window: pd.DataFrame,
    look: Look,
    *,
    earlier: Sequence[MonitoringRun],
    params: Monitoring,
) -> tuple[str, list[Reason]]:
    """``earlier`` are the runs before, newest first."""
    findings = look.findings
    newest = window["event_time"].max().timestamp()
    oldest = window["event_time"].min().timestamp()

    def lasting(breach: Breach) -> bool:
        return newest - (breach.since or oldest) >= params.breach_hours * 3_600

    named = [*findings.segments, *findings.overall]
    reasons = [error_reason(use_case, breach, lasting=lasting(breach)) for breach in named]
    drifted = sorted((c for c in look.columns if c.drifted), key=lambda c: (-c.importance, -c.value))
    effect = effect_on_error(look.judged >= params.minimum_outcomes, findings.breached)
    since = _first_seen(earlier, [column.name for column in drifted])
    reasons += [column_reason(use_case, column, since.get(column.name), effect) for column in drifted]
    reasons += [Reason(f"outcomes_{doubt.code}", doubt.reason, area=doubt.centre) for doubt in look.doubts]
    reasons += _estimated(use_case, look, params)
    reasons += _volume(_whole_days(use_case, window))
    shares = look.share >= params.drifted_share
    errors = any(lasting(breach) for breach in named)
    if errors and _confirmed(run, earlier, "breached", params):
        return DRIFTED, reasons
    if shares and _confirmed(run, earlier, "inputs_drifted", params):
        return DRIFTED, reasons
    usual = _left_out_before(earlier)
    telling = [reason for reason in reasons if reason.code != "input_missing" or reason.column not in usual]
    return (WATCH if telling else STABLE), reasons


def _confirmed(run: MonitoringRun, earlier: Sequence[MonitoringRun], sign: str, params: Monitoring) -> bool:
    """Whether the runs before said so too: those that saw older calls, as the same calls confirm nothing."""
    needed = params.confirmations - 1
    other = [item for item in earlier if item.model_version == run.model_version and _newer(run, item)]
    return len(other) >= needed and all(getattr(item, sign) for item in other[:needed])


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
        if entry["surely_above"] and value > reference * (1 + params.error_limit):
            made.append(estimate_reason(use_case, entry["target"], value, reference))
    return made


def _whole_days(use_case: UseCase, window: pd.DataFrame) -> pd.DataFrame:
    """Where a call's time is a day, the newest one is not over yet."""
    if kinds(use_case.request).get(use_case.time_field or "") != "date":
        return window
    return window[window["event_time"] < window["event_time"].max()]


def _volume(window: pd.DataFrame) -> list[Reason]:
    """Whether the last day has far more or fewer calls than those before it."""
    times, calls = window["event_time"], window["call_repeats"]
    day = pd.Timedelta(days=1)
    recent = int(calls[times > times.max() - day].sum())
    days = (times.max() - day - times.min()) / day
    if not days >= 3:  # nor where there are no calls
        return []
    usual = (int(calls.sum()) - recent) / days
    far = recent > _VOLUME * usual + 5 * usual**0.5 or recent < usual / _VOLUME - 5 * usual**0.5 / _VOLUME
    return [volume_reason(recent, usual)] if far and usual >= 10 else []
