"""Exports reported labels as training rows to ``data/<use case>/outcomes``, the input of preprocessing.

This is the impure step before the pure stages: it queries the database once and writes ``outcomes.parquet``. Equal
labels give equal bytes, so that an export alone retrains nothing. Centres, callers and request ids are omitted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
from sqlalchemy import Connection, and_, select

from services.core import use_case_registry
from services.core.contract.columns import column_types
from services.core.contract.fields import check_time, declared_years, in_zone, is_ahead
from services.core.contract.use_case import MultiClass, Regression, Target, UseCase, learned_class_targets
from services.core.headers import EXERCISE, LIVE
from services.core.monitoring.drift_state import concept_drift_events, usable_label_filter
from services.core.prediction_log.queries import latest_labels, reports_for
from services.core.prediction_log.records import DIGEST_PREFIX, PSEUDONYM_PREFIX
from services.core.prediction_log.store import (
    DatabaseNotInitialisedError,
    DatabaseUnavailableError,
    PredictionLogDatabase,
)
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from services.core.settings import Settings, settings

LABELS_FILE = "outcomes.parquet"
MANIFEST_FILE = "manifest.json"
CONCEPT_DRIFT_FILE = "changes.json"
"""Concept drift detected by monitoring, for preprocessing; written only together with outcomes."""
_CHUNK = 500
_NO_LABEL = float("nan")
_P, _O = PredictionRow, OutcomeRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Result of an export. ``away`` is the reason if the database was not queried; the rows published last are then
    used again."""

    rows: int
    simulated: int
    refused: int
    """Number of calls that the use case's current request model refuses."""
    put_aside: int = 0
    """Number of reported values that cannot be, or that other labels of the outcome rule out."""
    away: str = ""

    def __str__(self) -> str:
        if self.away:
            return f"outcomes as they were: {self.away}"
        counted = f"{self.simulated} simulated, {self.refused} left out, {self.put_aside} values put aside"
        return f"{self.rows} outcomes to learn from ({counted})"


def export_labels(use_case: str, workspace: Path, *, chosen: Settings | None = None) -> ExportResult:
    """Write the training rows of ``use_case`` to ``workspace/data/<use case>/outcomes``."""
    declared = use_case_registry.get(use_case)
    folder = workspace / "data" / use_case / "outcomes"
    database = PredictionLogDatabase(chosen or settings())
    try:
        with database.reading(seconds=300) as connection:
            rows, refused, put_aside = load_training_rows(connection, declared)
            found = concept_drift_events(connection, use_case)
    except DatabaseNotInitialisedError as error:
        return ExportResult(0, 0, 0, away=str(error))
    except DatabaseUnavailableError as error:
        log.warning("outcomes are not read", use_case=use_case, reason=str(error))
        return ExportResult(0, 0, 0, away=str(error))
    finally:
        database.dispose()
    write_training_rows(folder, declared, rows)
    if rows and found:
        (folder / CONCEPT_DRIFT_FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    simulated = sum(row["call_simulated"] for row in rows)
    done = ExportResult(len(rows), simulated, refused, put_aside)
    log.info(
        "outcomes exported",
        use_case=use_case,
        rows=done.rows,
        simulated=simulated,
        refused=refused,
        put_aside=put_aside,
    )
    return done


def load_training_rows(connection: Connection, use_case: UseCase) -> tuple[list[dict[str, Any]], int, int]:
    """Return one row per labelled call, sorted by prediction id; the number of unusable calls; and how many reported
    values are put aside because they cannot be. Outcomes that monitoring holds back or has not checked yet are
    excluded."""
    usable = usable_label_filter(connection, use_case.name)
    found: list[dict[str, Any]] = []
    refused = put_aside = 0
    for predictions in _labelled_predictions(connection, use_case.name):
        reports = reports_for(connection, predictions)
        for prediction in predictions:
            mine = [report for report in reports.get(prediction["id"], ()) if usable(report, prediction)]
            reported = latest_labels(mine)
            labels = to_label_columns(use_case, reported)
            put_aside += sum(name not in labels or labels[name] != labels[name] for name in reported)  # NaN
            if not labels:
                continue
            request = to_request_columns(use_case, prediction["request"], prediction["received_at"])
            if request is None:
                refused += 1
                continue
            found.append({**request, **labels, **_call_columns(use_case, prediction)})
    return sorted(found, key=lambda row: row["call_id"]), refused, put_aside


def write_training_rows(folder: Path, use_case: UseCase, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``rows`` as a Parquet file with its manifest; an empty folder if there are none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not rows:
        return
    frame = pd.DataFrame({name: to_series(use_case, name, [row.get(name) for row in rows]) for name in rows[0]})
    frame = frame.reindex(columns=sorted(frame))
    frame.to_parquet(folder / LABELS_FILE, index=False, compression="zstd")
    digest = hashlib.sha256((folder / LABELS_FILE).read_bytes()).hexdigest()
    manifest = {"use_case": use_case.name, "rows": len(rows), "sha256": {LABELS_FILE: digest}}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _labelled_predictions(connection: Connection, use_case: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the predictions that have reports, in chunks."""
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


def to_request_columns(use_case: UseCase, sent: Mapping[str, Any], received_at: datetime) -> dict[str, Any] | None:
    """The request's fields as model inputs, or None if the current request model refuses it. Pseudonymised fields and
    images are missing: neither a pseudonym nor a digest is a model input. A call whose own time is not plausible has
    the time of its arrival (``received_at``)."""
    plain = {
        k: v for k, v in sent.items() if not (isinstance(v, str) and v.startswith((PSEUDONYM_PREFIX, DIGEST_PREFIX)))
    }
    kinds = column_types(use_case.serving.request)
    try:
        for name, info in use_case.serving.request.model_fields.items():
            if kinds[name] in {"time", "date"} and plain.get(name) is not None:
                check_time(plain[name], day=kinds[name] == "date", years=declared_years(info))
        fields: dict[str, Any] = use_case.serving.request.model_validate(plain).__dict__
    except (ValueError, OverflowError):
        return None
    for name, kind in kinds.items():
        if kind == "time" and fields[name] is not None:
            fields[name] = in_zone(fields[name], use_case.data.timezone or "UTC")
    time = use_case.serving.time_field
    if time is not None and is_ahead(fields[time], received_at):
        fields[time] = received_at if kinds[time] == "time" else received_at.date()
    return {name: fields[name] for name in use_case.serving.request.model_fields}


def to_label_columns(use_case: UseCase, reported: Mapping[str, Any]) -> dict[str, Any]:
    """Label column -> number (or name of a learned class) as in training examples; all columns or none.

    Reports are as untrusted as requests, and older releases took what is refused today: a value that cannot be is no
    label, nor is one that another label rules out."""
    targets: dict[str, Target] = {target.label: target for target in use_case.modelling.targets}
    found = {
        label: _NO_LABEL if target.contradicted_by(reported) else _label_value(target, reported.get(label))
        for label, target in targets.items()
    }
    return found if any(isinstance(label, str) or not np.isnan(label) for label in found.values()) else {}


def _label_value(target: Target, value: Any) -> float | str:
    if isinstance(target.output, MultiClass):
        if target.output.learned:
            return str(value) if value is not None else _NO_LABEL
        # A class that the use case has dropped is no label.
        return float(target.output.labels.index(value)) if value in target.output.labels else _NO_LABEL
    if isinstance(target.output, Regression):
        low, high = target.output.bounds
        known = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return float(value) if known else _NO_LABEL
    return float(value) if isinstance(value, bool) else _NO_LABEL


def _call_columns(use_case: UseCase, prediction: Mapping[str, Any]) -> dict[str, Any]:
    incident = prediction["incident_id"]
    group = prediction["id"]
    if incident is not None:
        group = hashlib.sha256(f"{prediction['centre']}|{incident}".encode()).hexdigest()[:24]
    return {
        "call_id": prediction["id"],
        "call_group": f"call-{group}",
        "call_incident": incident if use_case.data.incident_is_group and incident is not None else "",
        "call_received_at": prediction["received_at"],
        "call_simulated": prediction["kind"] != LIVE,
    }


def to_series(use_case: UseCase, name: str, values: Sequence[Any]) -> pd.Series:
    if name in {use_case.target(target).label for target in learned_class_targets(use_case)}:
        return pd.Series([value if isinstance(value, str) else None for value in values], dtype="str")
    kind = column_types(use_case.serving.request).get(name, "own" if name.startswith("call_") else "number")
    if kind == "image":
        return pd.Series([None] * len(values), dtype=object)
    if name == "call_received_at" or kind in {"time", "date"}:
        return pd.Series(pd.to_datetime(pd.Series(values), utc=True)).astype("datetime64[us, UTC]")
    if name == "call_simulated":
        return pd.Series(values, dtype="bool")
    if kind in {"own", "category", "text"}:
        return pd.Series(["" if v is None else str(getattr(v, "value", v)) for v in values], dtype="str")
    return pd.Series([np.nan if value is None else float(value) for value in values], dtype="float64")
