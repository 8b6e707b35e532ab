"""Loads what a monitoring run compares: logged calls, the bundles of versions, and held-out test predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from services.core.bundle.predictor import Prediction, Predictor, load_arrays
from services.core.contract import columns as column_tools
from services.core.contract.columns import column_types
from services.core.contract.use_case import TargetPrediction, UseCase
from services.core.errors import VigieError
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.version import CHALLENGER, CHAMPION, RegisteredVersion, Tag
from services.core.monitoring.drift_state import is_quarantined
from services.core.paths import VigiePaths
from services.core.prediction_log.label_export import to_label_columns, to_request_columns, to_series
from services.core.prediction_log.queries import latest_labels, reports_for
from services.core.prediction_log.tables import PredictionRow
from services.core.scoring.scored_predictions import align_labels
from services.drift.statistics import loss_name, row_losses

_P = PredictionRow
_CHUNK = 500
_DAY_SECONDS = 86_400
_COLUMNS = (
    _P.id, _P.use_case, _P.centre, _P.request_id, _P.row_index, _P.incident_id, _P.received_at, _P.model_version,
    _P.source, _P.request, _P.kind, _P.watched,
)  # fmt: skip


def read_window(
    connection: Connection,
    use_case: UseCase,
    kinds: Sequence[str],
    *,
    days: float,
    maximum: int,
    held: list[dict[str, Any]],
) -> pd.DataFrame:
    """Read the newest logged calls with their features and labels, one row for each distinct request and version.

    Args:
        connection: to the prediction log.
        use_case: whose calls.
        kinds: types of traffic, such as ``live``.
        days: length of the window before its newest call, by the calls' own time.
        maximum: most rows to read.
        held: label quarantines in force; their labels are NaN here and stand in ``held.<label>`` (``call_held``).

    Returns:
        n rows in the order of ``event_time`` (UTC): request fields, labels (float64, NaN where unknown), ``call_*``;
        ``call_repeats`` says how many calls a row stands for. Empty where there are none.
    """
    query = select(*_COLUMNS).where(_P.use_case == use_case.name, _P.kind.in_(kinds))
    found = [dict(row) for row in connection.execute(query.order_by(_P.received_at.desc()).limit(maximum)).mappings()]
    rows = []
    for start in range(0, len(found), _CHUNK):
        part = found[start : start + _CHUNK]
        reports = reports_for(connection, part)
        rows += [made for row in part if (made := _row(use_case, row, reports.get(row["id"], ()), held))]
    return _within_days(_deduplicate(use_case, _frame(use_case, rows)), days)


def drift_features_of(frame: pd.DataFrame) -> dict[str, Any]:
    """Derived features of texts and images that were logged with the n calls.

    Returns:
        Feature -> values (n,), object; None where a call has none.
    """
    kept = frame["call_watched"]
    names = sorted({name for item in kept if isinstance(item, Mapping) for name in item})
    return {name: np.array([(item or {}).get(name) for item in kept], dtype=object) for name in names}


def day_numbers(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Day of each call by its own time (UTC): days since 1970 (n,), int64."""
    seconds = frame["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return np.floor(seconds / _DAY_SECONDS).astype(np.int64)


def _row(
    use_case: UseCase,
    row: Mapping[str, Any],
    mine: Sequence[Mapping[str, Any]],
    held: list[dict[str, Any]],
) -> dict[str, Any] | None:
    request = to_request_columns(use_case, row["request"], row["received_at"])
    if request is None:
        return None
    good = [report for report in mine if not is_quarantined(held, report["centre"], report["received_at"])]
    bad = [report for report in mine if report not in good]
    labels = to_label_columns(use_case, latest_labels(good))
    nothing = {target.label: float("nan") for target in use_case.modelling.targets}
    kept_back = to_label_columns(use_case, latest_labels(bad)) or nothing
    return {
        **request,
        **(labels or nothing),
        **{f"held.{name}": value for name, value in kept_back.items()},
        "call_id": row["id"],
        "call_centre": row["centre"],
        "call_version": row["model_version"],
        "call_source": row["source"],
        "call_received_at": row["received_at"],
        "call_reported_at": max((report["received_at"] for report in mine), default=None),
        "call_held": bool(bad) and not labels,
        "call_watched": row["watched"],
    }


def _frame(use_case: UseCase, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame()
    columns: dict[str, pd.Series] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in {"call_received_at", "call_reported_at"}:
            columns[name] = pd.Series(pd.to_datetime(pd.Series(values), utc=True)).astype("datetime64[us, UTC]")
        elif name in {"call_held", "call_watched"}:
            columns[name] = pd.Series(values, dtype="bool" if name == "call_held" else "object")
        else:
            columns[name] = to_series(use_case, name, values)
    frame = pd.DataFrame(columns)
    moment = (
        frame[use_case.serving.time_field] if use_case.serving.time_field is not None else frame["call_received_at"]
    )
    frame["event_time"] = moment.fillna(frame["call_received_at"])
    frame[use_case.data.group_column] = frame["call_id"]
    return frame


def _deduplicate(use_case: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each distinct request and version, one with a label first; ``call_repeats`` counts the calls."""
    if frame.empty:
        return frame
    same = [*use_case.serving.request.model_fields, "call_version"]
    labels = [target.label for target in use_case.modelling.targets]
    repeats = frame.groupby(same, dropna=False, sort=False)["call_id"].transform("size")
    told = frame[labels].notna().any(axis=1)
    ordered = frame.assign(call_repeats=repeats, _told=told).sort_values(["_told", "call_received_at"], kind="stable")
    return ordered.drop_duplicates(same, keep="last").drop(columns="_told")


def _within_days(frame: pd.DataFrame, days: float) -> pd.DataFrame:
    if frame.empty:
        return frame
    newest = frame["event_time"].max()
    inside = frame[frame["event_time"] > newest - timedelta(days=days)]
    return inside.sort_values(["event_time", "call_id"], kind="stable", ignore_index=True)


log = structlog.get_logger(__name__)


@dataclass
class ModelVersions:
    """The registered versions of a use case, their bundles downloaded into ``folder`` and loaded once."""

    use_case: UseCase
    registry: ModelRegistry
    home: VigiePaths
    folder: Path
    _loaded: dict[int, Predictor | None] = field(default_factory=dict)
    _context: Mapping[str, Any] | None = None

    def champion(self) -> RegisteredVersion | None:
        """The version that serves; None where there is none."""
        return self.registry.by_alias(self.use_case.name, CHAMPION)

    def challenger(self) -> RegisteredVersion | None:
        """The version that waits for promotion; None where there is none."""
        return self.registry.by_alias(self.use_case.name, CHALLENGER)

    def before(self, champion: RegisteredVersion) -> RegisteredVersion | None:
        """The version whose place the champion took."""
        number = champion.tags.get(Tag.FOLLOWS, "")
        return self.registry.version(self.use_case.name, int(number)) if number.isdigit() else None

    def predictor(self, version: RegisteredVersion) -> Predictor | None:
        """The version's bundle, ready to answer; None where it cannot be run by this code."""
        if version.number not in self._loaded:
            try:
                folder = self.registry.download(version, self.folder / f"version-{version.number}")
                self._loaded[version.number] = Predictor(self.use_case, folder)
            except VigieError as error:
                log.warning("version cannot be asked", version=version.number, reason=str(error).splitlines()[0])
                self._loaded[version.number] = None
        return self._loaded[version.number]

    def predict(self, predictor: Predictor, frame: pd.DataFrame) -> Prediction:
        """Predictions for n rows, bit for bit those that the version returned, or would have returned, to callers."""
        return predictor.predict(column_tools.from_frame(self.use_case.serving.request, frame), self.context())

    def context(self) -> Mapping[str, Any]:
        """Published context for predictions, such as the weather: only what the last run of the pipeline knew."""
        if self._context is None:
            path = self.home.data(self.use_case.name) / "examples" / "context.npz"
            self._context = load_arrays(path) if path.is_file() else {}
        return self._context

    def frozen(self, version: RegisteredVersion) -> tuple[pd.DataFrame, dict[str, Any]]:
        """The version's held-out test rows, and the content of its ``metrics.json``."""
        folder = self.registry.download_evaluation(version, self.folder / f"evaluation-{version.number}")
        report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return pd.read_parquet(folder / "test.parquet"), report

    def reference(self, predictor: Predictor) -> pd.DataFrame:
        """The bundle's reference sample: requests with their predictions."""
        return pd.read_parquet(predictor.folder / "reference.parquet")


_SEED = 5
_MIN_DIFFERENCE = 0.05


@dataclass(frozen=True)
class HoldoutReference:
    """The champion's predictions on its k held-out test rows: the reference of live metrics."""

    frame: pd.DataFrame
    values: Mapping[str, TargetPrediction]
    extras: Mapping[str, Any]
    sample: pd.DataFrame
    """The bundle's reference sample, whose words the model knows."""
    scale: Mapping[str, float]
    """Target -> what losses are multiplied by: not 1 where the bundle has learned from these rows (cross-validation),
    which makes its own answers to them look too good."""


def holdout_reference(
    models: ModelVersions, version: RegisteredVersion, predictor: Predictor, window: pd.DataFrame
) -> HoldoutReference:
    """Predict the champion's held-out test rows, with optional fields masked as often as live callers omit them.

    Otherwise a model would be blamed for what it does not know.

    Args:
        models: the versions of the use case.
        version: the champion.
        predictor: its bundle.
        window: n live calls, whose share of missing values each field takes.

    Returns:
        The k rows, their predictions and facts, the bundle's reference sample, and the factors of losses.
    """
    frame, report = models.frozen(version)
    scale = {}
    for target in models.use_case.modelling.targets:
        if (target.split or models.use_case.modelling.split).kind == "cross":
            own = row_losses(*align_labels(frame[target.label], models.predict(predictor, frame).values[target.name]))
            honest = report["every_metric"].get(target.name, {}).get(loss_name(target))
            scale[target.name] = float(honest / np.nanmean(own)) if honest and np.nanmean(own) > 0 else 1.0
    frame = _mask_like_traffic(models.use_case, frame, window)
    prediction = models.predict(predictor, frame)
    return HoldoutReference(frame, prediction.values, prediction.extras, models.reference(predictor), scale)


def _mask_like_traffic(use_case: UseCase, frame: pd.DataFrame, window: pd.DataFrame) -> pd.DataFrame:
    made = frame.copy()
    generator = np.random.default_rng(_SEED)
    for name, kind in column_types(use_case.serving.request).items():
        if use_case.serving.request.model_fields[name].is_required() or kind in {"time", "date"}:
            continue
        known, live = _share_present(made[name], kind), _share_present(window[name], kind)
        if known > 0 and live < known - _MIN_DIFFERENCE:
            blank = generator.random(len(made)) >= live / known
            made.loc[blank, name] = {"category": "", "text": "", "image": None}.get(kind, np.nan)
    return made


def _share_present(series: pd.Series, kind: str) -> float:
    present = series.notna() & (series.astype(str) != "") if kind in {"category", "text"} else series.notna()
    return float(present.mean())
