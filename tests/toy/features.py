"""Two matrices; the town is encoded by its mean residual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.contract.columns import local_time
from services.core.contract.use_case import Arrays, Columns, Features, RegressionPrediction, TargetPrediction

FEATURE_NAMES = {"all": ("distance", "letter", "hour", "town_delay"), "kind": ("letter", "distance")}
FEATURE_INPUTS = {"distance": ("distance",), "letter": ("kind",), "hour": ("called_at",), "town_delay": ("town",)}


@dataclass(frozen=True, slots=True)
class Fitted:
    towns: dict[str, float]


def fit(
    columns: Columns,
    labels: Mapping[str, NDArray[np.float64]],
    reference: Mapping[str, NDArray[Any]],
    context: Mapping[str, Any],
) -> Arrays:
    residual = labels["seconds"] - 120.0 * columns["distance"]
    towns = sorted({town for town in columns["town"] if town})
    delays = [float(np.nanmean(residual[columns["town"] == town])) for town in towns]
    return {"towns": np.array(towns, dtype=str), "delays": np.array(delays, dtype=np.float64)}


def prepare(arrays: Mapping[str, NDArray[Any]]) -> Fitted:
    return Fitted(dict(zip(arrays["towns"].tolist(), arrays["delays"].tolist(), strict=True)))


def features(columns: Columns, fitted: Fitted, context: Mapping[str, Any]) -> Features:
    distance = columns["distance"]
    letter = np.array([float(kind == "letter") for kind in columns["kind"]])
    everything = np.empty((len(distance), 4), dtype=np.float32)
    everything[:, 0] = distance
    everything[:, 1] = letter
    everything[:, 2] = local_time(columns["called_at"], "Europe/London").hour
    everything[:, 3] = [fitted.towns.get(town, np.nan) for town in columns["town"]]
    kind = np.empty((len(distance), 2), dtype=np.float32)
    kind[:, 0] = letter
    kind[:, 1] = distance
    return Features({"all": everything, "kind": kind}, {"letter": letter})


def post_training_checks(
    columns: Columns, labels: Mapping[str, NDArray[np.float64]], values: Mapping[str, TargetPrediction], fitted: Fitted
) -> Arrays:
    seconds = values["seconds"]
    assert isinstance(seconds, RegressionPrediction)
    return {"audit_bias": np.array(float(np.nanmean(labels["seconds"] - seconds.value)))}
