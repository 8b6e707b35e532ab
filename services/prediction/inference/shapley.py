"""Shapley values of the request fields (Shapley 1953), for models without a native explainer.

A late fusion is evaluated with the field missing. Any other estimator may not support missing values, so an absent
field has its usual value of the training rows instead: the base is then the output for a usual request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.predictor import Predictor
from services.core.contract.columns import mask_fields
from services.core.contract.use_case import (
    LateFusion,
    MultiClassPrediction,
    OnnxEstimator,
    RegressionPrediction,
    Target,
    TargetPrediction,
)

Floats = NDArray[np.float64]
ShapleyOutput = tuple[str | None, float, float, dict[str, float]]
"""Class (None if there are none), its output, its base, and the contribution of each field."""

_EXACT_FIELDS = 10
"""Up to this many fields all coalitions are evaluated; above it, fields join in this many random orders:"""
_ORDERS = 50


def exact_shapley(
    predictor: Predictor, columns: Mapping[str, NDArray[Any]], context: Mapping[str, Any]
) -> dict[str, list[ShapleyOutput]]:
    """Target -> attribution of its outputs, for the single row of ``columns``; boosted trees are omitted."""
    request, explained = predictor.use_case.serving.request, {}
    usual = {**columns, **_usual_values(predictor, columns)}
    for target in predictor.use_case.modelling.targets:
        fields = _explained_fields(predictor, target)
        if not fields:
            continue
        answered: dict[frozenset[str], TargetPrediction] = {}

        def answer(
            sent: frozenset[str],
            target: Target = target,
            fields: tuple[str, ...] = fields,
            answered: dict[frozenset[str], TargetPrediction] = answered,
        ) -> Floats:
            if sent not in answered:
                others = [field for field in fields if field not in sent]
                seen = (
                    mask_fields(request, columns, others)
                    if isinstance(target.learner, LateFusion)
                    else {**columns, **{field: usual[field] for field in others}}
                )
                answered[sent] = predictor.predict(seen, context).values[target.name]
            return _outputs(answered[sent])

        whole, base = answer(frozenset(fields)), answer(frozenset())
        value = answered[frozenset(fields)]
        added = _shapley_values(fields, answer)
        explained[target.name] = [
            (
                label,
                float(whole[place]),
                float(base[place]),
                {name: float(added[name][place]) if name in added else 0.0 for name in request.model_fields},
            )
            for place, label in enumerate(value.labels if isinstance(value, MultiClassPrediction) else (None,))
        ]
    return explained


def _explained_fields(predictor: Predictor, target: Target) -> tuple[str, ...]:
    """Request fields that the target's model uses; empty for boosted trees, which have an explainer of their own."""
    if isinstance(target.learner, LateFusion):
        return tuple(dict.fromkeys(field for expert in target.learner.modality_models for field in expert.fields))
    if not isinstance(target.learner, OnnxEstimator):
        return ()
    features = predictor.features
    used = {field for name in features.FEATURE_NAMES[target.matrix] for field in features.FEATURE_INPUTS.get(name, ())}
    return tuple(field for field in predictor.use_case.serving.request.model_fields if field in used)


def _usual_values(predictor: Predictor, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Field -> median or most frequent value of the training rows (1,); missing if they have none."""
    blank = mask_fields(predictor.use_case.serving.request, columns, list(predictor.inputs))
    for name, summary in predictor.inputs.items():
        value = summary.get("median", summary.get("usual"))
        if value is not None:
            blank[name] = np.full_like(columns[name], value)
    return blank


def _outputs(value: TargetPrediction) -> Floats:
    """Outputs (k,) of the single row: one probability per class, otherwise one number."""
    if isinstance(value, MultiClassPrediction):
        return np.asarray(value.probabilities[0])
    return np.asarray(value.value if isinstance(value, RegressionPrediction) else value.probability)


def _shapley_values(fields: tuple[str, ...], answer: Callable[[frozenset[str]], Floats]) -> dict[str, Floats]:
    """Field -> contribution to each output (k,): mean over all coalitions of the others, or over random orders."""
    if len(fields) <= _EXACT_FIELDS:
        return {field: _exact_value(field, fields, answer) for field in fields}
    added = {field: np.zeros_like(answer(frozenset())) for field in fields}
    generator = np.random.default_rng(0)
    for _ in range(_ORDERS):
        sent: frozenset[str] = frozenset()
        for field in generator.permutation(fields).tolist():
            added[field] += (answer(sent | {field}) - answer(sent)) / _ORDERS
            sent |= {field}
    return added


def _exact_value(field: str, fields: tuple[str, ...], answer: Callable[[frozenset[str]], Floats]) -> Floats:
    """Mean marginal contribution of the field to all coalitions of the others, each coalition size weighted alike."""
    others = [other for other in fields if other != field]
    total: Any = 0.0
    for size in range(len(others) + 1):
        for chosen in combinations(others, size):
            gain = answer(frozenset((*chosen, field))) - answer(frozenset(chosen))
            total = total + gain / (len(fields) * comb(len(others), size))
    share: Floats = total
    return share
