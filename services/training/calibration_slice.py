"""Calibrating every target of a run on the rows that its boosters did not learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.calibration import Calibration
from services.core.bundle.predictor import Forest, average, mean_of_unseen
from services.core.usecases import columns as column_tools
from services.core.usecases.contract import Classes, Features, LateFusion, Probability, Quantity, Target
from services.training import boosting, calibrate
from services.training.cross import Copy, copies
from services.training.prepared import Run
from services.training.slices import CALIBRATE


def calibrate_targets(run: Run, learned: Mapping[str, NDArray[Any]]) -> None:
    """Check each booster's conversion on the calibration rows and write ``calibration.json``."""
    # Experts are weighed by what they said of training rows that they did not learn from.
    boosted = [target for target in run.use_case.targets if not isinstance(target.learner, LateFusion)]
    if not boosted:
        return
    rows = run.data.rows(CALIBRATE)
    columns = column_tools.take(run.data.columns, rows)
    labels = run.data.labels_of(CALIBRATE, rows)
    fitted = run.use_case.features.load(learned)
    seen = run.use_case.features.features(columns, fitted, run.context)
    for target in boosted:
        folder = run.target_folder(target.name)
        own = np.flatnonzero(~np.isnan(labels[target.name]))
        matrix, outcome = seen.matrices[target.matrix][own], labels[target.name][own]
        made = copies(run.use_case, target)
        boosting.check_conversion(folder, [copy.name for copy in made], matrix)
        parts = run.data.parts_at(rows[own]).get(target.name)
        calibration: Calibration
        if isinstance(target.output, Quantity):
            every = [_interval_rows(target, made, folder, seen, rows=own, outcome=outcome, parts=parts)]
            for variant in run.use_case.variants:
                if variant.target == target.name and variant.training_weight > 0 and target.output.interval_by:
                    changed, its_context = column_tools.of_variant(
                        run.use_case, variant, column_tools.take(columns, own), run.context
                    )
                    its = run.use_case.features.features(changed, fitted, its_context)
                    whole = np.arange(len(own))
                    every.append(_interval_rows(target, made, folder, its, rows=whole, outcome=outcome, parts=parts))
            calibration = calibrate.quantity(
                target.output, target.metric, every[0], every[1:], run.params.minimum_group
            )
        elif isinstance(target.output, Probability):
            calibration = calibrate.probability(target.output, _raw(made, folder, matrix, parts)[:, 1], outcome)
        else:
            assert isinstance(target.output, Classes)
            calibration = calibrate.classes(_raw(made, folder, matrix, parts), outcome.astype(np.int64))
        (folder / "calibration.json").write_text(calibration.model_dump_json(indent=1) + "\n")


def _raw(
    made: Sequence[Copy], folder: Path, matrix: NDArray[np.float32], parts: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """The members' mean output; with ``parts`` (repeats, n) of those alone that did not learn from the row."""
    members = [copy for copy in made if copy.name.startswith("member-")]
    forests = tuple(Forest(folder / f"{copy.name}.onnx") for copy in members)
    if parts is None:
        return average(forests, matrix)
    left_out = [copy.left_out for copy in members if copy.left_out is not None]
    return mean_of_unseen([forest(matrix) for forest in forests], left_out, parts)


def _interval_rows(
    target: Target,
    made: Sequence[Copy],
    folder: Path,
    seen: Features,
    *,
    rows: NDArray[np.int64],
    outcome: NDArray[np.float64],
    parts: NDArray[np.int64] | None,
) -> calibrate.IntervalRows:
    assert isinstance(target.output, Quantity)
    matrix = seen.matrices[target.matrix][rows]
    names = {copy.name for copy in made}
    value = _raw(made, folder, matrix, parts).reshape(-1)
    lower = upper = value
    if "lower" in names:
        lower = Forest(folder / "lower.onnx")(matrix).reshape(-1).astype(np.float64)
        upper = Forest(folder / "upper.onnx")(matrix).reshape(-1).astype(np.float64)
    by = target.output.interval_by
    group = calibrate.group_keys(np.asarray(seen.facts[by])[rows]) if by is not None else None
    return calibrate.IntervalRows(outcome, value, lower, upper, group)
