"""What is scored: a model's or the baseline's values for the rows of each target and variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.core.usecases import columns as column_tools
from services.core.usecases.contract import ClassesValue, ProbabilityValue, QuantityValue, Target, UseCase, Value

if TYPE_CHECKING:
    import pandas as pd

    from services.core.bundle.predictor import Predictor

Columns = dict[str, NDArray[Any]]
Answer = Callable[[Columns, Mapping[str, Any], NDArray[np.int64]], Mapping[str, Value]]
"""Columns, context and the rows' positions in the examples -> values of every target."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One entry of the report: a target as it is, for a part of its rows, or as a variant sees it."""

    name: str
    target: Target
    rows: NDArray[np.int64]
    """Positions in the examples of the target's rows, in their order."""
    label: NDArray[np.float64]
    value: Value


def answers(use_case: UseCase, examples: pd.DataFrame, context: Mapping[str, Any], answer: Answer) -> list[Answers]:
    """Ask for every target, then look at its parts and ask for every variant. What has no row is left out."""
    columns = column_tools.from_frame(use_case.request, examples)
    labels = {t.name: examples[t.label].to_numpy(dtype=np.float64, na_value=np.nan) for t in use_case.targets}
    rows = {name: np.flatnonzero(~np.isnan(label)) for name, label in labels.items()}
    if not any(len(chosen) for chosen in rows.values()):
        return []
    values = answer(columns, context, np.arange(len(examples)))
    found = [
        Answers(t.name, t, rows[t.name], labels[t.name][rows[t.name]], take(values[t.name], rows[t.name]))
        for t in use_case.targets
        if len(rows[t.name])
    ]
    for part in use_case.parts:
        of = rows[part.target]
        chosen = of[(examples[part.column].iloc[of] == part.value).to_numpy(dtype=bool)]
        if len(chosen):
            value, label = take(values[part.target], chosen), labels[part.target][chosen]
            found.append(Answers(part.name, use_case.target(part.target), chosen, label, value))
    for variant in use_case.variants:
        chosen = rows[variant.target]
        if len(chosen):
            changed, its_context = variant.apply(column_tools.take(columns, chosen), context)
            value = answer(changed, its_context, chosen)[variant.target]
            target = use_case.target(variant.target)
            found.append(Answers(variant.name, target, chosen, labels[variant.target][chosen], value))
    return found


def of_predictor(predictor: Predictor) -> Answer:
    return lambda columns, context, _rows: predictor.predict(columns, context).values


def of_baseline(use_case: UseCase) -> Answer:
    """The declared baseline, asked row by row as serving would. It is given no context."""

    def answer(columns: Columns, _context: Mapping[str, Any], _rows: NDArray[np.int64]) -> Mapping[str, Value]:
        per_row = [use_case.baseline(request)[0] for request in requests(use_case, columns)]
        return {target.name: stack([values[target.name] for values in per_row]) for target in use_case.targets}

    return answer


def requests(use_case: UseCase, columns: Columns) -> list[dict[str, Any]]:
    """The rows as validated requests hold them: Python values, None for missing."""
    python: dict[str, list[Any]] = {}
    for name, kind in column_tools.kinds(use_case.request).items():
        values = columns[name].tolist()
        if kind in {"category", "text"}:
            python[name] = [value or None for value in values]
        elif kind == "time":
            python[name] = [None if isnan(value) else datetime.fromtimestamp(value, UTC) for value in values]
        elif kind == "date":
            python[name] = [None if isnan(value) else datetime.fromtimestamp(value, UTC).date() for value in values]
        elif kind == "flag":
            python[name] = [None if isnan(value) else bool(value) for value in values]
        else:
            python[name] = [None if isnan(value) else value for value in values]
    names = list(python)
    return [dict(zip(names, row, strict=True)) for row in zip(*python.values(), strict=True)]


def stack(values: list[Value]) -> Value:
    """Many rows' scalars as one value of arrays. The threshold is the first row's."""
    first = values[0]
    if isinstance(first, QuantityValue):
        parts = [(v.value, v.lower, v.upper) for v in values if isinstance(v, QuantityValue)]
        table = np.array(parts, dtype=np.float64)
        return QuantityValue(table[:, 0], table[:, 1], table[:, 2])
    if isinstance(first, ProbabilityValue):
        chances = [v.probability for v in values if isinstance(v, ProbabilityValue)]
        return ProbabilityValue(np.array(chances, dtype=np.float64), first.threshold)
    rows = [v.probabilities for v in values if isinstance(v, ClassesValue)]
    return ClassesValue(np.array(rows, dtype=np.float64), first.labels)


def take(value: Value, rows: Any) -> Value:
    """The chosen rows of a value."""
    if isinstance(value, QuantityValue):
        return QuantityValue(value.value[rows], value.lower[rows], value.upper[rows])
    if isinstance(value, ProbabilityValue):
        return ProbabilityValue(value.probability[rows], value.threshold)
    return ClassesValue(value.probabilities[rows], value.labels)
