"""Fits XGBoost models, converts them to ONNX and checks that both agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.predictor import OnnxBooster
from services.core.contract.use_case import BoostedTrees, Booster, MultiClass, OnnxEstimator, Target
from services.core.errors import VigieError

TOLERANCE = 1e-5
"""Largest relative difference between the native booster and its conversion."""
HYPERPARAMETERS = frozenset(
    [
        "eta",
        "learning_rate",
        "gamma",
        "min_split_loss",
        "max_depth",
        "min_child_weight",
        "max_delta_step",
        "subsample",
        "sampling_method",
        "colsample_bytree",
        "colsample_bylevel",
        "colsample_bynode",
        "lambda",
        "reg_lambda",
        "alpha",
        "reg_alpha",
        "grow_policy",
        "max_leaves",
        "max_bin",
        "num_parallel_tree",
        "scale_pos_weight",
        "base_score",
        "quantile_alpha",
        "huber_slope",
        "tweedie_variance_power",
        "max_cat_threshold",
        "max_cat_to_onehot",
    ]
)
"""What ``params.yaml`` may change of a booster, by XGBoost's names: XGBoost itself only warns of one that it does not
know."""
_ABSOLUTE_BELOW = 0.02
"""Below this size, and below a booster's typical output, differences count in absolute terms: both sum
float32 leaves, each in its own order, and a result near zero carries the rounding of the large numbers
that it was summed from. ONNX Runtime also computes a small probability as 1 minus a large one."""


class TrainingRows(NamedTuple):
    """Rows that one model of a target learns from.

    Attributes:
        matrix: Features float32 (n, p), missing as NaN.
        label: Outcomes float64 (n,); classes by number.
        weight: Sample weights float64 (n,).
    """

    matrix: NDArray[np.float32]
    label: NDArray[np.float64]
    weight: NDArray[np.float64]


def named_boosters(target: Target) -> dict[str, Booster | OnnxEstimator]:
    """Name the models that a target declares: members by number, and the interval's two quantile boosters.

    Args:
        target: Its learner is read.

    Returns:
        File name -> booster; empty for a late fusion. Another estimator is its target's only member.
    """
    learner = target.learner
    if isinstance(learner, OnnxEstimator):
        return {"member-0": learner}
    if not isinstance(learner, BoostedTrees):
        return {}
    boosters: dict[str, Booster | OnnxEstimator] = {f"member-{n}": booster for n, booster in enumerate(learner.members)}
    if learner.lower is not None and learner.upper is not None:
        boosters |= {"lower": learner.lower, "upper": learner.upper}
    return boosters


def max_bins(booster: Booster) -> int:
    """Read how many histogram bins a booster uses for each feature.

    Args:
        booster: Its parameter ``max_bin`` is read.

    Returns:
        The number; XGBoost's default of 256 where none is declared.
    """
    return int(booster.parameters.get("max_bin", 256))


def quantile_matrix(rows: TrainingRows, max_bin: int) -> Any:
    """Bin training rows for XGBoost's histogram method.

    Args:
        rows: Features (n, p), labels (n,) and weights (n,).
        max_bin: Bins for each feature.

    Returns:
        ``xgboost.QuantileDMatrix`` of n rows.
    """
    import xgboost  # noqa: PLC0415

    return xgboost.QuantileDMatrix(rows.matrix, label=rows.label, weight=rows.weight, max_bin=max_bin, nthread=1)


def fit_booster(
    target: Target, booster: Booster, data: Any, seed: int, changes: Mapping[str, float | int | str] | None = None
) -> Any:
    """Fit one booster on one thread: the result does not depend on how many cores there are.

    Args:
        target: Says how many classes there are.
        booster: Declared objective, rounds and hyperparameters.
        data: ``xgboost.QuantileDMatrix`` or ``DMatrix`` of the training rows.
        seed: Of the random generator.
        changes: Hyperparameters in place of the declared ones.

    Returns:
        The trained ``xgboost.Booster``.
    """
    import xgboost  # noqa: PLC0415

    parameters: dict[str, Any] = {
        "objective": booster.objective,
        "nthread": 1,
        "seed": seed,
        "tree_method": "hist",
        "verbosity": 0,
        **booster.parameters,
        **(changes or {}),
    }
    if isinstance(target.output, MultiClass):
        parameters["num_class"] = len(target.output.labels)
    return xgboost.train(parameters, data, num_boost_round=booster.num_boost_round)


def save_booster(booster: Any, name: str, folder: Path, width: int) -> None:
    """Write a booster as ``<name>.ubj`` and, converted, as ``<name>.onnx``. Equal boosters give equal files.

    Args:
        booster: Trained ``xgboost.Booster``.
        name: File name without extension, also the graph's name.
        folder: Where both files are written.
        width: Number p of features.
    """
    from onnxmltools import convert_xgboost  # noqa: PLC0415
    from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415

    booster.save_model(folder / f"{name}.ubj")
    converted = convert_xgboost(booster, name=name, initial_types=[("input", FloatTensorType([None, width]))])
    (folder / f"{name}.onnx").write_bytes(converted.SerializeToString())


def native_output(path: Path, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Predict with the native booster, shaped like ``OnnxBooster``'s answer.

    Args:
        path: The ``.ubj`` file.
        matrix: Features float32 (n, p).

    Returns:
        Raw output float32 (n,), or (n, k) for k classes.
    """
    import xgboost  # noqa: PLC0415

    booster = xgboost.Booster(model_file=path)
    booster.set_param({"nthread": 1})
    output: NDArray[np.float32] = booster.inplace_predict(matrix)
    return output


def check_conversion(folder: Path, names: Sequence[str], matrix: NDArray[np.float32]) -> None:
    """Compare native and converted boosters on real rows.

    Args:
        folder: Holds ``<name>.ubj`` and ``<name>.onnx``.
        names: File names without extension.
        matrix: Features float32 (n, p).

    Raises:
        VigieError: They differ by more than ``TOLERANCE`` relative.
    """
    for name in names:
        native = native_output(folder / f"{name}.ubj", matrix).astype(np.float64)
        served = OnnxBooster(folder / f"{name}.onnx")(matrix).astype(np.float64)
        if served.ndim == 2 and native.ndim == 1:
            served = served[:, 1] if served.shape[1] == 2 else served[:, 0]
        require_equal_outputs(f"{folder.name}/{name}", native, served, TOLERANCE)


def require_equal_outputs(
    name: str, native: NDArray[np.float64], served: NDArray[np.float64], tolerance: float
) -> None:
    """Compare a model's outputs with those of its conversion, of the same shape.

    Args:
        name: What the error calls the model.
        native: Outputs float64 (n,) or (n, k) of the library that trained it.
        served: Outputs of ONNX Runtime, of the same shape.
        tolerance: Largest relative difference.

    Raises:
        VigieError: They differ by more than ``tolerance`` relative.
    """
    size = np.abs(native)
    difference = np.abs(served - native) / np.maximum(size, max(_ABSOLUTE_BELOW, float(np.median(size))))
    if difference.size and not difference.max() <= tolerance:
        raise VigieError(
            f"{name}: the served model differs from the native one by {difference.max():.1e} relative.",
            expected=f"at most {tolerance:.0e}",
            action="Use an objective or estimator that converts to ONNX faithfully, also for missing values.",
        )
