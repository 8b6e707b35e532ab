"""The frozen test set on which champion and challenger are scored, and metrics per subgroup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.predictor import Predictor
from services.core.contract.use_case import UseCase, learned_class_targets
from services.core.scoring.metrics import metrics_of
from services.core.scoring.report import metric_by_group
from services.core.scoring.scored_predictions import PredictFunction, ScoredPredictions
from services.training.stage.splitting import CALIBRATE, TEST, TRAIN, cross_validation_folds, in_split, split_targets

if TYPE_CHECKING:
    import pandas as pd


def frozen_test_set(use_case: UseCase, examples: pd.DataFrame) -> pd.DataFrame:
    """Select the examples that are in the test slice of some target, with the columns that scoring needs.

    Those are request fields, labels, weights, group, subgroups, ``event_time`` and ``origin``.

    Args:
        use_case: Declares targets, split and subgroups.
        examples: All examples, one row each (n rows).

    Returns:
        The test rows, numbered from 0. A label is blank where the row is not in that target's test slice.

    Raises:
        VigieError: A column that the split needs is missing, or a slice has too few rows.
    """
    slices = split_targets(use_case, examples)
    labels = [target.label for target in use_case.modelling.targets]
    named = learned_class_targets(use_case)
    wanted = [
        *use_case.serving.request.model_fields,
        *labels,
        *(target.weight for target in use_case.modelling.targets if target.weight),
        use_case.data.group_column,
        *(subgroup.column for subgroup in use_case.modelling.subgroups),
        *(part.column for part in use_case.modelling.evaluation_slices),
        *(name for name in ("event_time", "origin") if name in examples),
    ]
    frame = examples[list(dict.fromkeys(wanted))].copy()
    for target in use_case.modelling.targets:
        label = frame[target.label]
        # Names of classes that are learned stay names: each model has numbers of its own for them.
        numbers = label if target.name in named else label.astype("float64")
        frame[target.label] = numbers.where(in_split(slices[target.name], TEST))
    return frame[np.any([frame[label].notna() for label in labels], axis=0)].reset_index(drop=True)


def learned_rows(use_case: UseCase, examples: pd.DataFrame, rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Find the rows that a model learned from, by equal request and labels.

    Args:
        use_case: Declares request, targets and split.
        examples: All examples that the model was made from.
        rows: n rows with the same columns.

    Returns:
        Mask bool (n,): in a training or calibration slice of some target.

    Raises:
        VigieError: A column that the split needs is missing, or a slice has too few rows.
    """
    slices = split_targets(use_case, examples)
    used = np.any([in_split(part, purpose) for part in slices.values() for purpose in (TRAIN, CALIBRATE)], axis=0)
    labels = (target.label for target in use_case.modelling.targets)
    columns = [*dict.fromkeys((*use_case.serving.request.model_fields, *labels))]
    known = set(_row_contents(examples[used], columns))
    return np.array([row in known for row in _row_contents(rows, columns)], dtype=bool)


def _row_contents(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The values of each row as text: a file's types are not always those of rows just made, numbers above all."""

    def word(value: Any) -> str:
        return repr(float(value)) if isinstance(value, int | float | np.number | np.bool_) else str(value)

    values = [["" if missing else word(value) for value, missing in _with_missing(frame, name)] for name in columns]
    return list(zip(*values, strict=True))


def _with_missing(frame: pd.DataFrame, name: str) -> Iterator[tuple[Any, bool]]:
    if name not in frame:
        return iter([("", True)] * len(frame))
    return zip(frame[name], frame[name].isna(), strict=True)


SubgroupMetrics = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Subgroup column -> value -> target or variant -> metric -> number, ``rows`` among the metrics."""


def measure_subgroups(
    use_case: UseCase, frame: pd.DataFrame, found: Sequence[ScoredPredictions], minimum_rows: int
) -> SubgroupMetrics:
    """Measure the deciding, guarded and reported metrics of each subgroup with enough rows of a target.

    Args:
        use_case: Declares the subgroups.
        frame: The frozen test set.
        found: Scored answers of each target and variant.
        minimum_rows: Rows that a subgroup needs.

    Returns:
        Metrics by subgroup column, value, target and metric; metrics that are not defined are missing.
    """
    import pandas as pd  # noqa: PLC0415

    measured: SubgroupMetrics = {}
    for subgroup in use_case.modelling.subgroups:
        codes, names = pd.factorize(subgroup_labels(frame[subgroup.column]), sort=True)
        here: dict[str, dict[str, dict[str, float]]] = {}
        for item in found:
            known, groups = metrics_of(item.target), codes[item.rows]
            chosen = (
                item.target.metric,
                *(guard.metric for guard in item.target.guardrails),
                *item.target.reported_metrics,
            )
            for metric in dict.fromkeys(chosen):
                values, counts = metric_by_group(item, known[metric], groups)
                for number in np.flatnonzero((counts >= minimum_rows) & np.isfinite(values)):
                    entry = here.setdefault(str(names[number]), {}).setdefault(item.name, {"rows": int(counts[number])})
                    entry[metric] = float(values[number])
        measured[subgroup.column] = here
    return measured


def subgroup_labels(series: pd.Series) -> Any:
    """Name the subgroup of each row: whole numbers without a fraction, ``unknown`` for missing.

    Args:
        series: The subgroup's column (n,).

    Returns:
        Object array (n,) of str.
    """

    def word(value: Any) -> str:
        if isinstance(value, float):
            return "unknown" if np.isnan(value) else f"{value:g}"
        return str(value) if value is not None and value != "" else "unknown"

    words = {value: word(value) for value in series.astype(object).unique()}
    return np.array([words[value] if value == value else "unknown" for value in series.astype(object)], dtype=object)  # noqa: PLR0124


def predict_out_of_fold(predictor: Predictor, frame: pd.DataFrame) -> PredictFunction:
    """Build the function that answers test rows as a model does that never saw their groups.

    With a crossed split, each row is answered by those boosters alone that did not learn from its group; targets with
    a test slice have the predictor's plain answers.

    Args:
        predictor: The model, whatever examples it was trained on.
        frame: The frozen test set (n rows), whose positions the function takes.

    Returns:
        Function of columns, context and row positions int64 (m,) that returns the answers by target.
    """
    use_case = predictor.use_case
    parts = {}
    for name, item in predictor.manifest.targets.items():
        if item.left_out:
            repeats = 1 + max(repeat for repeat, _ in item.left_out)
            folds = 1 + max(part for _, part in item.left_out)
            parts[name] = cross_validation_folds(use_case, frame, folds, repeats)

    def answer(columns: dict[str, NDArray[Any]], context: Mapping[str, Any], rows: NDArray[np.int64]) -> Any:
        here = {name: part[:, rows] for name, part in parts.items()}
        return predictor.predict(columns, context, unseen=here).values

    return answer
