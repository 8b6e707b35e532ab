"""What each field adds to what experts answer: Shapley values of the fields that the experts look at (Shapley 1953;
a few fields, so all sets of them are asked for). A field that is left out was not sent."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.predictor import Predictor
from services.core.usecases.columns import without
from services.core.usecases.contract import ClassesValue, LateFusion

Output = tuple[str, float, float, dict[str, float]]
"""Class, its probability, what it is when nothing is sent, and what each field adds."""


def left_out(
    predictor: Predictor, columns: Mapping[str, NDArray[Any]], context: Mapping[str, Any]
) -> dict[str, list[Output]]:
    """Target -> its outputs, for the one row of ``columns``. Targets without experts are left out."""
    request, explained = predictor.use_case.request, {}
    answered: dict[frozenset[str], Mapping[str, Any]] = {}

    def answer(target: str, sent: frozenset[str], fields: tuple[str, ...]) -> NDArray[np.float64]:
        if sent not in answered:
            seen = without(request, columns, [field for field in fields if field not in sent])
            answered[sent] = predictor.predict(seen, context).values
        value = answered[sent][target]
        assert isinstance(value, ClassesValue)
        return np.asarray(value.probabilities[0])

    for target in predictor.use_case.targets:
        if not isinstance(target.learner, LateFusion):
            continue
        answered.clear()
        fields = tuple(dict.fromkeys(field for expert in target.learner.experts for field in expert.fields))
        added = {field: _share(field, fields, lambda sent: answer(target.name, sent, fields)) for field in fields}  # noqa: B023
        whole, base = (answer(target.name, sent, fields) for sent in (frozenset(fields), frozenset[str]()))
        value = answered[frozenset(fields)][target.name]
        explained[target.name] = [
            (
                label,
                float(whole[place]),
                float(base[place]),
                {name: float(added[name][place]) if name in added else 0.0 for name in request.model_fields},
            )
            for place, label in enumerate(value.labels)
        ]
    return explained


def _share(field: str, fields: tuple[str, ...], answer: Any) -> NDArray[np.float64]:
    """The mean of what the field adds to all sets of the others, sets of each size alike."""
    others = [other for other in fields if other != field]
    total: Any = 0.0
    for size in range(len(others) + 1):
        for chosen in combinations(others, size):
            gain = answer(frozenset((*chosen, field))) - answer(frozenset(chosen))
            total = total + gain / (len(fields) * comb(len(others), size))
    share: NDArray[np.float64] = total
    return share
