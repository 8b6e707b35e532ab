"""Fits estimators in the manner of scikit-learn, converts them to ONNX and checks that both agree."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.predictor import OnnxBooster
from services.core.contract.use_case import MultiClass, OnnxEstimator, Regression, Target
from services.core.errors import VigieError
from services.training.stage.boosting import TrainingRows, require_equal_outputs

TOLERANCE = 1e-4
"""Largest relative difference between an estimator and its conversion: libraries compute in float64, ONNX Runtime in
float32."""


def make_estimator(learner: OnnxEstimator, seed: int = 0) -> Any:
    """Make the declared estimator, not fitted yet, with the seed and on one thread: equal rows give an equal graph.

    Args:
        learner: Factory (or its path ``module:name``) and parameters.
        seed: In place of every ``random_state`` that is None.

    Returns:
        An estimator in the manner of scikit-learn.

    Raises:
        VigieError: There is no such factory, it does not take the parameters, or what it makes cannot be trained.
    """
    factory = learner.factory
    try:
        if isinstance(factory, str):
            module, _, name = factory.partition(":")
            factory = getattr(import_module(module), name)
        estimator = factory(**learner.parameters)
        threaded = _is_lightgbm(estimator)  # None is all cores there, and one in scikit-learn
        fixed = {}
        for name, value in estimator.get_params().items():
            last = name.rpartition("__")[2]
            if last == "random_state" and value is None:
                fixed[name] = seed
            elif last == "n_jobs" and (threaded or value is not None):
                fixed[name] = 1
        return estimator.set_params(**fixed)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise VigieError(
            f"The estimator {learner.factory} cannot be made: {error}",
            expected="a factory of an estimator in the manner of scikit-learn, and parameters that it takes",
            action="Correct the learner of the use case's declaration, or its parameters in params.yaml.",
        ) from error


def class_name(learner: OnnxEstimator) -> str:
    """Name the class of an estimator for the manifest, a pipeline by its last step.

    Args:
        learner: The declared estimator.

    Returns:
        Dotted path, such as ``sklearn.linear_model._ridge.Ridge``.

    Raises:
        VigieError: The estimator cannot be made.
    """
    last = _last_step(make_estimator(learner))[1]
    return f"{type(last).__module__}.{type(last).__qualname__}"


def fit_estimator(target: Target, learner: OnnxEstimator, rows: TrainingRows, seed: int) -> Any:
    """Fit the declared estimator on training rows, with sample weights where they differ.

    Args:
        target: Says which classes there are.
        learner: The declared estimator.
        rows: Features (n, p), labels (n,) and weights (n,).
        seed: Of the random generator.

    Returns:
        The fitted estimator.

    Raises:
        VigieError: It takes no weights where the rows differ in theirs, or the rows lack one of the classes.
    """
    estimator, label = make_estimator(learner, seed), rows.label
    if not isinstance(target.output, Regression):
        label = label.astype(np.int64)
        count = len(target.output.labels) if isinstance(target.output, MultiClass) else 2
        missing = sorted(set(range(count)) - set(label.tolist()))
        if missing:
            raise VigieError(
                f"The rows that {target.name} is trained on have no row of the classes {missing}.",
                expected="rows of every class",
                action="Ingest more data, or use boosted trees.",
            )
    if np.ptp(rows.weight) == 0:
        return estimator.fit(rows.matrix, label)
    from sklearn.utils.validation import has_fit_parameter  # noqa: PLC0415

    step, last = _last_step(estimator)
    if not has_fit_parameter(last, "sample_weight"):
        raise VigieError(
            f"{type(last).__name__} takes no weights, and the training rows of {target.name} have some.",
            action="Use an estimator whose fit takes sample_weight, or drop the weights from the declaration.",
        )
    return estimator.fit(rows.matrix, label, **{f"{step}sample_weight": rows.weight})


def save_estimator(target: Target, estimator: Any, name: str, folder: Path, matrix: NDArray[np.float32]) -> None:
    """Write an estimator as ``<name>.onnx`` and compare its outputs with the estimator's own.

    Equal estimators give equal files.

    Args:
        target: Says whether outputs are class probabilities.
        estimator: Fitted estimator.
        name: File name without extension, also the graph's name.
        folder: Where the file is written.
        matrix: Features float32 (n, p) on which both are compared.

    Raises:
        VigieError: There is no converter for it, or its conversion gives other outputs.
    """
    classes = not isinstance(target.output, Regression)
    try:
        graph = _convert(estimator, name, matrix.shape[1], classes=classes)
    except Exception as error:  # whatever a converter raises for what it does not know
        first = str(error).strip().partition("\n")[0]
        raise VigieError(
            f"{target.name}: {type(estimator).__name__} does not convert to ONNX: {first}",
            action="Use an estimator that skl2onnx or onnxmltools converts.",
        ) from error
    (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
    native = np.asarray(estimator.predict_proba(matrix) if classes else estimator.predict(matrix), dtype=np.float64)
    served = OnnxBooster(folder / f"{name}.onnx")(matrix).astype(np.float64)
    require_equal_outputs(f"{target.name}/{name}", native, served.reshape(native.shape), TOLERANCE)


def _convert(estimator: Any, name: str, width: int, *, classes: bool) -> Any:
    if _is_lightgbm(estimator):
        from onnxmltools import convert_lightgbm  # noqa: PLC0415
        from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415

        inputs = [("input", FloatTensorType([None, width]))]
        return convert_lightgbm(estimator, name=name, initial_types=inputs, zipmap=not classes)
    from skl2onnx import to_onnx  # noqa: PLC0415

    options = {"zipmap": False} if classes else None
    return to_onnx(estimator, np.zeros((1, width), dtype=np.float32), name=name, options=options)


def _is_lightgbm(estimator: Any) -> bool:
    return type(estimator).__module__.startswith("lightgbm.")


def _last_step(estimator: Any) -> tuple[str, Any]:
    """Find a pipeline's last step and what ``fit`` puts before its parameters; else blank and the whole estimator."""
    steps = getattr(estimator, "steps", None)
    return (f"{steps[-1][0]}__", steps[-1][1]) if steps else ("", estimator)
