"""The registered versions of a use case, their bundles, and their predictions on held-out test rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog

from services.core.bundle.predictor import Prediction, Predictor, load_arrays
from services.core.contract import columns as column_tools
from services.core.contract.columns import column_types
from services.core.contract.use_case import TargetPrediction, UseCase
from services.core.errors import VigieError
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.version import CHALLENGER, CHAMPION, RegisteredVersion, Tag
from services.core.paths import VigiePaths
from services.core.scoring.scored_predictions import align_labels
from services.drift.statistics import loss_name, row_losses

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
