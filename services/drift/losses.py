"""What a wrong answer costs, row by row: a mean over rows, so that any group of calls can be judged by it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.contract import (
    Classes,
    Probability,
    ProbabilityValue,
    Quantity,
    QuantityValue,
    Target,
    Value,
)

Floats = NDArray[np.float64]


def loss_name(target: Target) -> str:
    """The metric that is the mean of ``losses``."""
    return {Quantity: "mae", Probability: "brier", Classes: "log_loss"}[type(target.output)]


def losses(label: Floats, value: Value) -> Floats:
    """Absolute error, squared error of the probability, or minus the logarithm of the true class's probability (n,).
    NaN where there is no label."""
    if isinstance(value, QuantityValue):
        return np.abs(np.asarray(value.value) - label)
    if isinstance(value, ProbabilityValue):
        return (np.asarray(value.probability) - label) ** 2
    known = ~np.isnan(label)
    found = np.full(len(label), np.nan)
    chance = np.asarray(value.probabilities)[np.flatnonzero(known), label[known].astype(np.int64)]
    found[known] = -np.log(np.clip(chance, 1e-15, 1))
    return found


def expected_losses(value: Value) -> Floats:
    """What the answers themselves expect to lose (n,), from calibrated probabilities and predicted intervals. For
    quantities it is half the interval's width: right up to a factor, which the frozen test rows give."""
    if isinstance(value, QuantityValue):
        return (np.asarray(value.upper) - np.asarray(value.lower)) / 2
    if isinstance(value, ProbabilityValue):
        chance = np.asarray(value.probability)
        return np.asarray(chance * (1 - chance))
    chances = np.clip(np.asarray(value.probabilities), 1e-15, 1)
    return np.asarray(-(chances * np.log(chances)).sum(axis=1))


def one_number(value: Value) -> NDArray[Any]:
    """The answer as a number per row: value, probability, or the likeliest class."""
    if isinstance(value, QuantityValue):
        return np.asarray(value.value)
    if isinstance(value, ProbabilityValue):
        return np.asarray(value.probability)
    return np.asarray(value.probabilities).argmax(axis=1)
