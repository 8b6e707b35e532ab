"""Overrides of hyperparameters by ``params.yaml``, and optional search (Optuna) within declared bounds and budget."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import structlog
from numpy.typing import NDArray

from services.core.contract.use_case import (
    BinaryClassification,
    BinaryPrediction,
    BoostedTrees,
    LateFusion,
    MultiClass,
    MultiClassPrediction,
    OnnxEstimator,
    RegressionPrediction,
    Target,
    TargetPrediction,
    UseCase,
)
from services.core.errors import VigieError
from services.core.params import PARAMS_FILE, LearnerOverride
from services.core.scoring.metrics import metric_of
from services.training.stage import boosting
from services.training.stage.boosting import TrainingRows
from services.training.stage.estimators import make_estimator
from services.training.stage.splitting import positions
from services.training.stage.training_data import OutOfFoldFeatures, TrainingContext

_INTEGER_PARAMETERS = {"rounds", "max_depth", "max_leaves", "max_bin", "num_parallel_tree"}
"""Parameters that XGBoost takes as whole numbers alone, however their bounds are written."""

Hyperparameters = dict[str, float | int]


def with_overrides(use_case: UseCase, learners: Mapping[str, LearnerOverride]) -> UseCase:
    """Put the hyperparameters of ``train.learners`` in ``params.yaml`` in place of the declared ones.

    Args:
        use_case: With its declared learners.
        learners: Target -> overrides.

    Returns:
        The use case with the changed learners.

    Raises:
        VigieError: There is no such target or parameter.
    """
    _require_known("target", learners, [target.name for target in use_case.modelling.targets], use_case.name)
    targets = [
        _overridden(target, learners[target.name]) if target.name in learners else target
        for target in use_case.modelling.targets
    ]
    return replace(use_case, modelling=replace(use_case.modelling, targets=tuple(targets)))


def _overridden(target: Target, override: LearnerOverride) -> Target:
    learner, values = target.learner, dict(override.parameters)
    if override.num_boost_round is not None and not isinstance(learner, BoostedTrees):
        raise VigieError(f"{PARAMS_FILE}: {target.name} is not learned by boosted trees and has no num_boost_round.")
    if isinstance(learner, LateFusion):
        _require_known("modality model", values, [expert.name for expert in learner.modality_models], target.name)
        experts = []
        for expert in learner.modality_models:
            changes = values.get(expert.name, {})
            own = changes if isinstance(changes, dict) else {str(changes): 0}
            _require_known("parameter", own, ("ridge", "components", "landmarks", "width"), expert.name)
            experts.append(replace(expert, **cast("Any", own)))
        return replace(target, learner=replace(learner, modality_models=tuple(experts)))
    flat = {name: value for name, value in values.items() if not isinstance(value, dict)}
    _require_known("parameter", values.keys() - flat.keys(), flat, target.name)
    if isinstance(learner, OnnxEstimator):
        changed = replace(learner, parameters={**learner.parameters, **flat})
        make_estimator(changed)
        return replace(target, learner=changed)
    declared = {name for member in learner.members for name in member.parameters}
    _require_known("parameter", flat, declared | boosting.HYPERPARAMETERS, target.name)
    rounds = {} if override.num_boost_round is None else {"rounds": override.num_boost_round}
    return with_parameters(target, {**flat, **rounds})


def _require_known(what: str, names: Iterable[str], known: Collection[str], of: str) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise VigieError(
            f"{PARAMS_FILE}: train.learners: {of} has no {what} {', '.join(unknown)}.",
            expected="one of " + ", ".join(sorted(known)),
        )


def found_hyperparameters(use_case: UseCase, data: Mapping[str, Any]) -> dict[str, LearnerOverride]:
    """Read from a bundle's manifest what a hyperparameter search chose.

    Args:
        use_case: Declares what is searched.
        data: The manifest's ``data``.

    Returns:
        Target -> overrides; no entry where the declared values were best.
    """
    found = {}
    for target in use_case.modelling.targets:
        if isinstance(target.learner, BoostedTrees):
            values = {
                name: data[key]
                for name in target.learner.search
                if (key := f"{target.name}.member-0.{'num_boost_round' if name == 'rounds' else name}") in data
            }
            rounds = values.pop("rounds", None)
            if values or rounds is not None:
                found[target.name] = LearnerOverride(num_boost_round=rounds, parameters=values)
    return found


def tune_hyperparameters(
    run: TrainingContext,
    rows: NDArray[np.int64],
    labels: Mapping[str, NDArray[np.float64]],
    features: OutOfFoldFeatures,
) -> UseCase:
    """Search hyperparameters of boosted trees with Optuna's TPE sampler (Bergstra et al. 2011), within a budget.

    Trials learn from a target's earlier training rows and are judged on its later ones by the deciding metric.

    Args:
        run: Use case, examples, budget and seed of the run.
        rows: Positions int64 (n,) of the training rows among the examples.
        labels: Target -> float64 (n,).
        features: Features of the n rows.

    Returns:
        The use case with the best parameters in all members of each searched target.
    """
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began, budget = time.monotonic(), run.params.search
    targets = []
    for target in run.use_case.modelling.targets:
        left = budget.seconds - (time.monotonic() - began) if budget.seconds else None
        learner = target.learner
        if not isinstance(learner, BoostedTrees) or not learner.search or (left is not None and left <= 0):
            targets.append(target)
            continue
        early, late = _early_and_late_rows(run, target, rows, labels[target.name], features)
        study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=run.params.seed))
        study.enqueue_trial(_declared_parameters(learner))

        def loss(
            trial: optuna.Trial,
            target: Target = target,
            learner: BoostedTrees = learner,
            early: TrainingRows = early,
            late: TrainingRows = late,
        ) -> float:
            return _loss(with_parameters(target, _suggest_parameters(trial, learner)), early, late, run.params.seed)

        study.optimize(loss, n_trials=budget.trials, timeout=left)
        structlog.get_logger().info("searched", target=target.name, trials=len(study.trials), found=study.best_params)
        targets.append(with_parameters(target, study.best_params))
    return replace(run.use_case, modelling=replace(run.use_case.modelling, targets=tuple(targets)))


def with_parameters(target: Target, chosen: Mapping[str, float | int | str]) -> Target:
    """Set hyperparameters of all members of a target of boosted trees.

    Args:
        target: With its declared learner.
        chosen: XGBoost's name -> value; ``rounds`` is the number of boosting rounds.

    Returns:
        The target with the changed learner.
    """
    learner, values = target.learner, dict(chosen)
    assert isinstance(learner, BoostedTrees)
    rounds = values.pop("rounds", None)
    members = tuple(
        replace(
            member,
            num_boost_round=member.num_boost_round if rounds is None else int(rounds),
            parameters={**member.parameters, **values},
        )
        for member in learner.members
    )
    return replace(target, learner=replace(learner, members=members))


def tuned_parameters(declared: UseCase, used: UseCase) -> dict[str, str | int | float]:
    """List for the manifest what the search, or ``params.yaml``, chose in place of what is declared.

    Args:
        declared: The use case as declared.
        used: The use case as trained.

    Returns:
        ``<target>.<member>.<parameter>`` -> value, for changed parameters alone.
    """
    tuned: dict[str, str | int | float] = {}
    for before, target in zip(declared.modelling.targets, used.modelling.targets, strict=True):
        if isinstance(before.learner, BoostedTrees) and isinstance(target.learner, BoostedTrees):
            pairs = zip(before.learner.members, target.learner.members, strict=True)
            for number, (old, new) in enumerate(pairs):
                values = {"num_boost_round": new.num_boost_round, **new.parameters}
                known = {"num_boost_round": old.num_boost_round, **old.parameters}
                changed = {key: value for key, value in values.items() if known.get(key) != value}
                tuned |= {f"{target.name}.member-{number}.{key}": value for key, value in changed.items()}
    return tuned


def _early_and_late_rows(
    run: TrainingContext,
    target: Target,
    rows: NDArray[np.int64],
    label: NDArray[np.float64],
    features: OutOfFoldFeatures,
) -> tuple[TrainingRows, TrainingRows]:
    """Divide a target's own training rows into earlier and latest ones, without a group on both sides."""
    _, position = positions(run.use_case, run.data.examples, target.split or run.use_case.modelling.split)
    own = np.flatnonzero(~np.isnan(label))
    place = position[rows][own]
    boundary = np.sort(place)[int(len(place) * (1 - run.params.search.validation))]
    weight = run.data.weights[target.name][rows]

    def part(chosen: NDArray[np.int64]) -> TrainingRows:
        return TrainingRows(features.matrices[target.matrix][chosen], label[chosen], weight[chosen])

    return part(own[place < boundary]), part(own[place >= boundary])


def _declared_parameters(learner: BoostedTrees) -> Hyperparameters:
    """The first member's parameters where they lie within the bounds, for the first trial."""
    first = learner.members[0]
    stated: dict[str, Any] = {"rounds": first.num_boost_round, **first.parameters}
    within = (name for name, (low, high) in learner.search.items() if name in stated and low <= stated[name] <= high)
    return {name: stated[name] for name in within}


def _suggest_parameters(trial: Any, learner: BoostedTrees) -> Hyperparameters:
    chosen: Hyperparameters = {}
    for name, (low, high) in learner.search.items():
        if name in _INTEGER_PARAMETERS or (isinstance(low, int) and isinstance(high, int)):
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
        data = boosting.quantile_matrix(early, boosting.max_bins(member))
        booster = boosting.fit_booster(target, member, data, seed + number)
        outputs.append(booster.predict(xgboost.DMatrix(late.matrix, nthread=1)).astype(np.float64))
    mean: NDArray[np.float64] = np.mean(outputs, axis=0)
    metric = metric_of(target, target.metric)
    found = metric.value(target, late.label, _value(target, mean))
    return float(-metric.gain(found, 0.0))


def _value(target: Target, mean: NDArray[np.float64]) -> TargetPrediction:
    if isinstance(target.output, BinaryClassification):
        return BinaryPrediction(mean, 0.5)
    if isinstance(target.output, MultiClass):
        return MultiClassPrediction(mean, target.output.labels)
    return RegressionPrediction(mean, mean, mean)
