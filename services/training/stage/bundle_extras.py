"""What a bundle holds beside models: input ranges, importance, post-training checks, reference sample, provenance."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import services
from services.core.bundle.calibration import FusionCalibration
from services.core.bundle.modality_models import LateFusionModel
from services.core.bundle.predictor import OnnxBooster, Predictor, average_outputs, save_arrays
from services.core.contract import columns as column_tools
from services.core.contract.fields import image_fields
from services.core.contract.modules import compute_drift_features
from services.core.contract.use_case import (
    BUILT_IN,
    BinaryPrediction,
    LateFusion,
    OnnxEstimator,
    Regression,
    RegressionPrediction,
    Target,
    TargetPrediction,
    UseCase,
)
from services.core.steps import STAGE_CODE
from services.training.stage.splitting import CALIBRATE, TEST, TRAIN, fold_models, in_split
from services.training.stage.training_data import TrainingContext, TrainingData

_MAX_WORDS = 5_000
"""Above this a field is free text, and a new word in it is no surprise."""


def input_ranges(use_case: UseCase, columns: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """Describe the training values of every request field, for warnings about unusual requests.

    Args:
        use_case: Declares the request's fields.
        columns: Request field -> training values (n,).

    Returns:
        Field -> ``kind``, ``missing`` (share of rows) and, for numbers and times, ``min``, ``max``, ``low``, ``high``
        (the 0.1 and 99.9 % points), ``median``; for categories and short texts ``words`` (sorted, or None for free
        text, declared so or recognised by their number) and ``usual`` (the most frequent).
    """
    found: dict[str, dict[str, Any]] = {}
    free = column_tools.free_text_fields(use_case.serving.request)
    for name, kind in column_tools.column_types(use_case.serving.request).items():
        values = columns[name]
        if kind == "image":
            known = sum(value is not None for value in values)
            found[name] = {"kind": kind, "missing": 1 - known / max(len(values), 1)}
            continue
        if kind in {"category", "text"}:
            present = values[values != ""].astype(str)
            words, counts = np.unique(present, return_counts=True)
            few = len(words) <= _MAX_WORDS and name not in free
            summary: dict[str, Any] = {
                "words": words.tolist() if few else None,
                "usual": str(words[np.argmax(counts)]) if len(words) and few else None,
            }
        else:
            present = values[~np.isnan(values)]
            summary = dict.fromkeys(("min", "low", "median", "high", "max"))
            if len(present):
                points = np.quantile(present, (0.0, 0.001, 0.5, 0.999, 1.0))
                summary = dict(zip(summary, (float(point) for point in points), strict=True))
        found[name] = {"kind": kind, "missing": 1 - len(present) / max(len(values), 1), **summary}
    return found


CONTEXT = "context"
"""Features that come from no request field, such as the weather."""
_MAX_ROWS = 200
"""Calibration rows that experts are asked about anew for each field."""


def feature_importance(run: TrainingContext, learned: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, float]]:
    """Measure each request field's importance: its share of the boosters' gain, or of the loss without or permuted.

    Args:
        run: Use case, examples and bundle of the run.
        learned: Array name -> what ``fit`` returned, of any shape.

    Returns:
        Target -> request field -> its share of 1, largest first.
    """
    shares: dict[str, dict[str, float]] = {}
    for target in run.use_case.modelling.targets:
        if isinstance(target.learner, LateFusion):
            total = _permutation_loss_by_field(run, target, learned)
        elif isinstance(target.learner, OnnxEstimator):
            total = _shuffled_error_by_field(run, target, learned)
        else:
            total = _gain_by_field(run, target)
        shares[target.name] = {field: round(total[field], 6) for field in sorted(total, key=lambda f: -total[f])}
    return shares


def _gain_by_field(run: TrainingContext, target: Target) -> dict[str, float]:
    """Sum the boosters' gain by field: a feature made from several gives each an equal part; members count alike."""
    import xgboost  # noqa: PLC0415

    features = run.use_case.features
    total: dict[str, float] = {}
    members = [copy.name for copy in fold_models(run.use_case, target) if copy.name.startswith("member-")]
    for member in members:
        booster = xgboost.Booster(model_file=run.target_folder(target.name) / f"{member}.ubj")
        scores: dict[str, Any] = booster.get_score(importance_type="total_gain")
        gains = {int(feature[1:]): float(gain) for feature, gain in scores.items()}
        whole = sum(gains.values()) or 1.0
        for number, gain in gains.items():
            fields = features.FEATURE_INPUTS.get(features.FEATURE_NAMES[target.matrix][number]) or (CONTEXT,)
            for field in fields:
                total[field] = total.get(field, 0.0) + gain / whole / len(fields) / len(members)
    return total


def _permutation_loss_by_field(
    run: TrainingContext, target: Target, learned: Mapping[str, NDArray[Any]]
) -> dict[str, float]:
    """Measure the rise of the log loss when a field is not sent, as a share of all rises."""
    assert isinstance(target.learner, LateFusion)
    rows = run.data.rows(CALIBRATE)
    rows = rows[~np.isnan(run.data.labels[target.name][rows])][:_MAX_ROWS]
    columns, outcome = (
        column_tools.select_rows(run.data.columns, rows),
        run.data.labels[target.name][rows].astype(np.int64),
    )
    folder, features = run.target_folder(target.name), run.use_case.features
    calibration = FusionCalibration.model_validate_json((folder / "calibration.json").read_bytes())
    fusion, fitted = LateFusionModel(target.learner.modality_models, folder, calibration), features.prepare(learned)

    def loss(seen: Mapping[str, NDArray[Any]]) -> float:
        matrices, facts = features.features(seen, fitted, run.context)
        chance = fusion(matrices, facts)[np.arange(len(outcome)), outcome]
        return float(-np.log(np.maximum(chance, 1e-12)).mean())

    fields = dict.fromkeys(field for expert in target.learner.modality_models for field in expert.fields)
    whole = loss(columns)
    rises = {
        name: max(loss(column_tools.mask_fields(run.use_case.serving.request, columns, [name])) - whole, 0.0)
        for name in fields
    }
    return {field: rise / (sum(rises.values()) or 1.0) for field, rise in rises.items()}


def _shuffled_error_by_field(
    run: TrainingContext, target: Target, learned: Mapping[str, NDArray[Any]]
) -> dict[str, float]:
    """Measure the rise of the outputs' squared error when a field is permuted, as its share of rises (Breiman 2001)."""
    rows = run.data.rows(CALIBRATE)
    rows = rows[~np.isnan(run.data.labels[target.name][rows])][:_MAX_ROWS]
    columns, label = column_tools.select_rows(run.data.columns, rows), run.data.labels[target.name][rows]
    features, generator = run.use_case.features, np.random.default_rng(run.params.seed)
    fitted, order = features.prepare(learned), generator.permutation(len(rows))
    members = tuple(
        OnnxBooster(run.target_folder(target.name) / f"{copy.name}.onnx", row_by_row=True)
        for copy in fold_models(run.use_case, target)
    )

    def loss(seen: Mapping[str, NDArray[Any]]) -> float:
        raw = average_outputs(members, features.features(seen, fitted, run.context).matrices[target.matrix])
        wanted = label[:, None] if isinstance(target.output, Regression) else np.eye(raw.shape[1])[label.astype(int)]
        return float(np.square(raw.reshape(wanted.shape[0], -1) - wanted).mean())

    used = {field for name in features.FEATURE_NAMES[target.matrix] for field in features.FEATURE_INPUTS.get(name, ())}
    whole = loss(columns)
    rises = {
        field: max(loss({**columns, field: columns[field][order]}) - whole, 0.0)
        for field in run.use_case.serving.request.model_fields
        if field in used
    }
    return {field: rise / (sum(rises.values()) or 1.0) for field, rise in rises.items()}


def add_post_training_checks(run: TrainingContext, learned: Mapping[str, NDArray[Any]]) -> Predictor:
    """Let the use case examine the model on the calibration slice, and store what it finds beside what ``fit`` learned.

    Args:
        run: Use case, examples and bundle of the run.
        learned: Array name -> what ``fit`` returned, of any shape.

    Returns:
        The predictor that was examined.

    Raises:
        ValueError: A finding has the name of a learned array.
    """
    predictor = Predictor(run.use_case, run.folder)
    rows = run.data.rows(CALIBRATE)
    columns = column_tools.select_rows(run.data.columns, rows)
    values = predictor.predict(columns, run.context, unseen=run.data.parts_at(rows)).values
    findings = run.use_case.features.post_training_checks(
        columns, run.data.labels_of(CALIBRATE, rows), values, predictor.fitted
    )
    clash = sorted(set(findings) & set(learned))
    if clash:
        raise ValueError(f"{run.use_case.name}: audit returns arrays that fit already made: {clash}")
    save_arrays(run.folder / "fitted.npz", {**learned, **findings})
    return predictor


def add_reference_sample(run: TrainingContext, predictor: Predictor) -> None:
    """Write ``reference.parquet``: a sample of requests up to the test slice with the model's answers.

    Columns: the request's fields but pictures, ``watched.<name>`` for what the use case derives for drift, ``slice``
    (train or calibrate: answers on rows that were learned from are a little too sure) and ``prediction.<target>``
    (value, probability or class number).

    Args:
        run: Use case, examples, bundle and sample size of the run.
        predictor: The trained model.
    """
    calibration = run.data.rows(CALIBRATE)
    known = np.concatenate([run.data.rows(TRAIN), calibration])
    generator = np.random.default_rng(run.params.seed)
    sample = np.sort(generator.choice(known, min(len(known), run.params.reference_rows), replace=False))
    request = run.use_case.serving.request
    fields = [name for name in request.model_fields if name not in image_fields(request)]
    frame = run.data.examples.iloc[sample][fields].reset_index(drop=True)
    columns = column_tools.select_rows(run.data.columns, sample)
    for name, values in compute_drift_features(run.use_case, columns, predictor.fitted).items():
        frame[f"watched.{name}"] = values
    frame["slice"] = np.where(np.isin(sample, calibration), "calibrate", "train")
    prediction = predictor.predict(columns, run.context)
    for name, value in prediction.values.items():
        frame[f"prediction.{name}"] = _as_scalar_column(value)
    frame.to_parquet(run.folder / "reference.parquet", index=False)


def _as_scalar_column(value: TargetPrediction) -> NDArray[Any]:
    if isinstance(value, RegressionPrediction):
        return np.asarray(value.value)
    if isinstance(value, BinaryPrediction):
        return np.asarray(value.probability)
    return np.asarray(value.probabilities).argmax(axis=1)


_LIBRARIES = ("numpy", "pandas", "scikit-learn", "onnxmltools", "onnxruntime")


def split_spans(use_case: UseCase, data: TrainingData) -> dict[str, str | int | float]:
    """Count the rows of each target's slices and state their time span.

    Args:
        use_case: Declares the targets.
        data: Examples as arrays.

    Returns:
        ``<target>.<slice>.rows``, ``.from`` and ``.to`` (ISO 8601) -> value, for the manifest.
    """
    spans: dict[str, str | int | float] = {}
    for target in use_case.modelling.targets:
        label, slices = data.labels[target.name], data.slices[target.name]
        for part, word in ((TRAIN, "train"), (CALIBRATE, "calibrate"), (TEST, "test")):
            rows = np.flatnonzero(in_split(slices, part) & ~np.isnan(label))
            spans[f"{target.name}.{word}.rows"] = len(rows)
            if "event_time" in data.examples:
                times = data.examples["event_time"].iloc[rows]
                spans[f"{target.name}.{word}.from"] = times.min().isoformat()
                spans[f"{target.name}.{word}.to"] = times.max().isoformat()
    return spans


def library_versions(use_case: UseCase) -> dict[str, str]:
    """List versions of Python and of the libraries that make a bundle, and the hash of its code.

    Args:
        use_case: Its package counts as code.

    Returns:
        Name -> version, for the manifest.
    """
    import xgboost  # noqa: PLC0415

    # its distribution is xgboost-cpu or xgboost, so the module itself says which version it is
    made_by = {"python": platform.python_version(), "code": code_hash(use_case), "xgboost": xgboost.__version__}
    return made_by | {name: version(name) for name in _LIBRARIES}


def code_hash(use_case: UseCase) -> str:
    """Hash (16 hexadecimal digits) the code that makes a bundle: the train stage's and the use case's."""
    root = Path(services.__file__).parent.parent
    package = import_module(use_case.package or f"{BUILT_IN}.{use_case.name}").__path__[0]
    digest = sha256()
    for folder in (*(root / name for name in STAGE_CODE["train"]), Path(package)):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
