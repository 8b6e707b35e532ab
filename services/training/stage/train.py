"""Trains and calibrates every target and writes the model bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from services.core.bundle.calibration import Calibration
from services.core.bundle.manifest import BundleManifest, TargetManifest, write_manifest
from services.core.bundle.predictor import OnnxBooster, average_outputs, mean_out_of_fold, save_arrays
from services.core.contract import columns as column_tools
from services.core.contract.use_case import (
    BinaryClassification,
    Booster,
    Features,
    LateFusion,
    MultiClass,
    OnnxEstimator,
    Regression,
    Target,
    UseCase,
    with_class_labels,
)
from services.core.params import Train
from services.training.stage import boosting, estimators
from services.training.stage import calibration as calibrate
from services.training.stage.bundle_extras import (
    add_post_training_checks,
    add_reference_sample,
    feature_importance,
    input_ranges,
    library_versions,
    split_spans,
)
from services.training.stage.hyperparameter_search import tune_hyperparameters, tuned_parameters, with_overrides
from services.training.stage.late_fusion import fit_late_fusions
from services.training.stage.splitting import (
    CALIBRATE,
    TRAIN,
    FoldModel,
    HeldOutFold,
    assign_folds,
    fold_models,
    labels_for_fit,
)
from services.training.stage.training_data import (
    OutOfFoldFeatures,
    TrainingContext,
    fit_transform_all,
    out_of_fold,
    prepare_training_data,
    training_rows,
)

if TYPE_CHECKING:
    import pandas as pd


def calibrate_targets(run: TrainingContext, learned: Mapping[str, NDArray[Any]]) -> None:
    """Check each booster's conversion on the calibration rows (n, p) and write ``calibration.json``.

    ``learned`` is what ``fit`` returned, of any shape. Late fusions are weighed by out-of-fold scores instead.
    """
    boosted = [target for target in run.use_case.modelling.targets if not isinstance(target.learner, LateFusion)]
    if not boosted:
        return
    rows = run.data.rows(CALIBRATE)
    columns = column_tools.select_rows(run.data.columns, rows)
    labels = run.data.labels_of(CALIBRATE, rows)
    fitted = run.use_case.features.prepare(learned)
    seen = run.use_case.features.features(columns, fitted, run.context)
    for target in boosted:
        folder = run.target_folder(target.name)
        own = np.flatnonzero(~np.isnan(labels[target.name]))
        matrix, outcome = seen.matrices[target.matrix][own], labels[target.name][own]
        made = fold_models(run.use_case, target)
        if not isinstance(target.learner, OnnxEstimator):  # an estimator was checked when it was fitted
            boosting.check_conversion(folder, [copy.name for copy in made], matrix)
        parts = run.data.parts_at(rows[own]).get(target.name)
        calibration: Calibration
        if isinstance(target.output, Regression):
            every = [_interval_rows(target, made, folder, seen, rows=own, outcome=outcome, parts=parts)]
            for variant in run.use_case.modelling.input_scenarios:
                if variant.target == target.name and variant.training_weight > 0 and target.output.interval_by:
                    changed, its_context = column_tools.of_variant(
                        run.use_case, variant, column_tools.select_rows(columns, own), run.context
                    )
                    its = run.use_case.features.features(changed, fitted, its_context)
                    whole = np.arange(len(own))
                    every.append(_interval_rows(target, made, folder, its, rows=whole, outcome=outcome, parts=parts))
            calibration = calibrate.calibrate_regression(
                target.output, target.metric, every[0], every[1:], run.params.minimum_group
            )
        elif isinstance(target.output, BinaryClassification):
            calibration = calibrate.calibrate_binary(
                target.output, _mean_member_output(made, folder, matrix, parts)[:, 1], outcome
            )
        else:
            assert isinstance(target.output, MultiClass)
            calibration = calibrate.calibrate_multi_class(
                _mean_member_output(made, folder, matrix, parts), outcome.astype(np.int64)
            )
        (folder / "calibration.json").write_text(calibration.model_dump_json(indent=1) + "\n")


def _mean_member_output(
    made: Sequence[FoldModel], folder: Path, matrix: NDArray[np.float32], parts: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """Average the members' outputs; with ``parts`` (repeats, n), those alone that did not learn from the row."""
    members = [copy for copy in made if copy.name.startswith("member-")]
    forests = tuple(
        OnnxBooster(folder / f"{copy.name}.onnx", row_by_row=isinstance(copy.booster, OnnxEstimator))
        for copy in members
    )
    if parts is None:
        return average_outputs(forests, matrix)
    left_out = [copy.left_out for copy in members if copy.left_out is not None]
    return mean_out_of_fold([forest(matrix) for forest in forests], left_out, parts)


def _interval_rows(
    target: Target,
    made: Sequence[FoldModel],
    folder: Path,
    seen: Features,
    *,
    rows: NDArray[np.int64],
    outcome: NDArray[np.float64],
    parts: NDArray[np.int64] | None,
) -> calibrate.IntervalRows:
    assert isinstance(target.output, Regression)
    matrix = seen.matrices[target.matrix][rows]
    names = {copy.name for copy in made}
    value = _mean_member_output(made, folder, matrix, parts).reshape(-1)
    lower = upper = value
    if "lower" in names:
        lower = OnnxBooster(folder / "lower.onnx")(matrix).reshape(-1).astype(np.float64)
        upper = OnnxBooster(folder / "upper.onnx")(matrix).reshape(-1).astype(np.float64)
    by = target.output.interval_by
    group = calibrate.group_keys(np.asarray(seen.extras[by])[rows]) if by is not None else None
    return calibrate.IntervalRows(outcome, value, lower, upper, group)


@threadpool_limits.wrap(limits=1, user_api="blas")  # sums in one order: the same numbers on any number of cores
def train(
    use_case: UseCase,
    examples: pd.DataFrame,
    reference: Mapping[str, NDArray[Any]],
    context: Mapping[str, Any],
    *,
    params: Train,
    folder: Path,
    simulated: bool,
    source: Mapping[str, str | int | float] | None = None,
) -> Path:
    """Train every target and write the bundle; equal examples, parameters and libraries give an equal bundle hash.

    Args:
        use_case: Features that ``fit`` learns without labels are made once, others out of fold.
        examples: One row per example (n rows).
        reference: Array name -> reference data of the use case, of any shape.
        context: What features read beside requests.
        params: Parameters of the train stage.
        folder: Where the bundle is written, made anew; it is returned.
        simulated: Whether the examples come from simulated data.
        source: What the examples came from, for the manifest.

    Raises:
        VigieError: Too few examples, or a booster whose conversion for serving is not faithful.
    """
    declared, use_case = use_case, with_overrides(use_case, params.learners)
    data = prepare_training_data(use_case, examples)
    use_case = with_class_labels(use_case, data.classes)
    run = TrainingContext(use_case, data, reference, context, params, folder)
    rows = run.data.rows(TRAIN)
    columns = column_tools.select_rows(run.data.columns, rows)
    labels = run.data.labels_of(TRAIN, rows)
    learned = use_case.features.fit(columns, labels_for_fit(use_case, labels), reference, context)
    if use_case.modelling.cross_fitted:
        folds = assign_folds(use_case, examples, params.folds, params.seed)[rows]
        features = out_of_fold(run, columns, labels, folds)
    else:
        features = fit_transform_all(run, columns, labels, learned)
    if params.search.trials:
        run = replace(run, use_case=tune_hyperparameters(run, rows, labels, features))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_arrays(folder / "fitted.npz", learned)
    ranges = input_ranges(use_case, columns)
    (folder / "inputs.json").write_text(
        json.dumps(ranges, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )
    _fit_boosters(run, rows, labels, features)
    fit_late_fusions(run, rows, labels, features)
    calibrate_targets(run, learned)
    (folder / "importance.json").write_text(
        json.dumps(feature_importance(run, learned), indent=1) + "\n", encoding="utf-8"
    )
    manifest = BundleManifest(
        use_case=use_case.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        simulated=simulated,
        data={**(source or {}), **split_spans(use_case, run.data), **tuned_parameters(declared, run.use_case)},
        versions=library_versions(use_case),
        targets={
            target.name: _target_manifest(use_case, target, data.classes) for target in use_case.modelling.targets
        },
        files={},
    )
    write_manifest(folder, manifest)
    predictor = add_post_training_checks(run, learned)
    add_reference_sample(run, predictor)
    write_manifest(folder, manifest)
    return folder


def _fit_boosters(
    run: TrainingContext,
    rows: NDArray[np.int64],
    labels: Mapping[str, NDArray[np.float64]],
    features: OutOfFoldFeatures,
) -> None:
    """Fit boosters side by side, each on one thread; the longest first, so that none is waited for at the end."""
    targets, parts = run.use_case.modelling.targets, run.data.parts_at(rows)

    def learned_from(target: Target, left_out: HeldOutFold | None) -> boosting.TrainingRows:
        label = labels[target.name]
        if left_out is not None:
            repeat, part = left_out
            label = np.where(parts[target.name][repeat] == part, np.nan, label)
        return training_rows(run, target, rows, label, features)

    jobs = [
        (target, copy, run.params.seed + number)
        for target in targets
        for number, copy in enumerate(fold_models(run.use_case, target))
    ]
    needed = {(target.name, copy.left_out): target for target, copy, _ in jobs}
    learning = {key: learned_from(target, key[1]) for key, target in needed.items()}
    jobs.sort(
        key=lambda job: (
            -getattr(job[1].booster, "num_boost_round", 100) * learning[job[0].name, job[1].left_out].label.size
        )
    )
    with ThreadPoolExecutor(max_workers=run.params.threads) as pool:
        sizes = dict.fromkeys(
            (t.name, copy.left_out, boosting.max_bins(copy.booster))
            for t, copy, _ in jobs
            if isinstance(copy.booster, Booster)
        )
        binned = {key: pool.submit(boosting.quantile_matrix, learning[key[:2]], key[2]) for key in sizes}

        def fit(job: tuple[Target, FoldModel, int]) -> None:
            target, copy, seed = job
            folder = run.target_folder(target.name)
            if isinstance(copy.booster, OnnxEstimator):
                own = learning[target.name, copy.left_out]
                estimator = estimators.fit_estimator(target, copy.booster, own, seed)
                estimators.save_estimator(target, estimator, copy.name, folder, own.matrix)
                return
            data = binned[target.name, copy.left_out, boosting.max_bins(copy.booster)].result()
            fitted = boosting.fit_booster(target, copy.booster, data, seed)
            width = learning[target.name, copy.left_out].matrix.shape[1]
            boosting.save_booster(fitted, copy.name, folder, width)

        for target in targets:
            run.target_folder(target.name).mkdir(parents=True)
        list(pool.map(fit, jobs))


def _target_manifest(use_case: UseCase, target: Target, classes: Mapping[str, tuple[str, ...]]) -> TargetManifest:
    made = fold_models(use_case, target)
    names = tuple(copy.name for copy in made)
    interval = "lower" in names
    made_of = use_case.features.FEATURE_NAMES
    if isinstance(target.learner, LateFusion):
        experts = target.learner.modality_models
        return TargetManifest(
            matrix="",
            features=tuple(f"{expert.matrix}: {feature}" for expert in experts for feature in made_of[expert.matrix]),
            members=(),
            experts=tuple(expert.name for expert in experts),
            labels=classes.get(target.name, ()),
        )
    return TargetManifest(
        matrix=target.matrix,
        features=tuple(made_of[target.matrix]),
        members=tuple(name for name in names if name.startswith("member-")),
        lower="lower" if interval else None,
        upper="upper" if interval else None,
        estimator=estimators.class_name(target.learner) if isinstance(target.learner, OnnxEstimator) else "",
        labels=classes.get(target.name, ()),
        left_out=tuple(copy.left_out for copy in made if copy.left_out is not None),
    )
