"""Conditions that block an automatic retraining: freeze, unfinished retraining, cooldown and daily limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from services.core.jobs.tables import RunRow
from services.core.messages import Message
from services.core.model_registry import promotion_freeze
from services.core.monitoring.drift_state import MonitoringRunRow

OPEN_RUN_STATES = ("queued", "running", "awaiting_approval")
"""States of an unfinished run."""
RETRAINING_ACTION = "retraining"
"""The action of a monitoring run that started a retraining."""


@dataclass(frozen=True, slots=True)
class RetrainingLimits:
    """Limits of automatic retraining. ``outcomes``: minimum number since the change. The cooldown is measured in the
    calls' own time, the daily limit in wall-clock time."""

    cooldown_hours: float
    daily: int
    outcomes: int


def retraining_blocker(
    engine: Engine,
    use_case: str,
    *,
    own_run: str = "",
    limits: RetrainingLimits | None = None,
    calls_until: datetime | None = None,
    outcomes: int = 0,
) -> Message | None:
    """Return why no retraining of the use case may start now; None if one may.

    Args:
        engine: the platform's database.
        use_case: the use case to retrain.
        own_run: id of the requested run, which does not block itself.
        limits: without them only a freeze and an unfinished retraining block.
        calls_until: time of the newest call, for the cooldown.
        outcomes: outcomes received since the change.
    """
    frozen = promotion_freeze.active_freeze(engine)
    if frozen is not None:
        return Message("monitoring.retraining_frozen", {"by": frozen.by, "reason": frozen.reason})
    with Session(engine) as session:
        begun = session.scalar(
            select(RunRow.created).where(
                RunRow.kind == "retrain",
                RunRow.use_case == use_case,
                RunRow.state.in_(OPEN_RUN_STATES),
                RunRow.id != own_run,
            )
        )
        if begun is not None:
            return unfinished_retraining(use_case, begun)
        return None if limits is None else _limit_reached(session, use_case, limits, calls_until, outcomes)


def unfinished_retraining(use_case: str, begun: datetime) -> Message:
    """Message for an unfinished retraining: its model may already fix the drift, and the gate would compare with a
    champion about to be replaced."""
    return Message("monitoring.retraining_under_way", {"use_case": use_case, "begun": f"{begun:%Y-%m-%d %H:%M}"})


def _limit_reached(
    session: Session, use_case: str, limits: RetrainingLimits, calls_until: datetime | None, outcomes: int
) -> Message | None:
    if outcomes < limits.outcomes:
        return Message("monitoring.retraining_lacks_outcomes", {"outcomes": outcomes, "needed": limits.outcomes})
    started = (MonitoringRunRow.use_case == use_case, MonitoringRunRow.action == RETRAINING_ACTION)
    newest = select(MonitoringRunRow.window_to).where(*started).order_by(MonitoringRunRow.finished_at.desc()).limit(1)
    last = session.scalar(newest)
    if last is not None and calls_until is not None:
        hours = (calls_until - last).total_seconds() / 3_600
        if 0 <= hours < limits.cooldown_hours:
            return Message("monitoring.retraining_cooldown", {"hours": hours, "needed": limits.cooldown_hours})
    today = MonitoringRunRow.finished_at > datetime.now(UTC) - timedelta(hours=24)
    if (session.scalar(select(func.count()).where(*started, today)) or 0) >= limits.daily:
        return Message("monitoring.retraining_daily_limit", {"limit": limits.daily})
    return None
