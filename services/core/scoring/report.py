"""Metrics as the platform reports them: one JSON object per model and set of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from services.core.contract.use_case import UseCase
from services.core.scoring.metrics import Metric, metrics_of
from services.core.scoring.scored_predictions import (
    ScoredPredictions,
    predict_with_baseline,
    predict_with_model,
    score_variants,
)
from services.deprecated_names import renamed

if TYPE_CHECKING:
    import pandas as pd

    from services.core.bundle.predictor import Predictor

__getattr__ = renamed(__name__, {"report_of": "build_report"})


def score(
    predictor: Predictor, examples: pd.DataFrame, context: Mapping[str, Any], *, version: str | None = None
) -> dict[str, Any]:
    """Score a bundle on examples: ``{"use_case", "version", "rows", "metrics"}``, where ``metrics``
    holds the reported metrics of each target and, under its own name, of each variant (or beside its target's
    where it says so). A metric that these rows do not define is left out and explained below ``omitted``.

    ``version`` is what the bundle is called; its hash without."""
    found = score_variants(predictor.use_case, examples, context, predict_with_model(predictor))
    return build_report(predictor.use_case, len(examples), found, version=version or predictor.hash[:12])


def score_baseline(use_case: UseCase, examples: pd.DataFrame, context: Mapping[str, Any]) -> dict[str, Any]:
    """The declared baseline, scored by the same code."""
    found = score_variants(use_case, examples, context, predict_with_baseline(use_case))
    return build_report(use_case, len(examples), found, version="baseline")


def build_report(use_case: UseCase, rows: int, found: Sequence[ScoredPredictions], *, version: str) -> dict[str, Any]:
    """The report of answers that are there already."""
    report: dict[str, Any] = {"use_case": use_case.name, "version": version, "rows": rows, "metrics": {}}
    omitted: dict[str, str] = {}
    beside = {variant.name: variant for variant in use_case.variants if variant.report_as}
    chosen = {part.name: part.metrics for part in use_case.parts}
    for item in found:
        variant = beside.get(item.name)
        wanted = tuple(variant.report_as) if variant else chosen.get(item.name) or None
        values, reasons = compute_metrics(item, every=False, wanted=wanted)
        omitted |= {f"{item.name}.{metric}": reason for metric, reason in reasons.items()}
        if variant is None:
            report["metrics"][item.name] = values
        else:
            report["metrics"][variant.target] |= {variant.report_as[name]: value for name, value in values.items()}
    missing = {t.name for t in use_case.targets} - {item.target.name for item in found}
    omitted |= dict.fromkeys(sorted(missing), "no row has this outcome")
    if omitted:
        report["omitted"] = omitted
    return report


def compute_metrics(
    item: ScoredPredictions, *, every: bool = True, wanted: Sequence[str] | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Metric -> value, and metric -> why it is left out. Those that are ``wanted``, all that the target can have, or
    those that it reports."""
    known = metrics_of(item.target)
    names = wanted if wanted is not None else list(known) if every else list(item.target.reported or known)
    values, reasons = {}, {}
    for name in names:
        value = known[name].value(item.target, item.label, item.value)
        if np.isfinite(value):
            values[name] = value
        else:
            reasons[name] = known[name].undefined
    return values, reasons


def metric_by_group(item: ScoredPredictions, metric: Metric, groups: Any) -> tuple[Any, Any]:
    """The metric of each group, (g,) with NaN where undefined, and the groups' row counts (g,).
    ``groups`` (n,) numbers the item's rows from 0."""
    count = np.bincount(groups).astype(np.float64)
    if metric.row_terms is not None and metric.of_sums is not None:
        terms = metric.row_terms(item.target, item.label, item.value)
        sums = np.array([np.bincount(groups, weights=column, minlength=len(count)) for column in terms.T])
        return metric.of_sums(sums.T.astype(np.float64)), count
    assert metric.of_weights is not None
    values = [
        metric.of_weights(item.label, item.value, (groups == number).astype(np.float64)[None, :])[0]
        for number in range(len(count))
    ]
    return np.array(values), count
