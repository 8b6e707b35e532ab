"""Compares a challenger with the champion (or the baseline): gain of the deciding metric, then guardrails."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from statsmodels.stats.multitest import multipletests
from threadpoolctl import threadpool_limits

from services.core.bundle.predictor import Predictor
from services.core.contract import columns as column_tools
from services.core.contract.use_case import MultiClass, Regression, Target, UseCase
from services.core.params import Gate
from services.core.scoring.metrics import coverage_name, metric_of
from services.core.scoring.scored_predictions import (
    PredictFunction,
    ScoredPredictions,
    constant_test_labels,
    predict_with_baseline,
    predict_with_model,
    score_variants,
)
from services.training.evaluation.test_set import predict_out_of_fold, subgroup_labels
from services.training.gate.decision import BootstrapWeights, Decision, GuardrailCheck, metric_gain, resample

if TYPE_CHECKING:
    import pandas as pd

_LATENCY_ROWS = 60
_COVERAGE_LIMIT, _ECE_LIMIT = 0.02, 0.01
"""Of targets that state no limit for their calibration."""


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Two models' answers to the same frozen rows, in the same order.

    Attributes:
        use_case: What both models answer.
        frame: The frozen test set, one row per example (n rows).
        new: The challenger's scored answers, one entry per target and variant.
        old: The champion's or the baseline's, in the same order.
        draws: Bootstrap weights of the rows' clusters.
        gate: Thresholds of the gate.
    """

    use_case: UseCase
    frame: pd.DataFrame
    new: Sequence[ScoredPredictions]
    old: Sequence[ScoredPredictions]
    draws: BootstrapWeights
    gate: Gate

    def check(self, name: str, metric: str, limit: float, rows: Any = None) -> GuardrailCheck:
        """Measure one metric of one target or variant as a guardrail.

        Args:
            name: Target or variant.
            metric: Name of the metric.
            limit: How much worse the metric may get, in its unit.
            rows: Positions int64 (m,) among the rows of the target; None for all of them.

        Returns:
            The gain with its confidence bound, beside the limit.
        """
        new = next(item for item in self.new if item.name == name)
        old = next(item for item in self.old if item.name == name)
        known, sure = metric_of(new.target, metric), self.gate.confidence
        gain = metric_gain(new, old, known, self.draws, confidence=sure, rows=rows)
        return GuardrailCheck(name, metric, limit, gain, len(new.rows) if rows is None else len(rows))


@threadpool_limits.wrap(limits=1, user_api="blas")  # the products are small; threads only wait for each other
def compare_models(
    challenger: Predictor,
    champion: Predictor | None,
    frame: pd.DataFrame,
    context: Mapping[str, Any],
    gate: Gate,
    *,
    champion_name: str = "the champion",
) -> Decision:
    """Decide whether a challenger may replace the champion: gain of the deciding metric, guardrails, latency and size.

    Without a champion the declared baseline is compared with, on the deciding metric and the other targets' own
    metrics alone: a constant is perfectly calibrated, and that is no reason to refuse a model.

    Args:
        challenger: The model to judge.
        champion: The model in service; None for the baseline.
        frame: The challenger's frozen test set, one row per example (n rows).
        context: What features read beside requests, such as the weather: name -> value or array.
        gate: Thresholds: confidence, minimum gain, limits, number of bootstrap resamples.
        champion_name: What reasons call the champion.

    Returns:
        The decision, with a reason for each refusal or for the pass.
    """
    use_case = challenger.use_case
    if champion is not None and champion.hash == challenger.hash:
        return Decision("unchanged", (f"It is the same bundle as {champion_name}.",), champion_name)
    old_answer = predict_with_baseline(use_case) if champion is None else _answers(champion, frame)
    new = score_variants(use_case, frame, context, _answers(challenger, frame))
    old = score_variants(use_case, frame, context, old_answer)
    contest = ModelComparison(use_case, frame, new, old, resample(use_case, frame, gate.bootstrap, gate.seed), gate)
    against = "the baseline" if champion is None else champion_name
    first = use_case.modelling.targets[0]
    deciding = contest.check(first.name, first.metric, 0.0)
    checks = list(_target_checks(contest, calibration=champion is not None))
    failed = failed_guardrails(checks, gate)
    if champion is not None:
        groups = [*_subgroup_checks(contest, first), *_official_check(contest, first)]
        failed += failed_guardrails(groups, gate)
        checks += groups
    models = [challenger] if champion is None else [challenger, champion]
    latency, *old_latency = one_row_latencies_ms(models, frame, context)
    size = bundle_megabytes(challenger)
    reasons = [*constant_test_labels(new), _gain_reason(deciding, gate, against)]
    reasons += [_guardrail_reason(check, against) for check in failed]
    reasons += resource_violations(latency, old_latency[0] if old_latency else None, size, gate)
    refusals = tuple(reason for reason in reasons if reason)
    return Decision(
        outcome="refused" if refusals else "passed",
        reasons=refusals or (_pass_reason(deciding, against),),
        compared_with=against,
        deciding=deciding,
        checks=tuple(checks),
        latency_ms=latency,
        bundle_mb=size,
        resampled=contest.draws.unit,
    )


def _answers(predictor: Predictor, frame: pd.DataFrame) -> PredictFunction:
    crossed = any(item.left_out for item in predictor.manifest.targets.values())
    return predict_out_of_fold(predictor, frame) if crossed else predict_with_model(predictor)


def failed_guardrails(checks: Sequence[GuardrailCheck], gate: Gate) -> list[GuardrailCheck]:
    """Select the checks whose metric got worse by more than its limit, and not by chance.

    Holm's correction (Holm 1979) for the number of checks holds the risk of one false refusal below 1 - confidence.

    Args:
        checks: One per guarded metric, target, variant or subgroup.
        gate: ``confidence`` is used.

    Returns:
        The failed checks, the least likely by chance first.
    """
    if not checks:
        return []
    ordered = sorted(checks, key=lambda check: check.measured.worse_by_chance)
    chances = [check.measured.worse_by_chance for check in ordered]
    proven, *_ = multipletests(chances, alpha=1 - gate.confidence, method="holm")
    return [check for check, worse in zip(ordered, proven, strict=True) if worse and -check.measured.gain > check.limit]


def _target_checks(contest: ModelComparison, *, calibration: bool) -> Iterator[GuardrailCheck]:
    """Check other targets' metrics, declared guardrails and calibration; a limit that is not declared is 0."""
    first = contest.use_case.modelling.targets[0].name
    for item in contest.new:
        target = item.target
        limits = {target.metric: 0.0} if item.name != first else {}
        if calibration:
            limits |= _calibration_limits(target)
        declared = {guard.metric: guard.limit for guard in target.guardrails}
        limits |= declared if calibration else {m: limit for m, limit in declared.items() if m in limits}
        for metric, limit in limits.items():
            check = contest.check(item.name, metric, limit)
            if np.isfinite(check.measured.gain):
                yield check


def _calibration_limits(target: Target) -> dict[str, float]:
    if isinstance(target.output, Regression):
        return {coverage_name(target.output): _COVERAGE_LIMIT}
    return {} if isinstance(target.output, MultiClass) else {"ece": _ECE_LIMIT}


def _subgroup_checks(contest: ModelComparison, first: Target) -> Iterator[GuardrailCheck]:
    """The deciding metric in every subgroup with enough rows."""
    item = next(answer for answer in contest.new if answer.name == first.name)
    for subgroup in contest.use_case.modelling.subgroups:
        words = subgroup_labels(contest.frame[subgroup.column])[item.rows]
        for word in sorted(set(words.tolist())):
            rows = np.flatnonzero(words == word)
            if len(rows) < contest.gate.subgroup_rows:
                continue
            check = contest.check(first.name, first.metric, 0.0, rows)
            if np.isfinite(check.measured.gain):
                limit = contest.gate.subgroup_limit * abs(check.measured.old)
                yield GuardrailCheck(
                    f"{first.name}, {subgroup.column} {word}", first.metric, limit, check.measured, len(rows)
                )


def _official_check(contest: ModelComparison, first: Target) -> Iterator[GuardrailCheck]:
    """Check the deciding metric on official rows: a better fit of reported outcomes may not be bought with them."""
    if "origin" not in contest.frame:
        return
    item = next(answer for answer in contest.new if answer.name == first.name)
    official = ~contest.frame["origin"].astype(str).str.endswith("outcome").to_numpy(dtype=bool)[item.rows]
    rows = np.flatnonzero(official)
    if official.all() or len(rows) < contest.gate.subgroup_rows:
        return
    check = contest.check(first.name, first.metric, 0.0, rows)
    if np.isfinite(check.measured.gain):
        limit = contest.gate.official_limit * abs(check.measured.old)
        yield GuardrailCheck(f"{first.name}, official rows", first.metric, limit, check.measured, len(rows))


def one_row_latencies_ms(
    predictors: Sequence[Predictor], frame: pd.DataFrame, context: Mapping[str, Any]
) -> list[float]:
    """Measure each predictor's median latency for one row, features included.

    The predictors take turns, so that what else the machine does falls on all of them.

    Args:
        predictors: Models of one use case.
        frame: Test rows; the first 60 are used.
        context: What features read beside requests.

    Returns:
        Median latency of each predictor in milliseconds, in their order.
    """
    columns = column_tools.from_frame(predictors[0].use_case.serving.request, frame.head(_LATENCY_ROWS))
    times: list[list[float]] = [[] for _ in predictors]
    for number in range(min(_LATENCY_ROWS, len(frame))):
        row = column_tools.select_rows(columns, slice(number, number + 1))
        for predictor, measured in zip(predictors, times, strict=True):
            began = time.perf_counter()
            predictor.predict(row, context)
            measured.append(time.perf_counter() - began)
    return [float(np.median(measured)) * 1e3 for measured in times]


def bundle_megabytes(predictor: Predictor) -> float:
    """Return the size of all files of a predictor's bundle in MB (1e6 bytes)."""
    return sum(path.stat().st_size for path in predictor.folder.rglob("*") if path.is_file()) / 1e6


def _gain_reason(check: GuardrailCheck, gate: Gate, against: str) -> str:
    measured = check.measured
    if check.rows < gate.minimum_rows:
        return f"{check.rows} test rows are too few to decide; the gate asks for {gate.minimum_rows}."
    if measured.bound > gate.minimum_gain:
        return ""
    return (
        f"{check.name} {check.metric} {measured.new:.5g} against {measured.old:.5g} of {against}: the gain is"
        f" {measured.gain:.4g}, and at {gate.confidence:.0%} confidence no more than {measured.bound:.4g} is sure;"
        f" it has to be above {gate.minimum_gain:g}."
    )


def _guardrail_reason(check: GuardrailCheck, against: str) -> str:
    measured = check.measured
    return (
        f"{check.name} {check.metric} is worse than that of {against}: {measured.new:.4g} against"
        f" {measured.old:.4g} on {check.rows} rows; {check.limit:.4g} is allowed."
    )


def resource_violations(latency: float, old: float | None, size: float, gate: Gate) -> list[str]:
    """State reasons against a model that is too slow or too large.

    Args:
        latency: Median latency of the challenger for one row, in milliseconds.
        old: The champion's; None without a champion.
        size: Size of the challenger's bundle in MB.
        gate: Limits of latency and size.

    Returns:
        One sentence for each limit that is exceeded.
    """
    reasons = []
    if latency > gate.max_latency_ms:
        reasons.append(f"One row takes {latency:.1f} ms; {gate.max_latency_ms:g} ms is allowed.")
    elif old is not None and latency > gate.max_latency_ms / 10 and latency > gate.max_latency_ratio * old:
        reasons.append(
            f"One row takes {latency:.1f} ms, the champion's {old:.1f} ms;"
            f" {gate.max_latency_ratio:g} times as long is allowed."
        )
    if size > gate.max_bundle_mb:
        reasons.append(f"The bundle has {size:.0f} MB; {gate.max_bundle_mb:g} MB are allowed.")
    return reasons


def _pass_reason(check: GuardrailCheck, against: str) -> str:
    measured = check.measured
    return (
        f"{check.name} {check.metric} {measured.new:.5g} against {measured.old:.5g} of {against}: the measured gain is"
        f" {measured.gain:.4g} (allowing for chance at least {measured.bound:.4g}), and no guard got worse than its"
        " limit."
    )
