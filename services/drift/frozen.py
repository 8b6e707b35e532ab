"""The champion on its frozen test rows: the reference that its live answers are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from services.core.bundle.predictor import Predictor
from services.core.registry.version import Version
from services.core.scoring.answers import matching
from services.core.usecases.columns import kinds
from services.core.usecases.contract import UseCase, Value
from services.drift.losses import loss_name, losses
from services.drift.models import Models

_SEED = 5
_NOTABLY = 0.05


@dataclass(frozen=True)
class Frozen:
    """The champion on its frozen test rows."""

    frame: pd.DataFrame
    values: Mapping[str, Value]
    facts: Mapping[str, Any]
    sample: pd.DataFrame
    """The bundle's reference sample, whose words the model knows."""
    scale: Mapping[str, float]
    """Target -> what losses are multiplied by: not 1 where the bundle has learned from these rows (cross-validation),
    which makes its own answers to them look too good."""


def frozen_of(models: Models, version: Version, predictor: Predictor, window: pd.DataFrame) -> Frozen:
    """The frozen rows as callers would have sent them: what they leave out is left out there as often, or a model
    would be blamed for what it is not told."""
    frame, report = models.frozen(version)
    scale = {}
    for target in models.use_case.targets:
        if (target.split or models.use_case.split).kind == "cross":
            own = losses(*matching(frame[target.label], models.predict(predictor, frame).values[target.name]))
            honest = report["every_metric"].get(target.name, {}).get(loss_name(target))
            scale[target.name] = float(honest / np.nanmean(own)) if honest and np.nanmean(own) > 0 else 1.0
    frame = _told_as_little(models.use_case, frame, window)
    prediction = models.predict(predictor, frame)
    return Frozen(frame, prediction.values, prediction.facts, models.reference(predictor), scale)


def _told_as_little(use_case: UseCase, frame: pd.DataFrame, window: pd.DataFrame) -> pd.DataFrame:
    made = frame.copy()
    generator = np.random.default_rng(_SEED)
    for name, kind in kinds(use_case.request).items():
        if use_case.request.model_fields[name].is_required() or kind in {"time", "date"}:
            continue
        known, live = _share_known(made[name], kind), _share_known(window[name], kind)
        if known > 0 and live < known - _NOTABLY:
            blank = generator.random(len(made)) >= live / known
            made.loc[blank, name] = {"category": "", "text": "", "image": None}.get(kind, np.nan)
    return made


def _share_known(series: pd.Series, kind: str) -> float:
    present = series.notna() & (series.astype(str) != "") if kind in {"category", "text"} else series.notna()
    return float(present.mean())
