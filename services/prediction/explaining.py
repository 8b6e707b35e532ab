"""Contributions of each request input to each target, in the target's own unit, summing to the output.

Computed from the native boosters with TreeSHAP. They are loaded after the model is in service, in the
background: nothing here is needed to answer a call. Where experts answer, by leaving fields out (``leaving_out``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.calibration import ClassesCalibration, ProbabilityCalibration, QuantityCalibration
from services.core.bundle.predictor import Predictor
from services.core.usecases.contract import ClassesValue, ProbabilityValue, Quantity, QuantityValue, UseCase
from services.prediction.leaving_out import left_out
from services.prediction.links import Floats, class_shares, link, slope

OUTSIDE = "context"
"""Where contributions of features go that come from no request field, such as the weather."""


class Explained(NamedTuple):
    """One output: ``output = base + sum(contributions)``."""

    label: str | None
    """The class, where the target has classes."""
    output: float
    base: float
    contributions: dict[str, float]


class _Target(NamedTuple):
    matrix: str
    members: list[Any]
    objectives: list[str]
    fold: Floats
    """(features, fields): how a feature's contribution is shared among the fields it is made from."""


class Explainer:
    """Loads a bundle's native boosters. Made in a background thread; immutable afterwards.

    Raises:
        ImportError, OSError, xgboost.core.XGBoostError: the boosters cannot be loaded.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._xgboost: Any = None
        self._use_case = predictor.use_case
        self.fields = (*self._use_case.request.model_fields, OUTSIDE)
        self._targets: dict[str, _Target] = {}
        self.importance: dict[str, dict[str, float]] = {}
        measured = json.loads((predictor.folder / "importance.json").read_text(encoding="utf-8"))
        for name, item in predictor.manifest.targets.items():
            if item.experts:
                self.importance[name] = measured[name]
                continue
            # XGBoost takes seconds to import and answers do not need it.
            import xgboost  # noqa: PLC0415

            self._xgboost = xgboost
            folder = predictor.folder / "targets" / name
            members = [self._booster(folder / f"{member}.ubj") for member in item.members]
            fold = _fold(self._use_case, item.features, self.fields)
            objectives = [json.loads(m.save_config())["learner"]["objective"]["name"] for m in members]
            self._targets[name] = _Target(item.matrix, members, objectives, fold)
            self.importance[name] = self._importance(members, fold)

    def explain(
        self, columns: Mapping[str, NDArray[Any]], context: Mapping[str, Any]
    ) -> dict[str, tuple[str, list[Explained]]]:
        """Target -> its unit and its outputs, for the one row of ``columns``."""
        matrices, _ = self._predictor.features.features(columns, self._predictor.fitted, context)
        values = self._predictor.predict(columns, context).values
        explained = {}
        for name, target in self._targets.items():
            value = values[name]
            if isinstance(value, ClassesValue):
                outputs = self._classes(name, matrices[target.matrix], value)
            else:
                number = value.value if isinstance(value, QuantityValue) else value.probability
                outputs = [self._number(name, matrices[target.matrix], float(number[0]))]
            explained[name] = (unit(self._use_case, name), outputs)
        for name, said in left_out(self._predictor, columns, context).items():
            explained[name] = (unit(self._use_case, name), [Explained(*output) for output in said])
        return explained

    def _number(self, name: str, matrix: Any, output: float) -> Explained:
        target = self._targets[name]
        shares = np.zeros(len(target.fold))
        start = end = 0.0
        for member, objective in zip(target.members, target.objectives, strict=True):
            contributions = self._contributions(member, matrix)[0]
            base, parts = float(contributions[-1]), contributions[:-1]
            function = link(objective)
            shares += slope(function, base, base + float(parts.sum())) * parts / len(target.members)
            ends = function(np.array([base, base + parts.sum()])) / len(target.members)
            start, end = start + float(ends[0]), end + float(ends[1])
        calibration = self._predictor.calibration(name)

        def calibrated(raw: Floats) -> Floats:
            if isinstance(calibration, ProbabilityCalibration):
                return np.interp(raw, calibration.x, calibration.y)
            assert isinstance(calibration, QuantityCalibration)
            shifted = raw + calibration.shift
            return shifted if calibration.minimum is None else np.maximum(shifted, calibration.minimum)

        return self._summing(None, output, slope(calibrated, start, end) * shares, target.fold)

    def _classes(self, name: str, matrix: Any, value: ClassesValue) -> list[Explained]:
        target = self._targets[name]
        calibration = self._predictor.calibration(name)
        assert isinstance(calibration, ClassesCalibration)
        every = np.stack([self._contributions(member, matrix)[0] for member in target.members])
        shares, _ = class_shares(every[:, :, :-1], every[:, :, -1], calibration.temperature, np.array(calibration.bias))
        return [
            self._summing(label, float(output), shares[index], target.fold)
            for index, (label, output) in enumerate(zip(value.labels, value.probabilities[0], strict=True))
        ]

    def _summing(self, label: str | None, output: float, shares: Floats, fold: Floats) -> Explained:
        """The base is what the contributions leave of the output, so that the sum is exact although
        the answer was computed by another engine (in float32, within 1e-5 of this one)."""
        parts = shares @ fold
        named = {field: float(part) for field, part in zip(self.fields, parts, strict=True)}
        return Explained(label, output, output - sum(named.values()), named)

    def _contributions(self, booster: Any, matrix: Any) -> Floats:
        """(1, p + 1), or (1, k, p + 1) with classes; the last column is the base."""
        data = self._xgboost.DMatrix(matrix, nthread=1)
        return booster.predict(data, pred_contribs=True, validate_features=False).astype(np.float64)

    def _booster(self, path: Path) -> Any:
        booster = self._xgboost.Booster(model_file=path)
        booster.set_param({"nthread": 1})
        return booster

    def _importance(self, members: list[Any], fold: Floats) -> dict[str, float]:
        """Each field's share of the members' total gain."""
        gains = np.zeros(len(fold))
        for member in members:
            names = member.feature_names or [f"f{index}" for index in range(len(fold))]
            found = member.get_score(importance_type="total_gain")
            gain = np.array([found.get(name, 0.0) for name in names])
            gains += gain / max(gain.sum(), 1e-12) / len(members)
        shares = gains @ fold
        return {field: round(float(share), 6) for field, share in zip(self.fields, shares, strict=True)}


def unit(use_case: UseCase, target: str) -> str:
    output = use_case.target(target).output
    return output.unit if isinstance(output, Quantity) else "probability"


def baseline_explained(use_case: UseCase, fields: Mapping[str, Any]) -> dict[str, tuple[str, list[Explained]]]:
    """The baseline looks at no input but its own table: all of its answer is base."""
    names = (*use_case.request.model_fields, OUTSIDE)
    explained = {}
    for name, value in use_case.baseline(fields)[0].items():
        pairs: list[tuple[str | None, Any]]
        if isinstance(value, ClassesValue):
            pairs = list(zip(value.labels, value.probabilities, strict=True))
        else:
            pairs = [(None, value.probability if isinstance(value, ProbabilityValue) else value.value)]
        none = dict.fromkeys(names, 0.0)
        outputs = [Explained(label, float(number), float(number), dict(none)) for label, number in pairs]
        explained[name] = (unit(use_case, name), outputs)
    return explained


def _fold(use_case: UseCase, features: tuple[str, ...], fields: tuple[str, ...]) -> Floats:
    """A feature that is made from several fields gives each an equal share."""
    fold = np.zeros((len(features), len(fields)))
    for row, feature in enumerate(features):
        made_from = [field for field in use_case.features.INPUTS.get(feature, ()) if field in fields] or [OUTSIDE]
        for field in made_from:
            fold[row, fields.index(field)] += 1 / len(made_from)
    return fold
