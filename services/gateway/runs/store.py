"""Runs in the database with their lease: ingestions and retrainings that the gateway started."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from services.core.database.base import insert_if_new
from services.core.errors import ConflictError, NotFoundError
from services.core.jobs.tables import RunRow
from services.core.jobs.walk import RETRAINING_STEPS, StepProgress, new_steps

RunKind = Literal["ingest", "retrain"]
ACTIVE_STATES = ("queued", "running")
"""States in which somebody has to carry a run on."""
AWAITING_APPROVAL = "awaiting_approval"
LEASE = timedelta(seconds=30)
"""A run whose gateway has not been heard of for so long is taken over."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """``key`` is the idempotency key: the same again is the same run."""

    kind: RunKind
    use_case: str
    backend: Literal["airflow", "stages"]
    options: Mapping[str, Any]
    requested_by: str
    centre: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def steps(self) -> list[StepProgress]:
        return new_steps(RETRAINING_STEPS if self.kind == "retrain" else ("ingest",), self.options)


def insert_run(session: Session, new: NewRun, owner: str) -> tuple[RunRow, bool]:
    """The run that stands for ``new.key``, and whether it is new. A new one belongs to ``owner`` for a while.

    Raises:
        ConflictError: the key stands for another request.
    """
    now = datetime.now(UTC)
    values = {
        # From the key: where an answer was lost, the same request finds what the backend has begun for it.
        "id": run_id_of(new.key),
        "kind": new.kind,
        "use_case": new.use_case,
        "backend": new.backend,
        "state": "queued",
        "options": dict(new.options),
        "steps": new.steps() if new.backend == "stages" else [],
        "idempotency_key": new.key,
        "requested_by": new.requested_by,
        "centre": new.centre,
        "created": now,
        "owner": owner,
        "owned_until": now + LEASE,
    }
    new_id = session.scalar(insert_if_new(session.connection(), RunRow).values(values).returning(RunRow.id))
    row = session.scalars(select(RunRow).where(RunRow.idempotency_key == new.key)).one()
    asked = (new.kind, new.use_case, dict(new.options))
    if (row.kind, row.use_case, row.options) != asked:
        raise ConflictError("This Idempotency-Key was used for another request.", action="Use a new key.")
    return row, new_id is not None


def run_id_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def get_run(session: Session, run_id: str, *, lock: bool = False) -> RunRow:
    """
    Raises:
        NotFoundError: there is no such run.
    """
    row = session.get(RunRow, run_id, with_for_update=lock)
    if row is None:
        raise NotFoundError("There is no such run.", action="GET /admin/retrainings lists them.")
    return row


def newest_runs(session: Session, kind: RunKind, use_case: str | None, limit: int) -> list[RunRow]:
    query = select(RunRow).where(RunRow.kind == kind).order_by(RunRow.created.desc(), RunRow.id).limit(limit)
    return list(session.scalars(query if use_case is None else query.where(RunRow.use_case == use_case)))


def has_retraining(session: Session, use_case: str) -> bool:
    found = select(func.count()).where(RunRow.kind == "retrain", RunRow.use_case == use_case)
    return session.scalar(found) != 0


def count_runs_in(session: Session, state: str) -> int:
    return session.scalar(select(func.count()).where(RunRow.state == state)) or 0


def claim_runs(session: Session, owner: str) -> list[str]:
    """Take over the runs that nobody carries on; their ids."""
    now = datetime.now(UTC)
    free = or_(RunRow.owned_until.is_(None), RunRow.owned_until < now)
    # One statement: of two gateways at the same moment one finds the run taken.
    taken = update(RunRow).where(RunRow.state.in_(ACTIVE_STATES), free).values(owner=owner, owned_until=now + LEASE)
    return list(session.scalars(taken.returning(RunRow.id)))


def renew_lease(session: Session, run_id: str, owner: str) -> bool:
    """Stay a run's owner. False where another gateway has taken it over, or it has ended."""
    mine = update(RunRow).where(RunRow.id == run_id, RunRow.owner == owner, RunRow.state.in_(ACTIVE_STATES))
    return session.scalar(mine.values(owned_until=datetime.now(UTC) + LEASE).returning(RunRow.id)) is not None


def release_runs(session: Session, owner: str) -> None:
    """Leave all runs of ``owner`` to whoever comes next."""
    # Without an owner: a renewal that is still under way in a thread finds nothing to renew.
    session.execute(update(RunRow).where(RunRow.owner == owner).values(owner="", owned_until=None))


def delete_run(session: Session, run_id: str) -> None:
    """A run that never began."""
    session.execute(delete(RunRow).where(RunRow.id == run_id))


def apply_decision(row: RunRow, *, approve: bool, by: str) -> None:
    """A person's word: the run goes on to its promotion, or ends."""
    if approve:
        row.options = row.options | {"approved_by": by}
        row.state, row.owned_until = "running", None
        return
    row.state, row.finished = "rejected", datetime.now(UTC)
    row.steps = [step | {"state": "skipped"} if step["state"] == "waiting" else dict(step) for step in row.steps]
