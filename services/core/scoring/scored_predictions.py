"""Predictions and labels to score: a model's or the baseline's values for the rows of each target, variant and
slice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.core.contract import columns as column_tools
from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    RegressionPrediction,
    Target,
    TargetPrediction,
    UseCase,
)

if TYPE_CHECKING:
    import pandas as pd

    from services.core.bundle.predictor import Predictor

Columns = dict[str, NDArray[Any]]
PredictFunction = Callable[[Columns, Mapping[str, Any], NDArray[np.int64]], Mapping[str, TargetPrediction]]
"""Columns, context and the rows' positions in the examples -> values of every target."""


@dataclass(frozen=True, slots=True)
class ScoredPredictions:
    """One entry of the report: a target as it is, for a part of its rows, or as a variant sees it."""

    name: str
    target: Target
    rows: NDArray[np.int64]
    """Positions in the examples of the target's rows, in their order."""
    label: NDArray[np.float64]
    value: TargetPrediction


def score_variants(
    use_case: UseCase, examples: pd.DataFrame, context: Mapping[str, Any], answer: PredictFunction
) -> list[ScoredPredictions]:
    """Ask for every target, then ask for every variant, and look at the parts of both. What has no row is left
    out. Labels that are names of classes are matched with the classes that were answered."""
    columns = column_tools.from_frame(use_case.request, examples)
    rows = {t.name: np.flatnonzero(examples[t.label].notna().to_numpy()) for t in use_case.targets}
    if not any(len(chosen) for chosen in rows.values()):
        return []

    def entry(name: str, target: Target, chosen: NDArray[np.int64], value: TargetPrediction) -> ScoredPredictions:
        label, matched = align_labels(examples[target.label].iloc[chosen], value)
        return ScoredPredictions(name, target, chosen, label, matched)

    values = answer(columns, context, np.arange(len(examples)))
    found = [
        entry(t.name, t, rows[t.name], take_rows(values[t.name], rows[t.name]))
        for t in use_case.targets
        if len(rows[t.name])
    ]
    variants = []
    for variant in use_case.variants:
        chosen = rows[variant.target]
        if len(chosen):
            changed, its_context = column_tools.of_variant(
                use_case, variant, column_tools.select_rows(columns, chosen), context
            )
            value = answer(changed, its_context, chosen)[variant.target]
            variants.append(entry(variant.name, use_case.target(variant.target), chosen, value))
    whole = {item.name: item for item in (*found, *variants)}
    parts = []
    for part in use_case.parts:
        of = whole.get(part.target)
        if of is None:
            continue
        here = np.flatnonzero((examples[part.column].iloc[of.rows] == part.value).to_numpy(dtype=bool))
        if len(here):
            parts.append(
                ScoredPredictions(part.name, of.target, of.rows[here], of.label[here], take_rows(of.value, here))
            )
    return [*found, *parts, *variants]


def align_labels(label: pd.Series, value: TargetPrediction) -> tuple[NDArray[np.float64], TargetPrediction]:
    """Labels as numbers (n,), NaN where there is none, and the value. Names of classes become places among the value's
    classes; those that it does not know are put behind them with probability 0, so that they count as missed."""
    if not isinstance(value, MultiClassPrediction) or label.dtype.kind in "iufb":
        return label.to_numpy(dtype=np.float64, na_value=np.nan), value
    known = label.notna().to_numpy()
    names = [str(name) for name in label[known]]
    unknown = tuple(sorted(set(names) - set(value.labels)))
    labels = value.labels + unknown
    place = {name: number for number, name in enumerate(labels)}
    numbers = np.full(len(label), np.nan)
    numbers[known] = [place[name] for name in names]
    chances = np.pad(np.asarray(value.probabilities), ((0, 0), (0, len(unknown))))
    return numbers, MultiClassPrediction(chances, labels)


def predict_with_model(predictor: Predictor) -> PredictFunction:
    return lambda columns, context, _rows: predictor.predict(columns, context).values


def predict_with_baseline(use_case: UseCase) -> PredictFunction:
    """The declared baseline, asked row by row as serving would. It is given no context."""

    def answer(
        columns: Columns, _context: Mapping[str, Any], _rows: NDArray[np.int64]
    ) -> Mapping[str, TargetPrediction]:
        per_row = [use_case.baseline(request)[0] for request in to_requests(use_case, columns)]
        return {
            target.name: stack_predictions([values[target.name] for values in per_row]) for target in use_case.targets
        }

    return answer


def to_requests(use_case: UseCase, columns: Columns) -> list[dict[str, Any]]:
    """The rows as validated requests hold them: Python values, None for missing."""
    python: dict[str, list[Any]] = {}
    for name, kind in column_tools.column_types(use_case.request).items():
        values = columns[name].tolist()
        if kind in {"category", "text"}:
            python[name] = [value or None for value in values]
        elif kind == "image":
            python[name] = values
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


def stack_predictions(values: list[TargetPrediction]) -> TargetPrediction:
    """Many rows' scalars as one value of arrays. The threshold is the first row's."""
    first = values[0]
    if isinstance(first, RegressionPrediction):
        parts = [(v.value, v.lower, v.upper) for v in values if isinstance(v, RegressionPrediction)]
        table = np.array(parts, dtype=np.float64)
        return RegressionPrediction(table[:, 0], table[:, 1], table[:, 2])
    if isinstance(first, BinaryPrediction):
        chances = [v.probability for v in values if isinstance(v, BinaryPrediction)]
        return BinaryPrediction(np.array(chances, dtype=np.float64), first.threshold)
    rows = [v.probabilities for v in values if isinstance(v, MultiClassPrediction)]
    return MultiClassPrediction(np.array(rows, dtype=np.float64), first.labels)


def take_rows(value: TargetPrediction, rows: Any) -> TargetPrediction:
    """The chosen rows of a value."""
    if isinstance(value, RegressionPrediction):
        return RegressionPrediction(value.value[rows], value.lower[rows], value.upper[rows])
    if isinstance(value, BinaryPrediction):
        return BinaryPrediction(value.probability[rows], value.threshold)
    return MultiClassPrediction(value.probabilities[rows], value.labels)
