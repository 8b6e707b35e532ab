"""The bundle's one predictor, of evaluation, gate, calibration and serving: their answers are equal bit for bit.

Forests run in one thread of ONNX Runtime, within 1e-5 relative of the native boosters (see ``docs/architecture.md``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from services.core.bundle.calibration import (
    BinaryCalibration,
    Calibration,
    FusionCalibration,
    MultiClassCalibration,
    RegressionCalibration,
)
from services.core.bundle.manifest import (
    TargetManifest,
    VerifiedBundle,
    bundle_hash,
    load_arrays,
    read_manifest,
    save_arrays,
)
from services.core.bundle.modality_models import LateFusionModel
from services.core.bundle.onnx_ensemble import OnnxEnsemble, create_session
from services.core.contract.use_case import (
    BinaryPrediction,
    LateFusion,
    MultiClass,
    MultiClassPrediction,
    RegressionPrediction,
    TargetPrediction,
    UseCase,
    with_class_labels,
)
from services.core.errors import VigieError

__all__ = [
    "OnnxBooster",
    "Prediction",
    "Predictor",
    "average_outputs",
    "load_arrays",
    "mean_out_of_fold",
    "save_arrays",
    "to_scalars",
]

_CALIBRATION: TypeAdapter[Calibration] = TypeAdapter(Calibration)


class Prediction(NamedTuple):
    """Predictions of n rows: target -> value (arrays over the rows), and the feature function's extras, each (n,)."""

    values: dict[str, TargetPrediction]
    extras: dict[str, Any]


class OnnxBooster:
    """One model in ONNX Runtime.

    Args:
        path: Its ``.onnx`` file.
        row_by_row: Run each row alone, since linear algebra adds up a batch in another order; trees do not need it.
    """

    def __init__(self, path: Path, *, row_by_row: bool = False) -> None:
        self._row_by_row = row_by_row
        self._session = create_session(path.read_bytes())
        self._input = self._session.get_inputs()[0].name
        self._output = [self._session.get_outputs()[-1].name]

    def __call__(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the raw output, float32 (n,), (n, 1) or (n, k), for a matrix, float32 (n, p)."""
        rows = np.split(matrix, len(matrix)) if self._row_by_row and len(matrix) > 1 else [matrix]
        outputs = [self._session.run(self._output, {self._input: row})[0] for row in rows]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


@dataclass(frozen=True, slots=True)
class _LoadedTarget:
    name: str
    members: tuple[int, ...]  # positions among the outputs of ``OnnxEnsemble``, which those of the estimators follow
    lower: int | None
    upper: int | None
    calibration: Calibration
    output: Any
    left_out: tuple[tuple[int, int], ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]  # with x the calibration's points, or its bias


@dataclass(frozen=True, slots=True)
class _LoadedFusion:
    name: str
    weigh: LateFusionModel
    calibration: Calibration
    labels: tuple[str, ...]


class Predictor:
    """A verified bundle, loaded. Immutable, so threads may share it.

    Args:
        use_case: The declaration.
        bundle: Verified already, or a folder, whose files are all hashed here.

    Raises:
        VigieError: the bundle is not whole, or was trained on other features than this code makes.
    """

    def __init__(self, use_case: UseCase, bundle: Path | VerifiedBundle) -> None:
        verified = bundle if isinstance(bundle, VerifiedBundle) else VerifiedBundle(bundle, read_manifest(bundle))
        folder, self.manifest = verified
        self.folder = folder
        self.use_case = with_class_labels(
            use_case, {n: item.labels for n, item in self.manifest.targets.items() if item.labels}
        )
        self.hash = bundle_hash(self.manifest)
        self.arrays = load_arrays(folder / "fitted.npz")
        self.features = use_case.features
        self.fitted = self.features.prepare(self.arrays)
        self.inputs: dict[str, Any] = json.loads((folder / "inputs.json").read_text())
        files: list[tuple[Path, str]] = []
        targets = self.manifest.targets.items()
        boosted = [self._load(name, item, files) for name, item in targets if not item.experts and not item.estimator]
        self._forests = OnnxEnsemble(files) if files else None
        forests = len(files)
        self._targets = (*boosted, *(self._load(name, item, files) for name, item in targets if item.estimator))
        self._estimators = [(OnnxBooster(path, row_by_row=True), matrix) for path, matrix in files[forests:]]
        self._fusions = tuple(self._load_fusion(name) for name, item in targets if item.experts)

    def _load_fusion(self, name: str) -> _LoadedFusion:
        target, folder = self.use_case.target(name), self.folder / "targets" / name
        item, learner, output = self.manifest.targets[name], target.learner, target.output
        assert isinstance(output, MultiClass)
        experts = learner.modality_models if isinstance(learner, LateFusion) else ()
        made = tuple(
            f"{expert.matrix}: {feature}"
            for expert in experts
            for feature in self.features.FEATURE_NAMES.get(expert.matrix, ())
        )
        if item.experts != tuple(expert.name for expert in experts) or item.features != made:
            raise VigieError(
                f"The bundle {self.folder} was trained for other experts or features than this code has.",
                expected=f"the experts {', '.join(item.experts)} of {name} and the features that they learned from",
                action="Run the code that made it, or train again.",
            )
        calibration = _CALIBRATION.validate_json((folder / "calibration.json").read_bytes())
        assert isinstance(calibration, FusionCalibration)
        return _LoadedFusion(name, LateFusionModel(experts, folder, calibration), calibration, output.labels)

    def _load(self, name: str, item: TargetManifest, files: list[tuple[Path, str]]) -> _LoadedTarget:
        """Read the target's calibration and put its boosters' files on the list."""
        made = tuple(self.features.FEATURE_NAMES.get(item.matrix, ()))
        if made != item.features:
            odd = sorted(set(made) ^ set(item.features)) or ["their order"]
            raise VigieError(
                f"The bundle {self.folder} was trained on other features than this code makes: {', '.join(odd[:5])}.",
                expected=f"the {len(item.features)} features of the matrix {item.matrix} that it was trained on",
                action="Run the code that made it, or train again.",
            )
        folder = self.folder / "targets" / name
        position = {}
        for booster in (*item.members, item.lower, item.upper):
            if booster is not None:
                position[booster] = len(files)
                files.append((folder / f"{booster}.onnx", item.matrix))
        calibration = _CALIBRATION.validate_json((folder / "calibration.json").read_bytes())
        return _LoadedTarget(
            name=name,
            members=tuple(position[member] for member in item.members),
            lower=position[item.lower] if item.lower else None,
            upper=position[item.upper] if item.upper else None,
            calibration=calibration,
            output=self.use_case.target(name).output,
            left_out=item.left_out,
            x=np.array(getattr(calibration, "x", ())),
            y=np.array(getattr(calibration, "y", getattr(calibration, "bias", ()))),
        )

    def predict(
        self,
        columns: Mapping[str, NDArray[Any]],
        context: Mapping[str, Any],
        *,
        unseen: Mapping[str, NDArray[np.int64]] | None = None,
    ) -> Prediction:
        """Predict every target for n rows.

        Args:
            columns: Request field -> (n,).
            context: What is known from outside (see ``FeatureSet.features``).
            unseen: Target -> folds of the rows, int64 (repeats, n): only boosters that did not learn from them answer.

        Returns:
            Calibrated values in the targets' units, float64 (n,) or (n, k), and the extras.
        """
        matrices, facts = self.features.features(columns, self.fitted, context)
        outputs: list[NDArray[np.float32]] = []
        if (forests := self._forests) is not None:
            outputs = forests.run(forests.outputs, {name: matrices[name] for name in forests.matrices})
        outputs += [run(matrices[matrix]) for run, matrix in self._estimators]
        values: dict[str, TargetPrediction] = {}
        for target in self._targets:
            if unseen is not None and target.name in unseen:
                raw = mean_out_of_fold([outputs[m] for m in target.members], target.left_out, unseen[target.name])
            else:
                raw = _mean([outputs[member] for member in target.members])
            values[target.name] = _calibrated_value(target, raw, outputs, facts)
        for fusion in self._fusions:
            values[fusion.name] = MultiClassPrediction(fusion.weigh(matrices, facts), fusion.labels)
        return Prediction(values, facts)

    def calibration(self, target: str) -> Calibration:
        """Return the calibration of a target's raw output; KeyError where the bundle has no such target."""
        of: dict[str, Calibration] = {loaded.name: loaded.calibration for loaded in self._targets}
        of |= {loaded.name: loaded.calibration for loaded in self._fusions}
        return of[target]


def to_scalars(prediction: Prediction, index: int) -> tuple[dict[str, TargetPrediction], dict[str, Any]]:
    """Return values and extras of row ``index`` as Python scalars, classes as a list (k,), for ``build_response``."""
    values: dict[str, TargetPrediction] = {}
    for name, value in prediction.values.items():
        if isinstance(value, RegressionPrediction):
            values[name] = RegressionPrediction(
                value.value.item(index), value.lower.item(index), value.upper.item(index)
            )
        elif isinstance(value, BinaryPrediction):
            values[name] = BinaryPrediction(value.probability.item(index), value.threshold)
        else:
            values[name] = MultiClassPrediction(value.probabilities[index].tolist(), value.labels)
    return values, {name: fact.item(index) for name, fact in prediction.extras.items()}


def average_outputs(members: tuple[OnnxBooster, ...], matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean of the members' raw outputs, float64 (n, 1) or (n, k), for a matrix, float32 (n, p)."""
    return _mean([member(matrix) for member in members])


def _mean(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    total = outputs[0].astype(np.float64)
    for output in outputs[1:]:
        total += output
    return total / len(outputs) if len(outputs) > 1 else total


def mean_out_of_fold(
    outputs: Sequence[NDArray[np.float32]], left_out: Sequence[tuple[int, int]], parts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average, for each row, the outputs of the boosters that did not learn from it, in float64; NaN where all did.

    Args:
        outputs: One per booster, float32 (n, 1) or (n, k).
        left_out: Repetition and fold that each booster did not learn from.
        parts: Fold of each row in each repetition, int64 (repeats, n).
    """
    total = np.zeros(outputs[0].shape)
    count = np.zeros((len(total), *(1,) * (total.ndim - 1)))
    for output, (repeat, part) in zip(outputs, left_out, strict=True):
        rows = parts[repeat] == part
        total[rows] += output[rows]
        count[rows] += 1
    return total / count


def _calibrated_value(
    target: _LoadedTarget, raw: NDArray[np.float64], outputs: Sequence[NDArray[np.float32]], facts: dict[str, Any]
) -> TargetPrediction:
    """A target's value; for one row every NumPy call counts, hence ``ufunc.reduce`` and no methods that wrap it."""
    calibration = target.calibration
    if isinstance(calibration, RegressionCalibration):
        value = raw.reshape(-1) + calibration.shift
        low = raw if target.lower is None else outputs[target.lower]
        high = raw if target.upper is None else outputs[target.upper]
        widen = calibration.widen(facts, len(value))
        lower = np.minimum(low.reshape(-1) - widen, value)
        upper = np.maximum(high.reshape(-1) + widen, value)
        if calibration.minimum is not None:
            floor = calibration.minimum
            value, lower, upper = np.maximum(value, floor), np.maximum(lower, floor), np.maximum(upper, floor)
        return RegressionPrediction(value, lower, upper)
    if isinstance(calibration, BinaryCalibration):
        return BinaryPrediction(np.interp(raw[:, 1], target.x, target.y), calibration.threshold)
    assert isinstance(target.output, MultiClass)
    assert isinstance(calibration, MultiClassCalibration)
    logits = np.log(np.maximum(raw, 1e-12)) / calibration.temperature + target.y
    powers = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
    return MultiClassPrediction(powers / np.add.reduce(powers, axis=1, keepdims=True), target.output.labels)
