"""Runs, changes and holds in the database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from services.core.monitoring.tables import MonitoringRun, OutcomeHold, WorldChange
from services.drift.agreement import Doubt

RETRAINING, ROLLBACK, NONE = "retraining", "rollback", "none"


def before(engine: Engine, use_case: str, number: int) -> list[MonitoringRun]:
    """The newest runs, newest first."""
    query = select(MonitoringRun).where(MonitoringRun.use_case == use_case)
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(query.order_by(MonitoringRun.finished_at.desc(), MonitoringRun.id).limit(number)))


def one(engine: Engine, run_id: str) -> MonitoringRun | None:
    with Session(engine, expire_on_commit=False) as session:
        return session.get(MonitoringRun, run_id)


def keep(engine: Engine, run: MonitoringRun, kept_reports: int) -> list[str]:
    """Store the run; the ids of runs whose report is too old to be kept now."""
    with Session(engine) as session, session.begin():
        session.merge(run)
        session.flush()
        query = select(MonitoringRun.id).where(MonitoringRun.use_case == run.use_case, MonitoringRun.report)
        old = list(session.scalars(query.order_by(MonitoringRun.finished_at.desc()).offset(kept_reports)))
        session.execute(update(MonitoringRun).where(MonitoringRun.id.in_(old)).values(report=False))
        return old


def last_retraining(engine: Engine, use_case: str) -> MonitoringRun | None:
    query = select(MonitoringRun).where(MonitoringRun.use_case == use_case, MonitoringRun.action == RETRAINING)
    with Session(engine, expire_on_commit=False) as session:
        return session.scalars(query.order_by(MonitoringRun.finished_at.desc()).limit(1)).first()


def retrainings_today(engine: Engine, use_case: str) -> int:
    """Within the last 24 hours of the machine's own time."""
    since = datetime.now(UTC) - timedelta(hours=24)
    query = select(func.count()).where(
        MonitoringRun.use_case == use_case, MonitoringRun.action == RETRAINING, MonitoringRun.finished_at > since
    )
    with Session(engine) as session:
        return session.scalar(query) or 0


def number_of(engine: Engine, action: str) -> dict[str, int]:
    """Use case -> how often monitoring did this."""
    query = select(MonitoringRun.use_case, func.count()).where(MonitoringRun.action == action)
    with Session(engine) as session:
        return {str(name): int(count) for name, count in session.execute(query.group_by(MonitoringRun.use_case))}


def note_change(
    engine: Engine, use_case: str, since: datetime, segments: Sequence[dict[str, Any]], run_id: str
) -> None:
    """Remember a change of the world. One of the same segments that was found before is the same change: its first
    moment is kept, as later runs see less of what came before."""
    wanted = sorted((segment["column"], segment["value"]) for segment in segments)
    with Session(engine) as session, session.begin():
        known = session.scalars(select(WorldChange).where(WorldChange.use_case == use_case)).all()
        recent = datetime.now(UTC) - timedelta(days=60)
        for change in known:
            mine = sorted((segment["column"], segment["value"]) for segment in change.segments)
            if mine == wanted and change.opened_at > recent:
                return
        session.add(
            WorldChange(
                id=uuid.uuid4().hex,
                use_case=use_case,
                since=since,
                segments=[dict(segment) for segment in segments],
                opened_at=datetime.now(UTC),
                run_id=run_id,
            )
        )


def hold(engine: Engine, use_case: str, doubts: Sequence[Doubt], run_id: str) -> None:
    with Session(engine) as session, session.begin():
        for doubt in doubts:
            session.add(
                OutcomeHold(
                    use_case=use_case,
                    centre=doubt.centre,
                    since=datetime.fromtimestamp(doubt.since, UTC),
                    until=None,
                    code=doubt.code,
                    reason={"en": doubt.reason.en, "fr": doubt.reason.fr},
                    created_at=datetime.now(UTC),
                    run_id=run_id,
                )
            )


def lift(engine: Engine, hold_id: int, by: str) -> bool:
    """A person believes the outcomes after all. False where there is no such hold in force."""
    now = datetime.now(UTC)
    with Session(engine) as session, session.begin():
        query = update(OutcomeHold).where(OutcomeHold.id == hold_id, OutcomeHold.lifted_at.is_(None))
        return session.scalar(query.values(lifted_at=now, lifted_by=by).returning(OutcomeHold.id)) is not None


def end(engine: Engine, hold_id: int) -> bool:
    """What arrives from now on is believed again; what came until now stays held. False where there is no such hold."""
    query = update(OutcomeHold).where(
        OutcomeHold.id == hold_id, OutcomeHold.lifted_at.is_(None), OutcomeHold.until.is_(None)
    )
    with Session(engine) as session, session.begin():
        return session.scalar(query.values(until=datetime.now(UTC)).returning(OutcomeHold.id)) is not None


def holds_by_use_case(engine: Engine) -> dict[str, int]:
    """Use case -> holds that go on."""
    going_on = OutcomeHold.lifted_at.is_(None), OutcomeHold.until.is_(None)
    query = select(OutcomeHold.use_case, func.count()).where(*going_on)
    with Session(engine) as session:
        return {str(name): int(count) for name, count in session.execute(query.group_by(OutcomeHold.use_case))}


def holds_of(engine: Engine, use_case: str) -> list[OutcomeHold]:
    """All holds, newest first."""
    query = select(OutcomeHold).where(OutcomeHold.use_case == use_case).order_by(OutcomeHold.id.desc()).limit(200)
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(query))
