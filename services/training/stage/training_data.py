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
from services.core.contract.use_case import InputScenario, Target, UseCase, learned_class_targets
from services.core.errors import VigieError
from services.core.params import Train
from services.training.stage.boosting import TrainingRows
from services.training.stage.splitting import TRAIN, folds_by_target, in_split, labels_for_fit, split_targets

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The examples as arrays.

    Attributes:
        examples: One row per example (n rows).
        columns: Request field -> values (n,); types as in ``services.core.contract.modules.Columns``.
        labels: Target -> float64 (n,), NaN where the row is not one of the target's.
        weights: Target -> sample weight float64 (n,).
        slices: Target -> slice int8 (n,).
        classes: Names of the classes, for the targets that learn them: those of the training slice, sorted.
        parts: Target with a crossed split -> part int64 (repeats, n) of every example in each repetition.
    """

    examples: pd.DataFrame
    columns: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[np.float64]]
    weights: dict[str, NDArray[np.float64]]
    slices: dict[str, NDArray[np.int8]]
    classes: dict[str, tuple[str, ...]]
    parts: dict[str, NDArray[np.int64]]

    def rows(self, part: int) -> NDArray[np.int64]:
        """Select the examples that are in a slice for some target and have its label.

        Args:
            part: ``TRAIN``, ``CALIBRATE`` or ``TEST``.

        Returns:
            Positions int64 (m,), ascending.
        """
        here = [in_split(self.slices[name], part) & ~np.isnan(label) for name, label in self.labels.items()]
        return np.flatnonzero(np.any(here, axis=0))

    def labels_of(self, part: int, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Map each target to its labels (m,) at ``rows`` int64 (m,), NaN where a row is in another slice."""
        return {
            name: np.where(in_split(self.slices[name][rows], part), label[rows], np.nan)
            for name, label in self.labels.items()
        }

    def parts_at(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """Map each target with a crossed split to the parts (repeats, m) of ``rows`` int64 (m,)."""
        return {name: part[:, rows] for name, part in self.parts.items()}


def prepare_training_data(use_case: UseCase, examples: pd.DataFrame) -> TrainingData:
    """Turn examples into arrays: columns, labels, weights, slices, classes and cross-validation parts.

    Args:
        use_case: Declares targets, request fields and splits.
        examples: One row per example (n rows).

    Returns:
        Arrays (n,) in the order of the examples.
    """

    def numbers(column: str) -> NDArray[np.float64]:
        return examples[column].to_numpy(dtype=np.float64, na_value=np.nan)

    slices = split_targets(use_case, examples)
    classes: dict[str, tuple[str, ...]] = {}
    labels: dict[str, NDArray[np.float64]] = {}
    for target in use_case.modelling.targets:
        if target.name in learned_class_targets(use_case):
            training = examples[target.label][in_split(slices[target.name], TRAIN)]
            classes[target.name] = tuple(sorted(str(name) for name in training.dropna().unique()))
            labels[target.name] = encode_classes(examples[target.label], classes[target.name])
        else:
            labels[target.name] = numbers(target.label)
    return TrainingData(
        examples=examples,
        columns=column_tools.from_frame(use_case.serving.request, examples),
        labels=labels,
        weights={t.name: numbers(t.weight) if t.weight else np.ones(len(examples)) for t in use_case.modelling.targets},
        slices=slices,
        classes=classes,
        parts=folds_by_target(use_case, examples),
    )


def encode_classes(names: pd.Series, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """Number the classes of labels that are names.

    Args:
        names: Labels (n,).
        classes: Names of the classes, in order.

    Returns:
        Place among the classes float64 (n,); NaN where there is no label, or it is not among them.
    """
    place = {name: float(number) for number, name in enumerate(classes)}
    return np.array([place.get(name, np.nan) for name in names.tolist()], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """What every step of one training run needs.

    Attributes:
        use_case: What is trained, with the hyperparameters and classes in use.
        data: Examples as arrays.
        reference: Array name -> reference data of the use case, of any shape.
        context: What features read beside requests.
        params: Parameters of the train stage.
        folder: The bundle that is being written.
    """

    use_case: UseCase
    data: TrainingData
    reference: Mapping[str, NDArray[Any]]
    context: Mapping[str, Any]
    params: Train
    folder: Path

    def target_folder(self, target: str) -> Path:
        """Path of a target's models in the bundle, which need not exist yet."""
        return self.folder / "targets" / target


class OutOfFoldFeatures(NamedTuple):
    """Features of the training rows.

    Attributes:
        matrices: Matrix name -> float32 (n, p) or ``SparseRows``, rows in the order of the training columns.
        variants: Variant with a training weight -> row numbers int64 (m,) and their target's matrix float32 (m, p) as
            the variant sees them.
        extras: Extras (n,) of the rows, where all features were made in one call.
    """

    matrices: dict[str, Any]
    variants: dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]
    extras: Mapping[str, Any] = {}


def out_of_fold(
    run: TrainingContext,
    columns: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[np.float64]],
    folds: NDArray[np.int64],
) -> OutOfFoldFeatures:
    """Make features of every training row, learned from the rows of the other folds (as in stacking, Wolpert 1992).

    Args:
        run: Use case, reference, context and threads of the run.
        columns: Request field -> (n,).
        labels: Target -> float64 (n,).
        folds: Fold int64 (n,) of each row.

    Returns:
        Matrices (n, p), and those of the variants that are trained on.

    Raises:
        VigieError: All rows fall into one fold.
    """
    use_case, features, context = run.use_case, run.use_case.features, run.context
    numbers, shown = np.unique(folds), labels_for_fit(use_case, labels)
    if len(numbers) < 2:
        raise VigieError(f"{use_case.name}: all training rows fall into one fold.", expected="several groups of rows")
    learning = [variant for variant in use_case.modelling.input_scenarios if variant.training_weight > 0]

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
    """Make features of every training row by what was learned from all of them: right where ``fit`` reads no label.

    Args:
        run: Use case and context of the run.
        columns: Request field -> (n,).
        labels: Target -> float64 (n,).
        learned: Array name -> what ``fit`` returned, of any shape.

    Returns:
        Matrices (n, p), extras (n,), and the matrices of the variants that are trained on.
    """
    use_case, fitted = run.use_case, run.use_case.features.prepare(learned)
    made = use_case.features.features(columns, fitted, run.context)
    variants = {}
    for variant in use_case.modelling.input_scenarios:
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
    """Select a target's own rows, then its variants' with their smaller weights.

    Args:
        run: Use case and sample weights of the run.
        target: What is learned.
        rows: Positions int64 (n,) of the training rows among the examples.
        label: float64 (n,), NaN where the row is not one of the target's.
        features: Features of the n rows.

    Returns:
        Features (m, p), labels (m,) and weights (m,) of the rows with a label and of their variants.
    """
    own = np.flatnonzero(~np.isnan(label))
    weight = run.data.weights[target.name][rows]
    parts = [TrainingRows(features.matrices[target.matrix][own], label[own], weight[own])]
    for variant in run.use_case.modelling.input_scenarios:
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
    """Make a target's features as an input variant sees the requests, with fields or context masked.

    Args:
        use_case: Its features are used.
        variant: What is masked, and for which target.
        columns: Request field -> (n,).
        fitted: What the use case prepared from learned arrays.
        context: What features read beside requests.

    Returns:
        The target's matrix float32 (n, p).
    """
    changed, its_context = column_tools.of_variant(use_case, variant, columns, context)
    matrix: NDArray[np.float32] = use_case.features.features(changed, fitted, its_context).matrices[
        use_case.target(variant.target).matrix
    ]
    return matrix
