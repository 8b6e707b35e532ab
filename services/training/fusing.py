"""Late fusion: training a target's experts side by side, and learning how far each is to be believed, alone and in
company."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.arrays import save_arrays
from services.core.bundle.calibration import FusionCalibration, Weighing, subset_name
from services.core.usecases.contract import Classes, Expert, LateFusion, Target
from services.training.crossfit import OutOfFold
from services.training.experts import LearningRows, fit_expert
from services.training.prepared import Run
from services.training.slices import fold_numbers

Floats = NDArray[np.float64]
_FEWEST_ROWS = 5
"""Rows that a set of experts is weighed by, at least."""


def fit_fusions(
    run: Run, rows: NDArray[np.int64], labels: Mapping[str, NDArray[np.float64]], features: OutOfFold
) -> None:
    """Train the experts of every target that has some, and weigh them; write arrays and weighing.

    What an expert says of a training row is learned from where the row's fold took no part: that is nearly as much
    to weigh by as there is to learn from, and no row is lost to either."""
    folds = fold_numbers(run.use_case, run.data.examples, run.params.folds, run.params.seed)[rows]
    jobs = [(target, expert) for target in run.use_case.targets for expert in _experts(target)]

    def fit(job: tuple[Target, Expert]) -> Floats:
        target, expert = job
        assert isinstance(target.output, Classes)
        label = labels[target.name]
        chosen = np.flatnonzero(~np.isnan(label) & np.asarray(features.facts[expert.present], dtype=bool))
        learning = LearningRows(
            features.matrices[expert.matrix][chosen],
            label[chosen].astype(np.int64),
            run.data.weights[target.name][rows][chosen],
            len(target.output.labels),
        )
        arrays, held_out = fit_expert(expert, learning, run.params.seed, folds[chosen])
        save_arrays(run.target_folder(target.name) / f"{expert.name}.npz", arrays)
        scores = np.full((len(rows), learning.classes), np.nan)
        scores[chosen] = held_out
        return scores

    with ThreadPoolExecutor(max_workers=run.params.threads) as pool:
        found = dict(zip([(t.name, e.name) for t, e in jobs], pool.map(fit, jobs), strict=True))
    for target in run.use_case.targets:
        if _experts(target):
            scores = {expert.name: found[target.name, expert.name] for expert in _experts(target)}
            weighing = weigh_experts(scores, labels[target.name], run.data.weights[target.name][rows])
            path = run.target_folder(target.name) / "calibration.json"
            path.write_text(weighing.model_dump_json(indent=1) + "\n", encoding="utf-8")


def weigh_experts(scores: Mapping[str, Floats], label: Floats, weight: Floats) -> FusionCalibration:
    """Weigh each set of experts by their scores (n, k), NaN where a row has not what the expert looks at."""
    shares = class_shares(label, weight, next(iter(scores.values())).shape[1])
    subsets: dict[str, Weighing] = {}
    for size in range(1, len(scores) + 1):
        for names in combinations(scores, size):
            stacked = np.stack([scores[name] for name in names])
            known = np.flatnonzero(~np.isnan(stacked).any(axis=(0, 2)) & ~np.isnan(label))
            subsets[subset_name(names)] = weigh(stacked[:, known], label[known].astype(np.int64), names, shares)
    return FusionCalibration(subsets=subsets, prior=shares.tolist())


def weigh(scores: Floats, outcome: NDArray[np.int64], names: Sequence[str], shares: Floats) -> Weighing:
    """Slopes and offsets that minimise the log loss of ``scores`` (experts, n, k), with a penalty that holds the
    offsets small: few rows cannot say much about thirty classes. Without rows the shares decide."""
    from scipy.optimize import minimize  # noqa: PLC0415

    experts, count, width = scores.shape
    if count < _FEWEST_ROWS:
        return Weighing(slopes=dict.fromkeys(names, 1.0), offsets=np.log(shares).tolist())
    spread = np.maximum(scores.std(axis=(1, 2)), 1e-9)
    scaled = scores / spread[:, None, None]
    truth = np.eye(width)[outcome]

    def loss(values: Floats) -> tuple[float, Floats]:
        slopes, offsets = values[:experts], values[experts:]
        logits = np.tensordot(slopes, scaled, axes=1) + offsets
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(axis=1, keepdims=True)
        error = (powers / total - truth) / count
        value = -np.sum(truth * (logits - np.log(total))) / count + np.sum(offsets**2) / count
        gradient = np.concatenate([np.tensordot(scaled, error, axes=2), error.sum(axis=0) + 2 * offsets / count])
        return float(value), gradient

    start = np.concatenate([np.ones(experts), np.zeros(width)])
    bounds = [(0.0, None)] * experts + [(None, None)] * width
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = (found[:experts] / spread).tolist()
    return Weighing(slopes=dict(zip(names, slopes, strict=True)), offsets=found[experts:].tolist())


def class_shares(label: Floats, weight: Floats, classes: int) -> Floats:
    """How frequent each class is, one row more for each: none is impossible."""
    known = ~np.isnan(label)
    counts = np.bincount(label[known].astype(np.int64), weight[known], minlength=classes) + 1.0
    shares: Floats = counts / counts.sum()
    return shares


def _experts(target: Target) -> tuple[Expert, ...]:
    return target.learner.experts if isinstance(target.learner, LateFusion) else ()
