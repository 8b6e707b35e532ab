"""Out-of-fold features: no row is encoded by what was learned from itself."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.errors import VigieError
from services.core.usecases import columns as column_tools
from services.core.usecases.contract import Target, UseCase, Variant
from services.training.boosting import TrainingRows
from services.training.cross import shown_labels
from services.training.prepared import Run


class OutOfFold(NamedTuple):
    matrices: dict[str, Any]
    """Matrix name -> (n, p), rows in the order of the training columns."""
    variants: dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]
    """Variant with a training weight -> row numbers and their target's matrix as the variant sees them."""
    facts: Mapping[str, Any] = {}
    """Facts (n,) of the rows, where features were made in one."""


def out_of_fold(
    run: Run,
    columns: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[np.float64]],
    folds: NDArray[np.int64],
) -> OutOfFold:
    """Features of every training row, learned from the rows of the other folds."""
    use_case, features, context = run.use_case, run.use_case.features, run.context
    numbers, shown = np.unique(folds), shown_labels(use_case, labels)
    if len(numbers) < 2:
        raise VigieError(f"{use_case.name}: all training rows fall into one fold.", expected="several groups of rows")
    learning = [variant for variant in use_case.variants if variant.training_weight > 0]

    def one(number: int) -> tuple[NDArray[np.int64], dict[str, Any], dict[str, tuple[NDArray[np.int64], Any]]]:
        rows, others = np.flatnonzero(folds == number), np.flatnonzero(folds != number)
        arrays = features.fit(
            column_tools.take(columns, others), {n: v[others] for n, v in shown.items()}, run.reference, context
        )
        fitted = features.load(arrays)
        matrices = features.features(column_tools.take(columns, rows), fitted, context).matrices
        seen = {}
        for variant in learning:
            chosen = rows[~np.isnan(labels[variant.target][rows])]
            seen[variant.name] = (
                chosen,
                variant_matrix(use_case, variant, column_tools.take(columns, chosen), fitted, context),
            )
        return rows, matrices, seen

    with ThreadPoolExecutor(max_workers=run.params.threads) as pool:
        parts = list(pool.map(one, numbers.tolist()))
    order = np.argsort(np.concatenate([rows for rows, _, _ in parts]), kind="stable")
    matrices = {name: np.concatenate([m[name] for _, m, _ in parts])[order] for name in parts[0][1]}
    variants = {
        v.name: (
            np.concatenate([seen[v.name][0] for _, _, seen in parts]),
            np.concatenate([seen[v.name][1] for _, _, seen in parts]),
        )
        for v in learning
    }
    return OutOfFold(matrices, variants)


def in_one(
    run: Run,
    columns: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[np.float64]],
    learned: Mapping[str, NDArray[Any]],
) -> OutOfFold:
    """Features of every training row by what was learned from all of them: right where ``fit`` looks at no label."""
    use_case, fitted = run.use_case, run.use_case.features.load(learned)
    made = use_case.features.features(columns, fitted, run.context)
    variants = {}
    for variant in use_case.variants:
        if variant.training_weight > 0:
            rows = np.flatnonzero(~np.isnan(labels[variant.target]))
            seen = variant_matrix(use_case, variant, column_tools.take(columns, rows), fitted, run.context)
            variants[variant.name] = (rows, seen)
    return OutOfFold(made.matrices, variants, made.facts)


def training_rows(
    run: Run,
    target: Target,
    rows: NDArray[np.int64],
    label: NDArray[np.float64],
    features: OutOfFold,
) -> TrainingRows:
    """The target's own rows, where ``label`` is not missing, then its variants' with their smaller weights."""
    own = np.flatnonzero(~np.isnan(label))
    weight = run.data.weights[target.name][rows]
    parts = [TrainingRows(features.matrices[target.matrix][own], label[own], weight[own])]
    for variant in run.use_case.variants:
        if variant.target == target.name and variant.training_weight > 0:
            chosen, matrix = features.variants[variant.name]
            known = ~np.isnan(label[chosen])
            chosen, matrix = chosen[known], matrix[known]
            parts.append(TrainingRows(matrix, label[chosen], weight[chosen] * variant.training_weight))
    return TrainingRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def variant_matrix(
    use_case: UseCase,
    variant: Variant,
    columns: dict[str, NDArray[Any]],
    fitted: Any,
    context: Mapping[str, Any],
) -> NDArray[np.float32]:
    changed, its_context = column_tools.of_variant(use_case, variant, columns, context)
    matrix: NDArray[np.float32] = use_case.features.features(changed, fitted, its_context).matrices[
        use_case.target(variant.target).matrix
    ]
    return matrix
