"""Feature function of ``wine_quality``: the measurements, and quantities that chemists derive from them.

Plain arithmetic on columns; nothing is learned, so no label can leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from services.core.contract.use_case import Columns, Features
from services.use_cases.wine_quality.request import MEASUREMENT_NAMES

_MADE: Mapping[str, tuple[str, ...]] = {
    "bound_sulfur_dioxide": ("total_sulfur_dioxide", "free_sulfur_dioxide"),
    "free_share": ("free_sulfur_dioxide", "total_sulfur_dioxide"),
    "molecular_sulfur_dioxide": ("free_sulfur_dioxide", "ph"),
    "total_acidity": ("fixed_acidity", "volatile_acidity"),
    "volatile_share": ("volatile_acidity", "fixed_acidity"),
    "extract": ("density", "alcohol", "residual_sugar"),
    "sugar_to_acid": ("residual_sugar", "fixed_acidity", "volatile_acidity"),
    "sulphates_to_chlorides": ("sulphates", "chlorides"),
    "alcohol_by_density": ("alcohol", "density"),
}
FEATURE_NAMES: Mapping[str, tuple[str, ...]] = {"wine": ("red", *MEASUREMENT_NAMES, *_MADE)}
FEATURE_INPUTS: Mapping[str, tuple[str, ...]] = {
    "red": ("colour",),
    **{name: (name,) for name in MEASUREMENT_NAMES},
    **_MADE,
}

_TINY = 1e-3
"""Added below a division line, so that a measurement of 0 has a quotient too."""


def features(columns: Columns, fitted: None, context: Mapping[str, Any]) -> Features:
    """Compute the feature matrix ``wine`` of n wines.

    Args:
        columns: ``colour`` (n,), str, and the measurements (n,), float64, in the units of the request fields.
        fitted: not used.
        context: not used.

    Returns:
        The matrix (n, p), float32, in the order of ``FEATURE_NAMES`` and the measurements' units. Fact: ``colour``
        (n,), str, whose wines have an interval width of their own.
    """
    of = columns
    colour = of["colour"]
    acid = of["fixed_acidity"] + of["volatile_acidity"]
    made = [
        of["total_sulfur_dioxide"] - of["free_sulfur_dioxide"],
        of["free_sulfur_dioxide"] / (of["total_sulfur_dioxide"] + _TINY),
        of["free_sulfur_dioxide"] / (1.0 + 10.0 ** (of["ph"] - 1.81)),
        acid,
        of["volatile_acidity"] / (of["fixed_acidity"] + _TINY),
        of["density"] + 0.00103 * of["alcohol"] - 0.00038 * of["residual_sugar"],
        of["residual_sugar"] / (acid + _TINY),
        of["sulphates"] / (of["chlorides"] + _TINY),
        of["alcohol"] * of["density"],
    ]
    red = (colour == "red").astype(np.float64)
    matrix = np.stack([red, *(of[name] for name in MEASUREMENT_NAMES), *made], axis=1).astype(np.float32)
    return Features({"wine": np.ascontiguousarray(matrix)}, {"colour": colour})
