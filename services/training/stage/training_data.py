"""Examples as arrays, and their out-of-fold features."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.contract import columns as column_tools
from services.core.contract.class_labels import learned_class_targets
from services.core.contract.use_case import InputScenario, Target, UseCase
from services.core.errors import VigieError
from services.core.params import Train
from services.training.stage.boosting import TrainingRows
from services.training.stage.splitting import TRAIN, folds_by_target, in_split, labels_for_fit, split_targets

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The examples as arrays. ``labels`` and ``weights`` are per target over all examples; a label
    is NaN where the row is not one of the target's."""

    examples: pd.DataFrame
    columns: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[np.float64]]
    weights: dict[str, NDArray[np.float64]]
    slices: dict[str, NDArray[np.int8]]
    classes: dict[str, tuple[str, ...]]
    """Names of the classes, for the targets that learn them: those of the training slice, sorted."""
    parts: dict[str, NDArray[np.int64]]
    """Part of every example in each repetition (repeats, n), for the targets with a crossed split."""

    def rows(self, part: int) -> NDArray[np.int64]:
        """Examples that are in this slice for some target."""
        here = [in_split(self.slices[name], part) & ~np.isnan(label) for name, label in self.labels.items()]
        return np.flatnonzero(np.any(here, axis=0))

    def labels_of(self, part: int, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """The targets' labels at ``rows``, NaN where the row is in another slice for that target."""
        return {
            name: np.where(in_split(self.slices[name][rows], part), label[rows], np.nan)
            for name, label in self.labels.items()
        }

    def parts_at(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """``parts`` of these rows alone."""
        return {name: part[:, rows] for name, part in self.parts.items()}


def prepare_training_data(use_case: UseCase, examples: pd.DataFrame) -> TrainingData:
    def numbers(column: str) -> NDArray[np.float64]:
        return examples[column].to_numpy(dtype=np.float64, na_value=np.nan)

    slices = split_targets(use_case, examples)
    classes: dict[str, tuple[str, ...]] = {}
    labels: dict[str, NDArray[np.float64]] = {}
    for target in use_case.targets:
        if target.name in learned_class_targets(use_case):
            training = examples[target.label][in_split(slices[target.name], TRAIN)]
            classes[target.name] = tuple(sorted(str(name) for name in training.dropna().unique()))
            labels[target.name] = encode_classes(examples[target.label], classes[target.name])
        else:
            labels[target.name] = numbers(target.label)
    return TrainingData(
        examples=examples,
        columns=column_tools.from_frame(use_case.request, examples),
        labels=labels,
        weights={t.name: numbers(t.weight) if t.weight else np.ones(len(examples)) for t in use_case.targets},
        slices=slices,
        classes=classes,
        parts=folds_by_target(use_case, examples),
    )


def encode_classes(names: pd.Series, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """Each name's place among the classes; NaN where there is none, or it is not among them."""
    place = {name: float(number) for number, name in enumerate(classes)}
    return np.array([place.get(name, np.nan) for name in names.tolist()], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """What every step of one training run needs."""

    use_case: UseCase
    data: TrainingData
    reference: Mapping[str, NDArray[Any]]
    context: Mapping[str, Any]
    params: Train
    folder: Path
    """The bundle that is being written."""

    def target_folder(self, target: str) -> Path:
        return self.folder / "targets" / target


class OutOfFoldFeatures(NamedTuple):
    matrices: dict[str, Any]
    """Matrix name -> (n, p), rows in the order of the training columns."""
    variants: dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]
    """Variant with a training weight -> row numbers and their target's matrix as the variant sees them."""
    extras: Mapping[str, Any] = {}
    """Facts (n,) of the rows, where features were made in one."""


def out_of_fold(
    run: TrainingContext,
    columns: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[np.float64]],
    folds: NDArray[np.int64],
) -> OutOfFoldFeatures:
    """Features of every training row, learned from the rows of the other folds."""
    use_case, features, context = run.use_case, run.use_case.features, run.context
    numbers, shown = np.unique(folds), labels_for_fit(use_case, labels)
    if len(numbers) < 2:
        raise VigieError(f"{use_case.name}: all training rows fall into one fold.", expected="several groups of rows")
    learning = [variant for variant in use_case.variants if variant.training_weight > 0]

    def one(number: int) -> tuple[NDArray[np.int64], dict[str, Any], dict[str, tuple[NDArray[np.int64], Any]]]:
        rows, others = np.flatnonzero(folds == number), np.flatnonzero(folds != number)
        arrays = features.fit(
            column_tools.select_rows(columns, others), {n: v[others] for n, v in shown.items()}, run.reference, context
        )
        fitted = features.prepare(arrays)
        matrices = features.features(column_tools.select_rows(columns, rows), fitted, context).matrices
        seen = {}
        for variant in learning:
            chosen = rows[~np.isnan(labels[variant.target][rows])]
            seen[variant.name] = (
                chosen,
                scenario_matrix(use_case, variant, column_tools.select_rows(columns, chosen), fitted, context),
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
    return OutOfFoldFeatures(matrices, variants)


def fit_transform_all(
    run: TrainingContext,
    columns: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[np.float64]],
    learned: Mapping[str, NDArray[Any]],
) -> OutOfFoldFeatures:
    """Features of every training row by what was learned from all of them: right where ``fit`` looks at no label."""
    use_case, fitted = run.use_case, run.use_case.features.prepare(learned)
    made = use_case.features.features(columns, fitted, run.context)
    variants = {}
    for variant in use_case.variants:
        if variant.training_weight > 0:
            rows = np.flatnonzero(~np.isnan(labels[variant.target]))
            seen = scenario_matrix(use_case, variant, column_tools.select_rows(columns, rows), fitted, run.context)
            variants[variant.name] = (rows, seen)
    return OutOfFoldFeatures(made.matrices, variants, made.extras)


def training_rows(
    run: TrainingContext,
    target: Target,
    rows: NDArray[np.int64],
    label: NDArray[np.float64],
    features: OutOfFoldFeatures,
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


def scenario_matrix(
    use_case: UseCase,
    variant: InputScenario,
    columns: dict[str, NDArray[Any]],
    fitted: Any,
    context: Mapping[str, Any],
) -> NDArray[np.float32]:
    changed, its_context = column_tools.of_variant(use_case, variant, columns, context)
    matrix: NDArray[np.float32] = use_case.features.features(changed, fitted, its_context).matrices[
        use_case.target(variant.target).matrix
    ]
    return matrix
