"""The bundle's one predictor, of evaluation, gate, calibration and serving: their answers are equal bit for bit.

Forests run in one thread of ONNX Runtime, within 1e-5 relative of the native boosters (see ``docs/architecture.md``).
All of a bundle share one session: a single call spends more time on entering ONNX Runtime than in the trees. The nodes
are those of the ``.onnx`` files, so the outputs are equal bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.compose
import onnxruntime
from numpy.typing import NDArray
from pydantic import TypeAdapter

from services.core.bundle.calibration import (
    Calibration,
    FusionCalibration,
    LoadedTarget,
    calibrated_value,
    mean_out_of_fold,
    mean_output,
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


def create_session(model: bytes) -> onnxruntime.InferenceSession:
    """Make an ONNX Runtime session of one thread, so that results do not depend on the number of cores.

    Args:
        model: The serialised ONNX model.

    Returns:
        The session, on the CPU.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OnnxEnsemble:
    """Several boosters merged into one ONNX Runtime session.

    Attributes:
        run: ``run(outputs, {name: matrix})`` gives each booster's output, float32 (n, 1) or (n, k).
        matrices: Names of the inputs, float32 (n, p).
        outputs: Names of the outputs, in the order of the files.

    Args:
        files: Each booster's file and the name of the matrix that it reads.

    Raises:
        VigieError: the files were not written by one converter.
    """

    def __init__(self, files: Sequence[tuple[Path, str]]) -> None:
        graph = onnx.GraphProto(name="forests")
        inputs: dict[str, Any] = {}
        opsets: dict[str, int] = {}
        newest = 0
        for number, (path, matrix) in enumerate(files):
            model = onnx.compose.add_prefix(onnx.load_from_string(path.read_bytes()), f"{number}/", rename_inputs=False)
            own = model.graph.input[0].name
            for node in model.graph.node:
                node.input[:] = [matrix if name == own else name for name in node.input]
            graph.node.extend(model.graph.node)
            graph.initializer.extend(model.graph.initializer)
            graph.output.append(model.graph.output[-1])
            inputs.setdefault(matrix, model.graph.input[0]).name = matrix
            newest = max(newest, model.ir_version)
            for opset in model.opset_import:
                if opsets.setdefault(opset.domain, opset.version) != opset.version:
                    raise VigieError(f"{path} was written for another version of ONNX.", action="Train again.")
        graph.input.extend(inputs.values())
        self.matrices = tuple(inputs)
        self.outputs = [output.name for output in graph.output]
        opset_imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        merged = onnx.helper.make_model(graph, opset_imports=opset_imports, ir_version=newest)
        self.run = create_session(merged.SerializeToString()).run


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

    def _load(self, name: str, item: TargetManifest, files: list[tuple[Path, str]]) -> LoadedTarget:
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
        return LoadedTarget(
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
                raw = mean_output([outputs[member] for member in target.members])
            values[target.name] = calibrated_value(target, raw, outputs, facts)
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
    return mean_output([member(matrix) for member in members])
