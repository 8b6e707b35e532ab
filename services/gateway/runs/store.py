"""Stores ingestion and retraining runs, with the lease of the gateway that advances them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from services.core.database.connection import insert_if_new
from services.core.errors import ConflictError, NotFoundError
from services.core.jobs.tables import RunRow
from services.core.jobs.walk import RETRAINING_STEPS, StepProgress, new_steps

RunKind = Literal["ingest", "retrain"]
ACTIVE_STATES = ("queued", "running")
"""States in which a run has to be advanced by a gateway."""
AWAITING_APPROVAL = "awaiting_approval"
LEASE = timedelta(seconds=30)
"""A run is taken over when its lease has not been renewed for this long."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to insert. ``key`` is the idempotency key: the same key is the same run."""

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
    """Insert a run; return the run of ``new.key`` and whether it is new. ``owner`` gets the lease of a new one.

    Raises:
        ConflictError: the key was used for another request.
    """
    now = datetime.now(UTC)
    values = {
        # Derived from the key: if a response was lost, the repeated request finds the run that the backend started.
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
    """Return a run by id.

    Raises:
        NotFoundError: no such run.
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
    """Claim the runs with an expired lease; return their ids."""
    now = datetime.now(UTC)
    free = or_(RunRow.owned_until.is_(None), RunRow.owned_until < now)
    # One UPDATE statement: of two concurrent gateways only one claims a run.
    taken = update(RunRow).where(RunRow.state.in_(ACTIVE_STATES), free).values(owner=owner, owned_until=now + LEASE)
    return list(session.scalars(taken.returning(RunRow.id)))


def renew_lease(session: Session, run_id: str, owner: str) -> bool:
    """Renew a run's lease. False if another gateway owns it, or it has ended."""
    mine = update(RunRow).where(RunRow.id == run_id, RunRow.owner == owner, RunRow.state.in_(ACTIVE_STATES))
    return session.scalar(mine.values(owned_until=datetime.now(UTC) + LEASE).returning(RunRow.id)) is not None


def release_runs(session: Session, owner: str) -> None:
    """Release all leases of ``owner``, so that other gateways can claim its runs at once."""
    # The owner is cleared: a renewal still in progress in a thread then matches no row.
    session.execute(update(RunRow).where(RunRow.owner == owner).values(owner="", owned_until=None))


def delete_run(session: Session, run_id: str) -> None:
    """Delete a run that its backend never started."""
    session.execute(delete(RunRow).where(RunRow.id == run_id))


def apply_decision(row: RunRow, *, approve: bool, by: str) -> None:
    """Record an approval decision; the run continues to promotion or ends."""
    if approve:
        row.options = row.options | {"approved_by": by}
        row.state, row.owned_until = "running", None
        return
    row.state, row.finished = "rejected", datetime.now(UTC)
    row.steps = [step | {"state": "skipped"} if step["state"] == "waiting" else dict(step) for step in row.steps]
