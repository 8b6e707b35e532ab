"""Which inputs a bundle's boosters use: total gain, summed by request field."""

from __future__ import annotations

from typing import Any

from services.training.cross import copies
from services.training.prepared import Run

CONTEXT = "context"
"""Features that come from no request field, such as the weather."""


def importance(run: Run) -> dict[str, dict[str, float]]:
    """Target -> request field -> share of the gain, largest first. A feature that is made from several
    fields gives each an equal part; members count alike."""
    import xgboost  # noqa: PLC0415

    features = run.use_case.features
    shares: dict[str, dict[str, float]] = {}
    for target in run.use_case.targets:
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
        shares[target.name] = {field: round(total[field], 6) for field in sorted(total, key=lambda f: -total[f])}
    return shares
