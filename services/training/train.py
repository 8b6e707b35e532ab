"""From examples to a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from services.core.bundle.manifest import Manifest, TargetManifest, write_manifest
from services.core.bundle.predictor import save_arrays
from services.core.params import Train
from services.core.usecases import columns as column_tools
from services.core.usecases.classes import with_labels
from services.core.usecases.contract import LateFusion, Target, UseCase
from services.training import boosting
from services.training.calibration_slice import calibrate_targets
from services.training.cross import Copy, LeftOut, copies, shown_labels
from services.training.crossfit import OutOfFold, in_one, out_of_fold, training_rows
from services.training.field_ranges import field_ranges
from services.training.finish import add_findings, add_reference_sample
from services.training.fusing import fit_fusions
from services.training.importance import importance
from services.training.prepared import Run, prepare
from services.training.provenance import slice_spans, versions
from services.training.search import searched
from services.training.slices import TRAIN, fold_numbers

if TYPE_CHECKING:
    import pandas as pd


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
    """Train every target and write the bundle into ``folder`` (made anew). Returns ``folder``.

    The same examples, parameters and libraries give the same bundle hash. ``source`` says what the
    examples came from and is kept in the manifest.

    A run of a use case whose ``fit`` looks at no label makes its features once; others out of fold.

    Raises:
        VigieError: too few examples, or a booster whose conversion for serving is not faithful.
    """
    data = prepare(use_case, examples)
    use_case = with_labels(use_case, data.classes)
    run = Run(use_case, data, reference, context, params, folder)
    rows = run.data.rows(TRAIN)
    columns = column_tools.take(run.data.columns, rows)
    labels = run.data.labels_of(TRAIN, rows)
    learned = use_case.features.fit(columns, shown_labels(use_case, labels), reference, context)
    if use_case.cross_fitted:
        folds = fold_numbers(use_case, examples, params.folds, params.seed)[rows]
        features = out_of_fold(run, columns, labels, folds)
    else:
        features = in_one(run, columns, labels, learned)
    if params.search.trials:
        run = replace(run, use_case=searched(run, rows, labels, features))

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_arrays(folder / "fitted.npz", learned)
    ranges = field_ranges(use_case, columns)
    (folder / "inputs.json").write_text(
        json.dumps(ranges, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )
    _fit_boosters(run, rows, labels, features)
    fit_fusions(run, rows, labels, features)
    calibrate_targets(run, learned)
    (folder / "importance.json").write_text(json.dumps(importance(run, learned), indent=1) + "\n", encoding="utf-8")

    manifest = Manifest(
        use_case=use_case.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        simulated=simulated,
        data={**(source or {}), **slice_spans(use_case, run.data), **_found(use_case, run.use_case)},
        versions=versions(),
        targets={target.name: _target_manifest(use_case, target, data.classes) for target in use_case.targets},
        files={},
    )
    write_manifest(folder, manifest)
    predictor = add_findings(run, learned)
    add_reference_sample(run, predictor)
    write_manifest(folder, manifest)
    return folder


def _fit_boosters(
    run: Run, rows: NDArray[np.int64], labels: Mapping[str, NDArray[np.float64]], features: OutOfFold
) -> None:
    """Boosters side by side, each on one thread; the longest first, so that no thread is left with it."""
    targets, parts = run.use_case.targets, run.data.parts_at(rows)

    def learned_from(target: Target, left_out: LeftOut | None) -> boosting.TrainingRows:
        label = labels[target.name]
        if left_out is not None:
            repeat, part = left_out
            label = np.where(parts[target.name][repeat] == part, np.nan, label)
        return training_rows(run, target, rows, label, features)

    jobs = [
        (target, copy, run.params.seed + number)
        for target in targets
        for number, copy in enumerate(copies(run.use_case, target))
    ]
    needed = {(target.name, copy.left_out): target for target, copy, _ in jobs}
    learning = {key: learned_from(target, key[1]) for key, target in needed.items()}
    jobs.sort(key=lambda job: -job[1].booster.rounds * learning[job[0].name, job[1].left_out].label.size)
    with ThreadPoolExecutor(max_workers=run.params.threads) as pool:
        sizes = dict.fromkeys((t.name, copy.left_out, boosting.bins(copy.booster)) for t, copy, _ in jobs)
        binned = {key: pool.submit(boosting.quantile_matrix, learning[key[:2]], key[2]) for key in sizes}

        def fit(job: tuple[Target, Copy, int]) -> None:
            target, copy, seed = job
            data = binned[target.name, copy.left_out, boosting.bins(copy.booster)].result()
            fitted = boosting.fit_booster(target, copy.booster, data, seed)
            width = learning[target.name, copy.left_out].matrix.shape[1]
            boosting.save_booster(fitted, copy.name, run.target_folder(target.name), width)

        for target in targets:
            run.target_folder(target.name).mkdir(parents=True)
        list(pool.map(fit, jobs))


def _found(declared: UseCase, used: UseCase) -> dict[str, str | int | float]:
    """What the search chose in place of the declared parameters."""
    return {
        f"{target.name}.{name}.{key}": value
        for before, target in zip(declared.targets, used.targets, strict=True)
        for name, booster in boosting.named_boosters(target).items()
        for key, value in booster.parameters.items()
        if boosting.named_boosters(before)[name].parameters.get(key) != value
    }


def _target_manifest(use_case: UseCase, target: Target, classes: Mapping[str, tuple[str, ...]]) -> TargetManifest:
    made = copies(use_case, target)
    names = tuple(copy.name for copy in made)
    interval = "lower" in names
    made_of = use_case.features.MATRICES
    if isinstance(target.learner, LateFusion):
        experts = target.learner.experts
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
        labels=classes.get(target.name, ()),
        left_out=tuple(copy.left_out for copy in made if copy.left_out is not None),
    )
