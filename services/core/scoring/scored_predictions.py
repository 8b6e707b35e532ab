"""Predictions and labels to score: a model's or the baseline's for the rows of each target, scenario and slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.core.contract import columns as column_tools
from services.core.contract.outputs import describe_value
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
"""Request field -> (n,); see ``services.core.contract.modules.Columns``."""
PredictFunction = Callable[[Columns, Mapping[str, Any], NDArray[np.int64]], Mapping[str, TargetPrediction]]
"""Columns, context and the rows' positions in the examples -> values of every target."""


@dataclass(frozen=True, slots=True)
class ScoredPredictions:
    """Labels and predictions of one entry of the report: a target, a slice of its rows, or an input scenario.

    Attributes:
        name: Name of the target, slice or scenario.
        target: The target.
        rows: Positions of the m rows in the examples, in their order, int64 (m,).
        label: Labels, float64 (m,); classes are their places among the value's.
        value: Predictions of the m rows.
    """

    name: str
    target: Target
    rows: NDArray[np.int64]
    label: NDArray[np.float64]
    value: TargetPrediction


def score_variants(
    use_case: UseCase, examples: pd.DataFrame, context: Mapping[str, Any], answer: PredictFunction
) -> list[ScoredPredictions]:
    """Predict examples as they are and under each input scenario, and match the predictions with the labels.

    Labels that are names of classes are matched with the classes that were answered.

    Args:
        use_case: The declaration.
        examples: n rows with the request's fields, labels and columns of subgroups.
        context: What is known from outside, as ``RawData.training_context`` makes it.
        answer: Predicts rows: a model or the baseline.

    Returns:
        Targets, then slices, then scenarios; those without rows are skipped.
    """
    columns = column_tools.from_frame(use_case.serving.request, examples)
    rows = {t.name: np.flatnonzero(examples[t.label].notna().to_numpy()) for t in use_case.modelling.targets}
    if not any(len(chosen) for chosen in rows.values()):
        return []

    def entry(name: str, target: Target, chosen: NDArray[np.int64], value: TargetPrediction) -> ScoredPredictions:
        label, matched = align_labels(examples[target.label].iloc[chosen], value)
        return ScoredPredictions(name, target, chosen, label, matched)

    values = answer(columns, context, np.arange(len(examples)))
    found = [
        entry(t.name, t, rows[t.name], take_rows(values[t.name], rows[t.name]))
        for t in use_case.modelling.targets
        if len(rows[t.name])
    ]
    variants = []
    for variant in use_case.modelling.input_scenarios:
        chosen = rows[variant.target]
        if len(chosen):
            changed, its_context = column_tools.of_variant(
                use_case, variant, column_tools.select_rows(columns, chosen), context
            )
            value = answer(changed, its_context, chosen)[variant.target]
            variants.append(entry(variant.name, use_case.target(variant.target), chosen, value))
    whole = {item.name: item for item in (*found, *variants)}
    parts = []
    for part in use_case.modelling.evaluation_slices:
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
    """Convert labels to numbers; names of classes become places among the classes of the predictions.

    Classes that the model does not know are appended with probability 0, so that they count as missed.

    Args:
        label: Labels of n rows.
        value: Predictions of the same rows.

    Returns:
        Labels, float64 (n,), NaN where there is none, and the predictions, with the appended classes.
    """
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
    """Return a function that predicts rows with a bundle."""
    return lambda columns, context, _rows: predictor.predict(columns, context).values


def predict_with_baseline(use_case: UseCase) -> PredictFunction:
    """Return a function that predicts rows with the declared baseline, one by one as serving does, without context."""

    def answer(
        columns: Columns, _context: Mapping[str, Any], _rows: NDArray[np.int64]
    ) -> Mapping[str, TargetPrediction]:
        per_row = [use_case.serving.fallback_prediction(request)[0] for request in to_requests(use_case, columns)]
        return {
            target.name: stack_predictions([values[target.name] for values in per_row])
            for target in use_case.modelling.targets
        }

    return answer


def to_requests(use_case: UseCase, columns: Columns) -> list[dict[str, Any]]:
    """Convert columns to rows as validated requests hold them.

    Args:
        use_case: The declaration.
        columns: Request field -> (n,).

    Returns:
        n requests: field -> Python value, None for missing.
    """
    python: dict[str, list[Any]] = {}
    for name, kind in column_tools.column_types(use_case.serving.request).items():
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
    """Stack predictions of single rows into one of arrays.

    Args:
        values: n predictions of one kind, of scalars, or of (k,) for classes.

    Returns:
        One prediction of float64 (n,), or (n, k) for classes; threshold and labels are the first row's.
    """
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
    """Select rows of predictions.

    Args:
        value: Predictions of n rows.
        rows: Indices, int64 (m,), a mask (n,) or a slice.

    Returns:
        Predictions of the m rows.
    """
    if isinstance(value, RegressionPrediction):
        return RegressionPrediction(value.value[rows], value.lower[rows], value.upper[rows])
    if isinstance(value, BinaryPrediction):
        return BinaryPrediction(value.probability[rows], value.threshold)
    return MultiClassPrediction(value.probabilities[rows], value.labels)


def constant_test_labels(scored: Sequence[ScoredPredictions]) -> list[str]:
    """State reasons against models that are scored on one value: whoever answers it is perfect.

    Args:
        scored: A model's answers to the test rows, one entry per target and variant.

    Returns:
        One sentence for each target whose labels are constant; a variant's may be.
    """
    return [
        f"{item.name} is {describe_value(item.target.output, item.label[0])} in all {len(item.label):,} test rows, "
        "so nothing can be measured on it."
        for item in scored
        if item.name == item.target.name and len(item.label) and (item.label == item.label[0]).all()
    ]
