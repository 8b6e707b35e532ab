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
    """Score a bundle on examples.

    Args:
        predictor: The bundle.
        examples: n rows with the request's fields, labels and columns of subgroups.
        context: What is known from outside, as ``RawData.training_context`` makes it.
        version: What the report calls the bundle; by default the first 12 digits of its hash.

    Returns:
        The report (see ``build_report``).
    """
    found = score_variants(predictor.use_case, examples, context, predict_with_model(predictor))
    return build_report(predictor.use_case, len(examples), found, version=version or predictor.hash[:12])


def score_baseline(use_case: UseCase, examples: pd.DataFrame, context: Mapping[str, Any]) -> dict[str, Any]:
    """Score the declared baseline, by the same code.

    Args:
        use_case: The declaration.
        examples: n rows with the request's fields, labels and columns of subgroups.
        context: What is known from outside; scenarios may change it, the baseline gets none.

    Returns:
        The report (see ``build_report``), of the version ``baseline``.
    """
    found = score_variants(use_case, examples, context, predict_with_baseline(use_case))
    return build_report(use_case, len(examples), found, version="baseline")


def build_report(use_case: UseCase, rows: int, found: Sequence[ScoredPredictions], *, version: str) -> dict[str, Any]:
    """Build the report of predictions that are computed already.

    Args:
        use_case: The declaration.
        rows: How many examples were scored.
        found: What ``score_variants`` returned.
        version: What the report calls the model.

    Returns:
        ``{"use_case", "version", "rows", "metrics"}``: ``metrics`` holds the reported metrics of each target and, under
        its own name, of each scenario and slice (or beside its target's where a scenario says so). ``omitted`` says
        why a metric that these rows do not define has no value.
    """
    report: dict[str, Any] = {"use_case": use_case.name, "version": version, "rows": rows, "metrics": {}}
    omitted: dict[str, str] = {}
    beside = {variant.name: variant for variant in use_case.modelling.input_scenarios if variant.report_as}
    chosen = {part.name: part.metrics for part in use_case.modelling.evaluation_slices}
    for item in found:
        variant = beside.get(item.name)
        wanted = tuple(variant.report_as) if variant else chosen.get(item.name) or None
        values, reasons = compute_metrics(item, every=False, wanted=wanted)
        omitted |= {f"{item.name}.{metric}": reason for metric, reason in reasons.items()}
        if variant is None:
            report["metrics"][item.name] = values
        else:
            report["metrics"][variant.target] |= {variant.report_as[name]: value for name, value in values.items()}
    missing = {t.name for t in use_case.modelling.targets} - {item.target.name for item in found}
    omitted |= dict.fromkeys(sorted(missing), "no row has this outcome")
    if omitted:
        report["omitted"] = omitted
    return report


def compute_metrics(
    item: ScoredPredictions, *, every: bool = True, wanted: Sequence[str] | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Compute metrics of one entry of the report.

    Args:
        item: Labels and predictions.
        every: All metrics that the target can have; otherwise those that it reports (all where it names none).
        wanted: Names of metrics, in place of either.

    Returns:
        Metric -> value, and metric -> why it is not defined for these rows.

    Raises:
        KeyError: the target cannot have a metric that is wanted.
    """
    known = metrics_of(item.target)
    names = wanted if wanted is not None else list(known) if every else list(item.target.reported_metrics or known)
    values, reasons = {}, {}
    for name in names:
        value = known[name].value(item.target, item.label, item.value)
        if np.isfinite(value):
            values[name] = value
        else:
            reasons[name] = known[name].undefined
    return values, reasons


def metric_by_group(item: ScoredPredictions, metric: Metric, groups: Any) -> tuple[Any, Any]:
    """Compute a metric for each group of rows.

    Args:
        item: Labels and predictions of n rows.
        metric: The metric.
        groups: Each row's group, numbered from 0, int64 (n,).

    Returns:
        The metric of each group, float64 (g,), NaN where undefined, and the groups' row counts, float64 (g,).
    """
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
