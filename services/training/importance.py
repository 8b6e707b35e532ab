"""Which inputs a bundle's models use. Of boosters: total gain, summed by request field. Of experts: how much worse
the calibration slice is answered without a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.calibration import FusionCalibration
from services.core.bundle.experts import Fusion
from services.core.usecases import columns as column_tools
from services.core.usecases.contract import LateFusion, Target
from services.training.cross import copies
from services.training.prepared import Run
from services.training.slices import CALIBRATE

CONTEXT = "context"
"""Features that come from no request field, such as the weather."""
_MOST_ROWS = 200
"""Calibration rows that experts are asked about anew for each field."""


def importance(run: Run, learned: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, float]]:
    """Target -> request field -> its share, largest first."""
    shares: dict[str, dict[str, float]] = {}
    for target in run.use_case.targets:
        fusion = isinstance(target.learner, LateFusion)
        total = _of_experts(run, target, learned) if fusion else _of_boosters(run, target)
        shares[target.name] = {field: round(total[field], 6) for field in sorted(total, key=lambda f: -total[f])}
    return shares


def _of_boosters(run: Run, target: Target) -> dict[str, float]:
    """A feature that is made from several fields gives each an equal part; members count alike."""
    import xgboost  # noqa: PLC0415

    features = run.use_case.features
    total: dict[str, float] = {}
    members = [copy.name for copy in copies(run.use_case, target) if copy.name.startswith("member-")]
    for member in members:
        booster = xgboost.Booster(model_file=run.target_folder(target.name) / f"{member}.ubj")
        scores: dict[str, Any] = booster.get_score(importance_type="total_gain")
        gains = {int(feature[1:]): float(gain) for feature, gain in scores.items()}
        whole = sum(gains.values()) or 1.0
        for number, gain in gains.items():
            fields = features.INPUTS.get(features.MATRICES[target.matrix][number]) or (CONTEXT,)
            for field in fields:
                total[field] = total.get(field, 0.0) + gain / whole / len(fields) / len(members)
    return total


def _of_experts(run: Run, target: Target, learned: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """The rise of the log loss when a field is not sent, as a share of all rises."""
    assert isinstance(target.learner, LateFusion)
    rows = run.data.rows(CALIBRATE)
    rows = rows[~np.isnan(run.data.labels[target.name][rows])][:_MOST_ROWS]
    columns, outcome = column_tools.take(run.data.columns, rows), run.data.labels[target.name][rows].astype(np.int64)
    folder, features = run.target_folder(target.name), run.use_case.features
    calibration = FusionCalibration.model_validate_json((folder / "calibration.json").read_bytes())
    fusion, fitted = Fusion(target.learner.experts, folder, calibration), features.load(learned)

    def loss(seen: Mapping[str, NDArray[Any]]) -> float:
        matrices, facts = features.features(seen, fitted, run.context)
        chance = fusion(matrices, facts)[np.arange(len(outcome)), outcome]
        return float(-np.log(np.maximum(chance, 1e-12)).mean())

    fields = dict.fromkeys(field for expert in target.learner.experts for field in expert.fields)
    whole = loss(columns)
    rises = {
        name: max(loss(column_tools.without(run.use_case.request, columns, [name])) - whole, 0.0) for name in fields
    }
    return {field: rise / (sum(rises.values()) or 1.0) for field, rise in rises.items()}
