"""Outcomes as training rows: what a run's preprocessing reads from ``data/<use case>/outcomes``.

This is the impure step before the pure ones, as acquiring raw files is: it asks the database once and writes
``outcomes.parquet``, from which preprocessing goes on by itself. The same outcomes give the same bytes, so
nothing is trained again because of it. Centres, callers and request ids stay behind.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
from pydantic import ValidationError
from sqlalchemy import Connection, and_, select

from services.core.calls.away import DatabaseAwayError, NoDatabaseYetError
from services.core.calls.database import CallsDatabase
from services.core.calls.kinds import EXERCISE, LIVE
from services.core.calls.records import DIGEST, PSEUDONYM
from services.core.calls.reports import merged, reports_on
from services.core.calls.tables import Outcome, Prediction
from services.core.monitoring.findings import changes, usable_reports
from services.core.settings import Settings, settings
from services.core.usecases import registry
from services.core.usecases.classes import learns_classes
from services.core.usecases.columns import kinds
from services.core.usecases.contract import Classes, Target, UseCase
from services.core.usecases.zones import in_zone

FILE = "outcomes.parquet"
MANIFEST = "manifest.json"
CHANGES = "changes.json"
"""What monitoring found to have changed in the world, for preprocessing; only beside outcomes."""
_CHUNK = 500
_P, _O = Prediction, Outcome

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export. ``away`` says why the database was not asked; the rows of the last published
    state are used again then."""

    rows: int
    simulated: int
    refused: int
    """Calls that the use case's request model would not take any more."""
    away: str = ""

    def __str__(self) -> str:
        if self.away:
            return f"outcomes as they were: {self.away}"
        return f"{self.rows} outcomes to learn from ({self.simulated} simulated, {self.refused} left out)"


def export_outcomes(use_case: str, workspace: Path, *, chosen: Settings | None = None) -> Exported:
    """Write the training rows of ``use_case`` into ``workspace/data/<use case>/outcomes``."""
    declared = registry.get(use_case)
    folder = workspace / "data" / use_case / "outcomes"
    database = CallsDatabase(chosen or settings())
    try:
        with database.reading(seconds=300) as connection:
            rows, refused = training_rows(connection, declared)
            found = changes(connection, use_case)
    except NoDatabaseYetError as error:
        return Exported(0, 0, 0, str(error))
    except DatabaseAwayError as error:
        log.warning("outcomes are not read", use_case=use_case, reason=str(error))
        return Exported(0, 0, 0, str(error))
    finally:
        database.dispose()
    write(folder, declared, rows)
    if rows and found:
        (folder / CHANGES).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    simulated = sum(row["call_simulated"] for row in rows)
    log.info("outcomes exported", use_case=use_case, rows=len(rows), simulated=simulated, refused=refused)
    return Exported(len(rows), simulated, refused)


def training_rows(connection: Connection, use_case: UseCase) -> tuple[list[dict[str, Any]], int]:
    """One row per call with a label, sorted by prediction id, and how many calls could not be used. Outcomes that
    monitoring holds back, or has not looked at yet, are none."""
    latest = _latest_of_incidents(connection, use_case.name)
    usable = usable_reports(connection, use_case.name)
    found: list[dict[str, Any]] = []
    refused = 0
    for predictions in _reported(connection, use_case.name):
        reports = reports_on(connection, predictions)
        for prediction in predictions:
            key = (prediction["centre"], prediction["kind"], prediction["incident_id"])
            mine = [
                report
                for report in reports.get(prediction["id"], ())
                if (report["incident_id"] is None or latest.get(key) == prediction["id"]) and usable(report)
            ]
            # Where a call has real reports, made-up ones do not count. A simulated call has none.
            real = [report for report in mine if not report["simulated"] and prediction["kind"] == LIVE]
            labels = labels_of(use_case, merged(real or mine))
            if not labels:
                continue
            request = request_of(use_case, prediction["request"])
            if request is None:
                refused += 1
                continue
            found.append({**request, **labels, **_own(use_case, prediction, simulated=not real)})
    return sorted(found, key=lambda row: row["call_id"]), refused


def write(folder: Path, use_case: UseCase, rows: Sequence[Mapping[str, Any]]) -> None:
    """``rows`` as a file and its manifest; an empty folder where there are none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not rows:
        return
    frame = pd.DataFrame({name: column_of(use_case, name, [row.get(name) for row in rows]) for name in rows[0]})
    frame = frame.reindex(columns=sorted(frame))
    frame.to_parquet(folder / FILE, index=False, compression="zstd")
    digest = hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
    manifest = {"use_case": use_case.name, "rows": len(rows), "sha256": {FILE: digest}}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _reported(connection: Connection, use_case: str) -> Iterator[list[dict[str, Any]]]:
    """The predictions that something was reported about, some at a time."""
    joins = (
        _O.prediction_id == _P.id,
        and_(_O.request_id == _P.request_id, _O.row_index.is_not_distinct_from(_P.row_index)),
        _O.incident_id == _P.incident_id,
    )
    ids: set[str] = set()
    for join in joins:
        query = select(_P.id).join(_O, and_(_O.use_case == _P.use_case, _O.centre == _P.centre, join))
        ids.update(connection.execute(query.where(_P.use_case == use_case, _P.kind != EXERCISE)).scalars())
    ordered = sorted(ids)
    for start in range(0, len(ordered), _CHUNK):
        query_rows = select(_P.__table__).where(_P.id.in_(ordered[start : start + _CHUNK]))
        yield [dict(row) for row in connection.execute(query_rows).mappings()]


def _latest_of_incidents(connection: Connection, use_case: str) -> dict[tuple[str, str, str | None], str]:
    """(centre, kind, incident) -> the prediction that counts, for incidents that something was reported about."""
    join = and_(_O.use_case == _P.use_case, _O.centre == _P.centre, _O.incident_id == _P.incident_id)
    query = select(_P.centre, _P.kind, _P.incident_id, _P.id).join(_O, join).where(_P.use_case == use_case)
    return {(row[0], row[1], row[2]): row[3] for row in connection.execute(query.order_by(_P.received_at, _P.id))}


def request_of(use_case: UseCase, sent: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields as the models see them, or None where today's request model refuses the request. What was
    pseudonymised is missing: a pseudonym means nothing to a model, nor does what stands for a picture."""
    plain = {k: v for k, v in sent.items() if not (isinstance(v, str) and v.startswith((PSEUDONYM, DIGEST)))}
    try:
        fields: dict[str, Any] = use_case.request.model_validate(plain).__dict__
    except ValidationError:
        return None
    for name, kind in kinds(use_case.request).items():
        if kind == "time" and fields[name] is not None:
            fields[name] = in_zone(fields[name], use_case.zone or "UTC")
    return {name: fields[name] for name in use_case.request.model_fields}


def labels_of(use_case: UseCase, reported: Mapping[str, Any]) -> dict[str, Any]:
    """Label column -> number (or name of a learned class) as examples hold it; every column is there, or none."""
    targets: dict[str, Target] = {target.label: target for target in use_case.targets}
    found = {label: _label(target, reported.get(label)) for label, target in targets.items()}
    return found if any(isinstance(label, str) or not np.isnan(label) for label in found.values()) else {}


def _label(target: Target, value: Any) -> float | str:
    if value is None:
        return float("nan")
    if isinstance(target.output, Classes):
        if target.output.learned:
            return str(value)
        # A class that the use case has given up is no label any more.
        return float(target.output.labels.index(value)) if value in target.output.labels else float("nan")
    return float(value)


def _own(use_case: UseCase, prediction: Mapping[str, Any], *, simulated: bool) -> dict[str, Any]:
    incident = prediction["incident_id"]
    group = prediction["id"]
    if incident is not None:
        group = hashlib.sha256(f"{prediction['centre']}|{incident}".encode()).hexdigest()[:24]
    return {
        "call_id": prediction["id"],
        "call_group": f"call-{group}",
        "call_incident": incident if use_case.incident_is_group and incident is not None else "",
        "call_received_at": prediction["received_at"],
        "call_simulated": simulated,
    }


def column_of(use_case: UseCase, name: str, values: Sequence[Any]) -> pd.Series:
    if name in {use_case.target(target).label for target in learns_classes(use_case)}:
        return pd.Series([value if isinstance(value, str) else None for value in values], dtype="str")
    kind = kinds(use_case.request).get(name, "own" if name.startswith("call_") else "number")
    if kind == "image":
        return pd.Series([None] * len(values), dtype=object)
    if name == "call_received_at" or kind in {"time", "date"}:
        return pd.Series(pd.to_datetime(pd.Series(values), utc=True)).astype("datetime64[us, UTC]")
    if name == "call_simulated":
        return pd.Series(values, dtype="bool")
    if kind in {"own", "category", "text"}:
        return pd.Series(["" if v is None else str(getattr(v, "value", v)) for v in values], dtype="str")
    return pd.Series([np.nan if value is None else float(value) for value in values], dtype="float64")
