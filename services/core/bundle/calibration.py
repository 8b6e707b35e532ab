"""Calibration of a model's raw output, stored as JSON and applied in NumPy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict


class RegressionCalibration(BaseModel):
    """Conformalised quantiles (Romano, Patterson, Candès 2019): ``widen`` is added on both sides of
    the quantile boosters' interval, per group of the fact ``by`` and ``otherwise`` for the rest."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["quantity"] = "quantity"
    by: str | None = None
    groups: dict[str, float] = {}
    otherwise: float = 0.0
    shift: float = 0.0
    minimum: float | None = None

    def widen(self, facts: dict[str, Any], n: int) -> NDArray[np.float64]:
        if self.by is None or not self.groups:
            return np.full(n, self.otherwise)
        values = np.asarray(facts[self.by]).tolist()
        return np.array([self.groups.get(group_key(value), self.otherwise) for value in values])


class BinaryCalibration(BaseModel):
    """A monotone map of the averaged raw probability, as points joined by straight lines."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["probability"] = "probability"
    x: list[float]
    y: list[float]
    threshold: float


class MultiClassCalibration(BaseModel):
    """Temperature and bias per class on the log of the averaged probabilities (Guo et al. 2017)."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["classes"] = "classes"
    temperature: float = 1.0
    bias: list[float]


class FusionWeights(BaseModel):
    """What makes probabilities of the scores of some experts: softmax of the offset per class and the sum of the
    scores, each by its slope (Platt 1999, for several scores and classes)."""

    model_config = ConfigDict(extra="forbid")
    slopes: dict[str, float]
    offsets: list[float]


class FusionCalibration(BaseModel):
    """Late fusion: one weighing for each set of experts that can be there, since one alone is less sure than it is
    in company; the shares of the classes where none is."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["fusion"] = "fusion"
    subsets: dict[str, FusionWeights]
    """Names of experts joined by ``+``, in the order of the declaration."""
    prior: list[float]


Calibration = RegressionCalibration | BinaryCalibration | MultiClassCalibration | FusionCalibration


def subset_name(experts: Iterable[str]) -> str:
    """What ``FusionCalibration.subsets`` calls these experts, given in the order of the declaration."""
    return "+".join(experts)


def group_key(value: Any) -> str:
    """The name of a group in JSON: whole numbers without a fraction."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)
