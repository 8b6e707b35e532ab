"""Attributes a prediction to the request fields (SHAP), in the target's unit, summing to the output.

Boosters: TreeSHAP (Lundberg et al. 2020) on the native models, carried through link and calibration along the
straight path of margins (Aumann and Shapley 1974). All others: exact or sampled Shapley values (``shapley``).
Loaded in the background once the model serves: predictions do not need it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.calibration import BinaryCalibration, MultiClassCalibration, RegressionCalibration
from services.core.bundle.predictor import Predictor
from services.core.contract.outputs import unit_of
from services.core.contract.use_case import BinaryPrediction, MultiClassPrediction, RegressionPrediction, UseCase
from services.prediction.inference.shapley import exact_shapley

Floats = NDArray[np.float64]

_IDENTITY = {
    "reg:squarederror",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
    "reg:squaredlogerror",
}
_EXPONENTIAL = {"count:poisson", "reg:gamma", "reg:tweedie"}
_LOGISTIC = {"binary:logistic", "reg:logistic"}


def inverse_link(objective: str) -> Callable[[Floats], Floats]:
    """The function from margins to a booster's output, for objectives with one output.

    Raises:
        ValueError: an objective whose link is unknown.
    """
    if objective in _IDENTITY:
        return lambda margin: margin
    if objective in _EXPONENTIAL:
        return np.exp
    if objective in _LOGISTIC:
        return lambda margin: 1.0 / (1.0 + np.exp(-margin))
    raise ValueError(f"the link of {objective} is not known")


def mean_slope(function: Callable[[Floats], Floats], start: float, end: float) -> float:
    """Mean slope of ``function`` between two points; its derivative if they coincide."""
    if abs(end - start) < 1e-9:
        middle, step = (start + end) / 2, 1e-6
        start, end = middle - step, middle + step
    low, high = function(np.array([start, end]))
    return float((high - low) / (end - start))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_PATH, _PATH_WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


def class_attributions(contributions: Floats, bases: Floats, temperature: float, bias: Floats) -> tuple[Floats, Floats]:
    """Attribution of each class's calibrated probability.

    Args:
        contributions: (m, k, p) margin contributions of m averaged members for k classes.
        bases: (m, k) base margins.

    Returns:
        Attributions (k, p) and base probabilities (k,). They sum to the calibrated probability, within
        the quadrature's error (about 1e-6).
    """
    gains = contributions.sum(axis=2)
    margins = bases[None] + _PATH[:, None, None] * gains[None]
    member = _softmax(margins)
    mean = np.maximum(member.mean(axis=1), 1e-12)
    calibrated = _softmax(np.log(mean) / temperature + bias)
    k = gains.shape[1]
    # d calibrated_j / d mean_l, then d mean_l / d margin_mq
    outer = calibrated[:, :, None] * (np.eye(k)[None] - calibrated[:, None, :]) / (temperature * mean[:, None, :])
    inner = member[:, :, :, None] * (np.eye(k)[None, None] - member[:, :, None, :]) / len(bases)
    gradient = np.einsum("t,tjl,tmlq->jmq", _PATH_WEIGHTS, outer, inner)
    shares = np.einsum("jmq,mqp->jp", gradient, contributions)
    base = _softmax(np.log(np.maximum(_softmax(bases).mean(axis=0), 1e-12)) / temperature + bias)
    return shares, base


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


CONTEXT_FIELD = "context"
"""Field that collects the contributions of features from outside the request, such as the weather."""


class OutputAttribution(NamedTuple):
    """Attribution of one output: ``output = base + sum(contributions)``."""

    label: str | None
    """The class, if the target has classes."""
    output: float
    base: float
    contributions: dict[str, float]


class _BoosterTarget(NamedTuple):
    matrix: str
    members: list[Any]
    objectives: list[str]
    fold: Floats
    """(features, fields): share of a feature's contribution that each of its source fields gets."""


class Explainer:
    """Loads a bundle's native boosters. Created in a background thread; immutable afterwards.

    Raises:
        ImportError, OSError, xgboost.core.XGBoostError: the boosters cannot be loaded.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._xgboost: Any = None
        self._use_case = predictor.use_case
        self.fields = (*self._use_case.serving.request.model_fields, CONTEXT_FIELD)
        self._targets: dict[str, _BoosterTarget] = {}
        self.importance: dict[str, dict[str, float]] = {}
        measured = json.loads((predictor.folder / "importance.json").read_text(encoding="utf-8"))
        for name, item in predictor.manifest.targets.items():
            if item.experts or item.estimator:
                self.importance[name] = measured[name]
                continue
            # XGBoost takes seconds to import and predictions do not need it.
            import xgboost  # noqa: PLC0415

            self._xgboost = xgboost
            folder = predictor.folder / "targets" / name
            members = [self._booster(folder / f"{member}.ubj") for member in item.members]
            fold = _feature_to_field_matrix(self._use_case, item.features, self.fields)
            objectives = [json.loads(m.save_config())["learner"]["objective"]["name"] for m in members]
            self._targets[name] = _BoosterTarget(item.matrix, members, objectives, fold)
            self.importance[name] = self._importance(members, fold)

    def explain(
        self, columns: Mapping[str, NDArray[Any]], context: Mapping[str, Any]
    ) -> dict[str, tuple[str, list[OutputAttribution]]]:
        """Target -> its unit and the attribution of its outputs, for the single row of ``columns``."""
        matrices, _ = self._predictor.features.features(columns, self._predictor.fitted, context)
        values = self._predictor.predict(columns, context).values
        explained = {}
        for name, target in self._targets.items():
            value = values[name]
            if isinstance(value, MultiClassPrediction):
                outputs = self._classes(name, matrices[target.matrix], value)
            else:
                number = value.value if isinstance(value, RegressionPrediction) else value.probability
                outputs = [self._number(name, matrices[target.matrix], float(number[0]))]
            explained[name] = (unit_of(self._use_case.target(name).output), outputs)
        for name, said in exact_shapley(self._predictor, columns, context).items():
            explained[name] = (
                unit_of(self._use_case.target(name).output),
                [OutputAttribution(*output) for output in said],
            )
        return explained

    def _number(self, name: str, matrix: Any, output: float) -> OutputAttribution:
        target = self._targets[name]
        shares = np.zeros(len(target.fold))
        start = end = 0.0
        for member, objective in zip(target.members, target.objectives, strict=True):
            contributions = self._contributions(member, matrix)[0]
            base, parts = float(contributions[-1]), contributions[:-1]
            function = inverse_link(objective)
            shares += mean_slope(function, base, base + float(parts.sum())) * parts / len(target.members)
            ends = function(np.array([base, base + parts.sum()])) / len(target.members)
            start, end = start + float(ends[0]), end + float(ends[1])
        calibration = self._predictor.calibration(name)

        def calibrated(raw: Floats) -> Floats:
            if isinstance(calibration, BinaryCalibration):
                return np.interp(raw, calibration.x, calibration.y)
            assert isinstance(calibration, RegressionCalibration)
            shifted = raw + calibration.shift
            return shifted if calibration.minimum is None else np.maximum(shifted, calibration.minimum)

        return self._summing(None, output, mean_slope(calibrated, start, end) * shares, target.fold)

    def _classes(self, name: str, matrix: Any, value: MultiClassPrediction) -> list[OutputAttribution]:
        target = self._targets[name]
        calibration = self._predictor.calibration(name)
        assert isinstance(calibration, MultiClassCalibration)
        every = np.stack([self._contributions(member, matrix)[0] for member in target.members])
        shares, _ = class_attributions(
            every[:, :, :-1], every[:, :, -1], calibration.temperature, np.array(calibration.bias)
        )
        return [
            self._summing(label, float(output), shares[index], target.fold)
            for index, (label, output) in enumerate(zip(value.labels, value.probabilities[0], strict=True))
        ]

    def _summing(self, label: str | None, output: float, shares: Floats, fold: Floats) -> OutputAttribution:
        """Define the base as output minus contributions, so that the sum is exact although the output was computed
        by ONNX Runtime (in float32, within 1e-5 of the native model)."""
        parts = shares @ fold
        named = {field: float(part) for field, part in zip(self.fields, parts, strict=True)}
        return OutputAttribution(label, output, output - sum(named.values()), named)

    def _contributions(self, booster: Any, matrix: Any) -> Floats:
        """(1, p + 1), or (1, k, p + 1) with classes; the last column is the base."""
        data = self._xgboost.DMatrix(matrix, nthread=1)
        return booster.predict(data, pred_contribs=True, validate_features=False).astype(np.float64)

    def _booster(self, path: Path) -> Any:
        booster = self._xgboost.Booster(model_file=path)
        booster.set_param({"nthread": 1})
        return booster

    def _importance(self, members: list[Any], fold: Floats) -> dict[str, float]:
        """Share of each request field in the total gain of all members."""
        gains = np.zeros(len(fold))
        for member in members:
            names = member.feature_names or [f"f{index}" for index in range(len(fold))]
            found = member.get_score(importance_type="total_gain")
            gain = np.array([found.get(name, 0.0) for name in names])
            gains += gain / max(gain.sum(), 1e-12) / len(members)
        shares = gains @ fold
        return {field: round(float(share), 6) for field, share in zip(self.fields, shares, strict=True)}


def explain_baseline(use_case: UseCase, fields: Mapping[str, Any]) -> dict[str, tuple[str, list[OutputAttribution]]]:
    """Attribute a baseline answer: it uses no request field, so that all of the output is base."""
    names = (*use_case.serving.request.model_fields, CONTEXT_FIELD)
    explained = {}
    for name, value in use_case.serving.fallback_prediction(fields)[0].items():
        pairs: list[tuple[str | None, Any]]
        if isinstance(value, MultiClassPrediction):
            pairs = list(zip(value.labels, value.probabilities, strict=True))
        else:
            pairs = [(None, value.probability if isinstance(value, BinaryPrediction) else value.value)]
        none = dict.fromkeys(names, 0.0)
        outputs = [OutputAttribution(label, float(number), float(number), dict(none)) for label, number in pairs]
        explained[name] = (unit_of(use_case.target(name).output), outputs)
    return explained


def _feature_to_field_matrix(use_case: UseCase, features: tuple[str, ...], fields: tuple[str, ...]) -> Floats:
    """(features, fields): a feature derived from several fields is attributed to them in equal shares."""
    fold = np.zeros((len(features), len(fields)))
    for row, feature in enumerate(features):
        made_from = [field for field in use_case.features.FEATURE_INPUTS.get(feature, ()) if field in fields] or [
            CONTEXT_FIELD
        ]
        for field in made_from:
            fold[row, fields.index(field)] += 1 / len(made_from)
    return fold
