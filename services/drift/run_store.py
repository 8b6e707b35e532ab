"""Stores monitoring runs, concept-drift events and label quarantines in the database; writes reports of Evidently."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import structlog
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from services.core.io import atomic_write
from services.core.messages import sentences
from services.core.monitoring.drift_state import ConceptDriftEventRow, LabelQuarantineRow, MonitoringRunRow
from services.core.paths import VigiePaths

if TYPE_CHECKING:
    from services.drift.label_quality import SuspectLabels


RETRAINING, ROLLBACK, NONE = "retraining", "rollback", "none"


def recent_runs(engine: Engine, use_case: str, number: int) -> list[MonitoringRunRow]:
    """The newest ``number`` monitoring runs of a use case, newest first."""
    query = select(MonitoringRunRow).where(MonitoringRunRow.use_case == use_case)
    with Session(engine, expire_on_commit=False) as session:
        return list(
            session.scalars(query.order_by(MonitoringRunRow.finished_at.desc(), MonitoringRunRow.id).limit(number))
        )


def get_run(engine: Engine, run_id: str) -> MonitoringRunRow | None:
    """A monitoring run by its id; None where there is none."""
    with Session(engine, expire_on_commit=False) as session:
        return session.get(MonitoringRunRow, run_id)


def save_run(engine: Engine, run: MonitoringRunRow, kept_reports: int) -> list[str]:
    """Store a monitoring run.

    Args:
        engine: of the database.
        run: replaces one of the same id.
        kept_reports: how many of the newest reports stay on disk.

    Returns:
        Ids of the runs whose reports are to be deleted now.
    """
    with Session(engine) as session, session.begin():
        session.merge(run)
        session.flush()
        query = select(MonitoringRunRow.id).where(MonitoringRunRow.use_case == run.use_case, MonitoringRunRow.report)
        old = list(session.scalars(query.order_by(MonitoringRunRow.finished_at.desc()).offset(kept_reports)))
        session.execute(update(MonitoringRunRow).where(MonitoringRunRow.id.in_(old)).values(report=False))
        return old


def with_sentences(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A run's summary as it is sent: reasons and action have their sentences (``en``, ``fr``) beside the codes.

    Runs of 0.1.0 hold sentences alone.
    """
    reasons = [entry_with_sentences(reason) for reason in summary["reasons"]]
    return {**summary, "reasons": reasons, "action": entry_with_sentences(summary["action"])}


def entry_with_sentences(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A reason or action with its sentences (``en``, ``fr``) beside the code."""
    return {**entry, **(sentences(entry["message"]) if "message" in entry else {})}


def count_actions(engine: Engine, action: str) -> dict[str, int]:
    """Use case -> number of runs that took this action."""
    query = select(MonitoringRunRow.use_case, func.count()).where(MonitoringRunRow.action == action)
    with Session(engine) as session:
        return {str(name): int(count) for name, count in session.execute(query.group_by(MonitoringRunRow.use_case))}


def record_concept_drift(
    engine: Engine, use_case: str, since: datetime, segments: Sequence[dict[str, Any]], run_id: str
) -> None:
    """Store a concept-drift event, unless one of the same segments is stored already.

    The first event's start is right: later runs see less of what came before.

    Args:
        engine: of the database.
        use_case: whose calls have changed.
        since: start of the change, by the calls' own time (UTC).
        segments: entries ``column``, ``value`` and ``box``; empty where all calls are concerned.
        run_id: the monitoring run that detected it.
    """
    wanted = sorted((segment["column"], segment["value"]) for segment in segments)
    with Session(engine) as session, session.begin():
        known = session.scalars(select(ConceptDriftEventRow).where(ConceptDriftEventRow.use_case == use_case)).all()
        recent = datetime.now(UTC) - timedelta(days=60)
        for change in known:
            mine = sorted((segment["column"], segment["value"]) for segment in change.segments)
            if mine == wanted and change.opened_at > recent:
                return
        session.add(
            ConceptDriftEventRow(
                id=uuid.uuid4().hex,
                use_case=use_case,
                since=since,
                segments=[dict(segment) for segment in segments],
                opened_at=datetime.now(UTC),
                run_id=run_id,
            )
        )


def quarantine_labels(engine: Engine, use_case: str, doubts: Sequence[SuspectLabels], run_id: str) -> None:
    """Exclude the labels of suspect centres from training and metrics, from the moment of arrival in each finding."""
    with Session(engine) as session, session.begin():
        for doubt in doubts:
            session.add(
                LabelQuarantineRow(
                    use_case=use_case,
                    centre=doubt.centre,
                    since=datetime.fromtimestamp(doubt.since, UTC),
                    until=None,
                    code=doubt.code,
                    # 0.1.0, which may run on this table still, reads the sentences.
                    reason={"message": doubt.reason.as_json()} | sentences(doubt.reason),
                    created_at=datetime.now(UTC),
                    run_id=run_id,
                )
            )


def release_quarantine(engine: Engine, hold_id: int, by: str) -> bool:
    """Lift a label quarantine, by decision of the person ``by``; False where it is not in force."""
    now = datetime.now(UTC)
    with Session(engine) as session, session.begin():
        query = update(LabelQuarantineRow).where(
            LabelQuarantineRow.id == hold_id, LabelQuarantineRow.lifted_at.is_(None)
        )
        return session.scalar(query.values(lifted_at=now, lifted_by=by).returning(LabelQuarantineRow.id)) is not None


def close_quarantine(engine: Engine, hold_id: int) -> bool:
    """End a label quarantine; reports that arrived before stay excluded. False where there is no open one."""
    query = update(LabelQuarantineRow).where(
        LabelQuarantineRow.id == hold_id, LabelQuarantineRow.lifted_at.is_(None), LabelQuarantineRow.until.is_(None)
    )
    with Session(engine) as session, session.begin():
        return session.scalar(query.values(until=datetime.now(UTC)).returning(LabelQuarantineRow.id)) is not None


def open_quarantines(engine: Engine) -> dict[str, int]:
    """Use case -> number of label quarantines without an end."""
    going_on = LabelQuarantineRow.lifted_at.is_(None), LabelQuarantineRow.until.is_(None)
    query = select(LabelQuarantineRow.use_case, func.count()).where(*going_on)
    with Session(engine) as session:
        return {str(name): int(count) for name, count in session.execute(query.group_by(LabelQuarantineRow.use_case))}


def list_quarantines(engine: Engine, use_case: str) -> list[LabelQuarantineRow]:
    """Label quarantines of a use case, newest first, at most 200."""
    query = (
        select(LabelQuarantineRow)
        .where(LabelQuarantineRow.use_case == use_case)
        .order_by(LabelQuarantineRow.id.desc())
        .limit(200)
    )
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(query))


log = structlog.get_logger(__name__)
_MAX_ROWS = 5_000
_MIN_VALUES = 30


def report_path(home: VigiePaths, use_case: str, run_id: str) -> Path:
    """Path of the run's Evidently report (HTML)."""
    return home.root / "monitoring" / "reports" / use_case / f"{run_id}.html"


def remove_reports(home: VigiePaths, use_case: str, run_ids: list[str]) -> None:
    """Delete the Evidently reports of these runs; missing ones are no error."""
    for run_id in run_ids:
        report_path(home, use_case, run_id).unlink(missing_ok=True)


def write_report(home: VigiePaths, use_case: str, run_id: str, reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """Write Evidently's report of a run.

    Args:
        home: where reports lie.
        use_case: of the run.
        run_id: names the file.
        reference: n rows of the reference sample, one column for each compared column.
        current: m calls of the window, the same columns.

    Returns:
        False where nothing can be compared: Evidently fails on empty windows and on columns without any value, so those
        are dropped before.
    """
    reference, current = _sample_rows(reference), _sample_rows(current)
    numbers, words = _comparable(reference, current)
    if not numbers and not words:
        return False
    with warnings.catch_warnings():  # it uses names that its libraries are about to give up
        warnings.simplefilter("ignore")
        html = _html(reference, current, numbers, words)
    atomic_write(report_path(home, use_case, run_id), html)
    return True


def _html(reference: pd.DataFrame, current: pd.DataFrame, numbers: list[str], words: list[str]) -> str:
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - takes five seconds
    from evidently.presets import DataDriftPreset, DataSummaryPreset  # noqa: PLC0415

    definition = DataDefinition(numerical_columns=numbers, categorical_columns=words)
    sides = [
        Dataset.from_pandas(frame[[*numbers, *words]].astype(dict.fromkeys(words, "str")), data_definition=definition)
        for frame in (current, reference)
    ]
    drift = DataDriftPreset(num_method="wasserstein", cat_method="jensenshannon")
    snapshot = Report([drift, DataSummaryPreset()]).run(*sides)
    html: str = snapshot.get_html_str(as_iframe=False)
    return html


def _sample_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if len(frame) <= _MAX_ROWS else frame.sample(_MAX_ROWS, random_state=7).reset_index(drop=True)


def _comparable(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Columns that have enough values on both sides: numbers and words."""
    numbers: list[str] = []
    words: list[str] = []
    for name in reference.columns:
        is_number = pd.api.types.is_float_dtype(reference[name])
        sides = [frame[name].notna() & (frame[name].astype(str) != "") for frame in (reference, current)]
        if min(side.sum() for side in sides) < _MIN_VALUES:
            continue
        (numbers if is_number else words).append(str(name))
    return numbers, words
