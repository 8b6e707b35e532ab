"""Train, calibration and test splits by group; folds and fold models of cross-validation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from services.core.contract.fields import image_fields
from services.core.contract.use_case import Booster, OnnxEstimator, Split, Target, UseCase
from services.core.errors import VigieError
from services.training.stage import boosting
from services.training.stage.workspace import ensure_columns_vary, ensure_label_varies

if TYPE_CHECKING:
    import pandas as pd


TRAIN, CALIBRATE, TEST = 0, 1, 2
PURPOSES = {"to train on": TRAIN, "to calibrate": CALIBRATE, "to test": TEST}
ALL_SPLITS = 3
"""In all three slices: a crossed split, where each row is judged by boosters that did not learn from it."""

REGIME, AFTER = "era", "since"
"""The examples' column that says whether a row lies before or since a change of the world that monitoring found,
and its word for the latter. Without such a change there is no column."""
AFTER_CALIBRATE, AFTER_TEST = 0.15, 0.30
"""How the rows since a change are cut. They are few, and both what learns and what judges needs some of them."""


def in_split(slices: NDArray[np.int8], part: int) -> NDArray[np.bool_]:
    """Mask bool (n,) of the examples in slice ``part``, given the slice int8 (n,) of every example."""
    return (slices == part) | (slices == ALL_SPLITS)


def split_targets(use_case: UseCase, examples: pd.DataFrame) -> dict[str, NDArray[np.int8]]:
    """Cut the examples into train, calibration and test slices, by each target's own split or the use case's.

    Args:
        use_case: Declares targets, splits and the group.
        examples: One row per example (n rows).

    Returns:
        Target -> slice int8 (n,) of every example.

    Raises:
        VigieError: A column that the split needs is missing, or a slice has fewer than two rows or values of a target.
    """
    made: dict[Split, NDArray[np.int8]] = {}
    slices = {}
    ensure_columns_vary(use_case, examples)
    for target in use_case.modelling.targets:
        split = target.split or use_case.modelling.split
        if split not in made:
            made[split] = assign_splits(use_case, examples, split)
        slices[target.name] = made[split]
        masks = {purpose: in_split(made[split], part) for purpose, part in PURPOSES.items()}
        ensure_label_varies(use_case.name, target, examples[target.label], masks)
    return slices


def positions(
    use_case: UseCase, examples: pd.DataFrame, split: Split
) -> tuple[NDArray[np.int64], NDArray[np.int64] | NDArray[np.float64]]:
    """Place every example on the axis along which it is cut, a group's rows at one position.

    Args:
        use_case: Declares the group.
        examples: One row per example (n rows).
        split: Its kind decides what a position is.

    Returns:
        Group int64 (n,) and position (n,): for ``time`` the group's first moment, int64 microseconds since 1970 UTC;
        otherwise float64 in [0, 1) from the group's name.

    Raises:
        VigieError: An example has no group, or no ``event_time`` where it is cut by time.
    """
    groups, names = named_groups(use_case, examples, duplicates_together=split.kind != "time")
    if split.kind != "time":
        return groups, hash_fractions(names, "slice")[groups]
    if "event_time" not in examples or examples["event_time"].isna().any():
        raise VigieError(f"{use_case.name}: examples without event_time cannot be cut by time.")
    seconds = examples["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64)
    first = np.full(len(names), np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(first, groups, seconds)
    return groups, first[groups]


def assign_splits(use_case: UseCase, examples: pd.DataFrame, split: Split) -> NDArray[np.int8]:
    """Cut the examples into train, calibration and test slices by one split.

    Args:
        use_case: Declares the group, which is never divided.
        examples: One row per example (n rows).
        split: Kind and shares of the slices.

    Returns:
        Slice int8 (n,) of every example: ``TRAIN``, ``CALIBRATE``, ``TEST``, or ``ALL_SPLITS`` for a crossed split.
    """
    if split.kind == "cross":
        return np.full(len(examples), ALL_SPLITS, dtype=np.int8)
    groups, position = positions(use_case, examples, split)
    part = _split_units(examples, groups, split)
    era = _after_change(examples, groups, split)
    result = np.zeros(len(examples), dtype=np.int8)
    for value in np.unique(part):
        rows = part == value
        calibrate, test = (AFTER_CALIBRATE, AFTER_TEST) if era[rows].any() else (split.calibrate, split.test)
        if split.kind == "hash":
            first, second = 1 - split.test - split.calibrate, 1 - split.test
        else:
            ordered = np.sort(position[rows])
            count = len(ordered)
            first = ordered[min(int(count * (1 - test - calibrate)), count - 1)]
            second = ordered[min(int(count * (1 - test)), count - 1)]
        result[rows] = np.where(position[rows] >= second, TEST, np.where(position[rows] >= first, CALIBRATE, TRAIN))
    return result


def assign_folds(use_case: UseCase, examples: pd.DataFrame, folds: int, seed: int) -> NDArray[np.int64]:
    """Assign every example to a fold by a hash of its group, duplicates of time-less data together.

    Args:
        use_case: Declares the group.
        examples: One row per example (n rows).
        folds: Number of folds.
        seed: Of the hash.

    Returns:
        Fold int64 (n,) from 0 to ``folds`` - 1.
    """
    groups, names = named_groups(use_case, examples, duplicates_together=use_case.modelling.split.kind != "time")
    fractions = hash_fractions(names, f"fold {seed}")
    return np.floor(fractions * folds).astype(np.int64)[groups]


def named_groups(
    use_case: UseCase, examples: pd.DataFrame, *, duplicates_together: bool
) -> tuple[NDArray[np.int64], list[str]]:
    """Number the groups of the examples; a group's name does not depend on the order of rows.

    Args:
        use_case: Declares the group's column and the request's fields.
        examples: One row per example (n rows).
        duplicates_together: Whether groups that hold the same request become one, called by the first of their names,
            so that a copy of a training row is never a test row.

    Returns:
        Code int64 (n,) of every example's group, and the name of each code.

    Raises:
        VigieError: An example has no group.
    """
    import pandas as pd  # noqa: PLC0415

    codes, found = pd.factorize(examples[use_case.data.group_column])
    if (codes < 0).any():
        raise VigieError(f"{use_case.name}: {(codes < 0).sum()} examples have no {use_case.data.group_column}.")
    names = [str(name) for name in found]
    if not duplicates_together:
        return codes.astype(np.int64), names
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    fields = examples[list(use_case.serving.request.model_fields)].copy()
    for name in image_fields(use_case.serving.request):
        fields[name] = [hashlib.sha256(file).hexdigest() if isinstance(file, bytes) else "" for file in fields[name]]
    fields = fields.astype(str)
    copies = pd.factorize(pd.util.hash_pandas_object(fields, index=False))[0]
    size = len(names) + int(copies.max()) + 1
    graph = coo_array((np.ones(len(codes)), (codes, len(names) + copies)), shape=(size, size))
    joined = connected_components(graph, directed=False)[1][: len(names)]
    merged, first = np.unique(joined, return_inverse=True)
    together: list[list[str]] = [[] for _ in merged]
    for number, name in zip(first.tolist(), names, strict=True):
        together[number].append(name)
    return first[codes].astype(np.int64), [min(each) for each in together]


def hash_fractions(names: Sequence[str], salt: str) -> NDArray[np.float64]:
    """Map m names to float64 (m,) in [0, 1), the same on every machine; another salt gives independent numbers."""
    return np.array([int.from_bytes(hashlib.sha256(f"{salt}:{name}".encode()).digest()[:6]) / 2**48 for name in names])


def _split_units(examples: pd.DataFrame, groups: NDArray[np.int64], split: Split) -> NDArray[np.int64]:
    import pandas as pd  # noqa: PLC0415

    codes = np.zeros(len(examples), dtype=np.int64)
    if split.within is not None:
        codes = pd.factorize(examples[split.within].astype(str))[0]
    # What came since a change is cut on its own: else the newest rows would all be test rows, and a model
    # could only ever be judged on a world that it never saw.
    codes = 2 * codes + _after_change(examples, groups, split)
    return pd.Series(codes).groupby(groups).transform("first").to_numpy(dtype=np.int64)


def _after_change(examples: pd.DataFrame, groups: NDArray[np.int64], split: Split) -> NDArray[np.bool_]:
    """Which rows are of groups that began since a change (n,)."""
    import pandas as pd  # noqa: PLC0415

    if REGIME not in examples or split.kind != "time":
        return np.zeros(len(examples), dtype=np.bool_)
    since = pd.Series((examples[REGIME] == AFTER).to_numpy())
    return since.groupby(groups).transform("min").to_numpy(dtype=np.bool_)


HeldOutFold = tuple[int, int]
"""Repetition and part that a booster did not learn from."""


@dataclass(frozen=True, slots=True)
class FoldModel:
    """One booster of a bundle.

    Attributes:
        name: File name without extension.
        booster: What is declared of it.
        left_out: Repetition and part that it does not learn from; None where it learns from all training rows.
    """

    name: str
    booster: Booster | OnnxEstimator
    left_out: HeldOutFold | None


def is_cross_validated(use_case: UseCase, target: Target) -> bool:
    """Whether a target's split, or else the use case's, is crossed: out-of-fold answers in place of a test slice."""
    return (target.split or use_case.modelling.split).kind == "cross"


def fold_models(use_case: UseCase, target: Target) -> list[FoldModel]:
    """List the boosters that a target's bundle holds: in a crossed split, one for every part of every repetition.

    Those have no quantile boosters: their interval is the value give or take the residuals of unseen rows.

    Args:
        use_case: Its split counts where the target has none of its own.
        target: Its learner and split are read.

    Returns:
        The declared boosters, or the copies of its members by repetition and part.
    """
    named = boosting.named_boosters(target)
    if not is_cross_validated(use_case, target):
        return [FoldModel(name, booster, None) for name, booster in named.items()]
    split = target.split or use_case.modelling.split
    return [
        FoldModel(f"{name}-{repeat}-{part}", booster, (repeat, part))
        for repeat in range(split.repeats)
        for part in range(split.folds)
        for name, booster in named.items()
        if name.startswith("member-")
    ]


def cross_validation_folds(use_case: UseCase, frame: pd.DataFrame, folds: int, repeats: int) -> NDArray[np.int64]:
    """Assign rows to the parts of repeated cross-validation, by their group's name alone.

    Args:
        use_case: Declares the group.
        frame: Rows to assign (n rows).
        folds: Parts of each repetition.
        repeats: Repetitions, each cut anew.

    Returns:
        Part int64 (repeats, n) of every row.
    """
    groups, names = named_groups(use_case, frame, duplicates_together=True)
    fractions = [hash_fractions(names, f"cross {folds} {repeat}") for repeat in range(repeats)]
    return np.floor(np.array(fractions) * folds).astype(np.int64)[:, groups]


def folds_by_target(use_case: UseCase, examples: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Map each target with a crossed split to the cross-validation part int64 (repeats, n) of every example.

    Raises:
        VigieError: The labels outside some part are one value.
    """
    found = {}
    for target in use_case.modelling.targets:
        if is_cross_validated(use_case, target):
            split = target.split or use_case.modelling.split
            parts = cross_validation_folds(use_case, examples, split.folds, split.repeats)
            masks = {
                f"outside part {part + 1} of repetition {repeat + 1}": row != part
                for repeat, row in enumerate(parts)
                for part in range(split.folds)
            }
            ensure_label_varies(use_case.name, target, examples[target.label], masks)
            found[target.name] = parts
    return found


def labels_for_fit(use_case: UseCase, labels: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Hide (as NaN) the labels (n,) of targets with a crossed split from ``fit``: their boosters share its arrays."""
    hidden = {target.name for target in use_case.modelling.targets if is_cross_validated(use_case, target)}
    return {name: np.full_like(label, np.nan) if name in hidden else label for name, label in labels.items()}
