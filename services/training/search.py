"""The optional hyper-parameter search: Optuna over what ``BoostedTrees.search`` bounds, within a budget.

Trials learn from the earlier training rows, out of fold, and are compared on the latest of them; the
calibration and test slices take no part. The declared parameters are the first trial, so a search
never ends with something that did worse than they did.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from services.core.scoring.metrics import metric_of
from services.core.usecases.contract import (
    BoostedTrees,
    Classes,
    ClassesValue,
    Probability,
    ProbabilityValue,
    QuantityValue,
    Target,
    UseCase,
    Value,
)
from services.training import boosting
from services.training.boosting import TrainingRows
from services.training.crossfit import OutOfFold
from services.training.prepared import Run
from services.training.slices import positions

_WHOLE = {"rounds", "max_depth", "max_leaves", "max_bin", "num_parallel_tree"}
"""Parameters that XGBoost takes as whole numbers alone, however their bounds are written."""

Chosen = dict[str, float | int]


def searched(
    run: Run, rows: NDArray[np.int64], labels: Mapping[str, NDArray[np.float64]], features: OutOfFold
) -> UseCase:
    """The use case with the parameters that were found for the members of each target."""
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began, budget = time.monotonic(), run.params.search
    targets = []
    for target in run.use_case.targets:
        left = budget.seconds - (time.monotonic() - began) if budget.seconds else None
        learner = target.learner
        if not isinstance(learner, BoostedTrees) or not learner.search or (left is not None and left <= 0):
            targets.append(target)
            continue
        early, late = _parts(run, target, rows, labels[target.name], features)
        study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=run.params.seed))
        study.enqueue_trial(_declared(learner))

        def loss(
            trial: optuna.Trial,
            target: Target = target,
            learner: BoostedTrees = learner,
            early: TrainingRows = early,
            late: TrainingRows = late,
        ) -> float:
            return _loss(with_parameters(target, _suggested(trial, learner)), early, late, run.params.seed)

        study.optimize(loss, n_trials=budget.trials, timeout=left)
        structlog.get_logger().info("searched", target=target.name, trials=len(study.trials), found=study.best_params)
        targets.append(with_parameters(target, study.best_params))
    return replace(run.use_case, targets=tuple(targets))


def with_parameters(target: Target, chosen: Mapping[str, float | int]) -> Target:
    """The target with these parameters in all its members; ``rounds`` is a booster's number of rounds."""
    learner, values = target.learner, dict(chosen)
    assert isinstance(learner, BoostedTrees)
    rounds = values.pop("rounds", None)
    members = tuple(
        replace(
            member,
            rounds=member.rounds if rounds is None else int(rounds),
            parameters={**member.parameters, **values},
        )
        for member in learner.members
    )
    return replace(target, learner=replace(learner, members=members))


def _parts(
    run: Run, target: Target, rows: NDArray[np.int64], label: NDArray[np.float64], features: OutOfFold
) -> tuple[TrainingRows, TrainingRows]:
    """The target's own training rows, earlier and latest, without a group on both sides."""
    _, position = positions(run.use_case, run.data.examples, target.split or run.use_case.split)
    own = np.flatnonzero(~np.isnan(label))
    place = position[rows][own]
    boundary = np.sort(place)[int(len(place) * (1 - run.params.search.validation))]
    weight = run.data.weights[target.name][rows]

    def part(chosen: NDArray[np.int64]) -> TrainingRows:
        return TrainingRows(features.matrices[target.matrix][chosen], label[chosen], weight[chosen])

    return part(own[place < boundary]), part(own[place >= boundary])


def _declared(learner: BoostedTrees) -> Chosen:
    """The first member's parameters where they lie within the bounds, for the first trial."""
    first = learner.members[0]
    stated: dict[str, Any] = {"rounds": first.rounds, **first.parameters}
    within = (name for name, (low, high) in learner.search.items() if name in stated and low <= stated[name] <= high)
    return {name: stated[name] for name in within}


def _suggested(trial: Any, learner: BoostedTrees) -> Chosen:
    chosen: Chosen = {}
    for name, (low, high) in learner.search.items():
        if name in _WHOLE or (isinstance(low, int) and isinstance(high, int)):
            chosen[name] = trial.suggest_int(name, int(low), int(high))
        else:
            chosen[name] = trial.suggest_float(name, low, high)
    return chosen


def _loss(target: Target, early: TrainingRows, late: TrainingRows, seed: int) -> float:
    """The target's deciding metric on the later rows, turned so that less is better."""
    import xgboost  # noqa: PLC0415

    outputs = []
    assert isinstance(target.learner, BoostedTrees)
    for number, member in enumerate(target.learner.members):
        data = boosting.quantile_matrix(early, boosting.bins(member))
        booster = boosting.fit_booster(target, member, data, seed + number)
        outputs.append(booster.predict(xgboost.DMatrix(late.matrix, nthread=1)).astype(np.float64))
    mean: NDArray[np.float64] = np.mean(outputs, axis=0)
    metric = metric_of(target, target.metric)
    found = metric.value(target, late.label, _value(target, mean))
    return float(-metric.gain(found, 0.0))


def _value(target: Target, mean: NDArray[np.float64]) -> Value:
    if isinstance(target.output, Probability):
        return ProbabilityValue(mean, 0.5)
    if isinstance(target.output, Classes):
        return ClassesValue(mean, target.output.labels)
    return QuantityValue(mean, mean, mean)
