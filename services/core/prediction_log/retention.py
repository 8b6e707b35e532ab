"""Retention: deletes expired calls, and erases single incidents on request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select

from services.core import use_case_registry
from services.core.audit.entries import AuditEntry, DetailValue, enqueue, outbox_folder
from services.core.errors import UnavailableError, VigieError
from services.core.prediction_log.settings import PredictionLogSettings
from services.core.prediction_log.store import DatabaseUnavailableError, PredictionLogDatabase
from services.core.prediction_log.tables import OutcomeRow, PredictionRow

log = structlog.get_logger(__name__)

_P, _O = PredictionRow, OutcomeRow
_TIMEOUT_SECONDS = 600.0
SERVICE = "ingestion"
"""Whose outbox delivers the audit entries of erasures: housekeeping is one of its jobs."""


@dataclass(frozen=True, slots=True)
class ErasedCount:
    """Number of deleted rows."""

    predictions: int
    outcomes: int

    def __str__(self) -> str:
        return f"{self.predictions} predictions and {self.outcomes} outcomes"


def enforce_retention(chosen: PredictionLogSettings, *, dry_run: bool = False) -> dict[str, ErasedCount]:
    """Delete what is older than its retention period; use case -> deleted rows (with ``dry_run``: that would be).
    Called by housekeeping.

    Raises:
        UnavailableError: the database does not answer; the rest is deleted next time.
    """
    removed: dict[str, ErasedCount] = {}
    for use_case in use_case_registry.names():
        days = chosen.retention_days(use_case)
        if days:
            removed[use_case] = erase_before(
                chosen, use_case, datetime.now(UTC) - timedelta(days=days), dry_run=dry_run
            )
    return removed


def erase_before(
    chosen: PredictionLogSettings, use_case: str, moment: datetime, *, dry_run: bool = False
) -> ErasedCount:
    """Delete predictions and outcomes received before ``moment`` (with time zone).

    Raises:
        UnavailableError: the database does not answer.
    """
    predictions = and_(_P.use_case == use_case, _P.received_at < moment)
    outcomes = and_(_O.use_case == use_case, _O.received_at < moment)
    return _erase(chosen, use_case, predictions, outcomes, target=f"calls before {moment:%Y-%m-%d}", dry_run=dry_run)


def erase_incident(
    chosen: PredictionLogSettings, use_case: str, centre: str, incident: str, *, dry_run: bool = False
) -> ErasedCount:
    """Delete the predictions of a centre's incident and all reports about them.

    Raises:
        VigieError: centre or incident is missing.
        UnavailableError: the database does not answer.
    """
    if not centre or not incident:
        raise VigieError("An incident is erased by its centre and its id.", expected="both of them")
    mine = and_(_P.use_case == use_case, _P.centre == centre, _P.incident_id == incident)
    outcomes = and_(
        _O.use_case == use_case,
        _O.centre == centre,
        or_(
            _O.incident_id == incident,
            _O.prediction_id.in_(select(_P.id).where(mine)),
            _O.request_id.in_(select(_P.request_id).where(mine)),
        ),
    )
    return _erase(chosen, use_case, mine, outcomes, target=f"an incident of {centre}", dry_run=dry_run)


def _erase(
    chosen: PredictionLogSettings,
    use_case: str,
    predictions: ColumnElement[bool],
    outcomes: ColumnElement[bool],
    *,
    target: str,
    dry_run: bool,
) -> ErasedCount:
    database = PredictionLogDatabase(chosen)
    try:
        with database.reading(seconds=_TIMEOUT_SECONDS) as connection:
            # Outcomes first: which of them are deleted can depend on the predictions.
            counts = [_count(connection, _O, outcomes), _count(connection, _P, predictions)]
            if not dry_run:
                connection.execute(delete(_O).where(outcomes))
                connection.execute(delete(_P).where(predictions))
    except DatabaseUnavailableError as error:
        raise UnavailableError(
            f"Calls cannot be erased: {error}.", action="See that the database runs, and try again."
        ) from error
    finally:
        database.dispose()
    erased = ErasedCount(counts[1], counts[0])
    if not dry_run and (erased.predictions or erased.outcomes):
        _record(chosen, use_case, target, erased)
    log.info(
        "calls erased", use_case=use_case, predictions=erased.predictions, outcomes=erased.outcomes, dry_run=dry_run
    )
    return erased


def _count(connection: Connection, table: type[PredictionRow] | type[OutcomeRow], which: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(which)).scalar_one())


def _record(chosen: PredictionLogSettings, use_case: str, target: str, erased: ErasedCount) -> None:
    """Write the audit entry of an erasure to the outbox. It names no incident: ids may be personal."""
    details: dict[str, DetailValue] = {"predictions": erased.predictions, "outcomes": erased.outcomes}
    entry = AuditEntry(service=SERVICE, action="calls.erased", use_case=use_case, target=target, details=details)
    enqueue(outbox_folder(chosen.home, SERVICE), entry)
