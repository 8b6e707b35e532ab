"""Calibrating every target of a run on the rows that its boosters did not learn from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.calibration import Calibration
from services.core.bundle.predictor import Forest, average
from services.core.usecases import columns as column_tools
from services.core.usecases.contract import Classes, Features, Probability, Quantity, Target
from services.training import boosting, calibrate
from services.training.prepared import Run
from services.training.slices import CALIBRATE


def calibrate_targets(run: Run, learned: Mapping[str, NDArray[Any]]) -> None:
    """Check each booster's conversion on the calibration rows and write ``calibration.json``."""
    rows = run.data.rows(CALIBRATE)
    columns = column_tools.take(run.data.columns, rows)
    labels = run.data.labels_of(CALIBRATE, rows)
    fitted = run.use_case.features.load(learned)
    seen = run.use_case.features.features(columns, fitted, run.context)
    for target in run.use_case.targets:
        folder = run.target_folder(target.name)
        own = np.flatnonzero(~np.isnan(labels[target.name]))
        matrix, outcome = seen.matrices[target.matrix][own], labels[target.name][own]
        names = list(boosting.named_boosters(target))
        boosting.check_conversion(folder, names, matrix)
        members = tuple(Forest(folder / f"{name}.onnx") for name in names if name.startswith("member-"))
        calibration: Calibration
        if isinstance(target.output, Quantity):
            parts = [_interval_rows(target, folder, seen, own, outcome)]
            for variant in run.use_case.variants:
                if variant.target == target.name and variant.training_weight > 0 and target.output.interval_by:
                    changed, its_context = variant.apply(column_tools.take(columns, own), run.context)
                    its = run.use_case.features.features(changed, fitted, its_context)
                    parts.append(_interval_rows(target, folder, its, np.arange(len(own)), outcome))
            calibration = calibrate.quantity(
                target.output, target.metric, parts[0], parts[1:], run.params.minimum_group
            )
        elif isinstance(target.output, Probability):
            calibration = calibrate.probability(target.output, average(members, matrix)[:, 1], outcome)
        else:
            assert isinstance(target.output, Classes)
            calibration = calibrate.classes(average(members, matrix), outcome.astype(np.int64))
        (folder / "calibration.json").write_text(calibration.model_dump_json(indent=1) + "\n")


def _interval_rows(
    target: Target, folder: Path, seen: Features, rows: NDArray[np.int64], outcome: NDArray[np.float64]
) -> calibrate.IntervalRows:
    assert isinstance(target.output, Quantity)
    matrix = seen.matrices[target.matrix][rows]
    names = boosting.named_boosters(target)
    value = average(tuple(Forest(folder / f"{n}.onnx") for n in names if n.startswith("member-")), matrix).reshape(-1)
    lower = upper = value
    if "lower" in names:
        lower = Forest(folder / "lower.onnx")(matrix).reshape(-1).astype(np.float64)
        upper = Forest(folder / "upper.onnx")(matrix).reshape(-1).astype(np.float64)
    by = target.output.interval_by
    group = calibrate.group_keys(np.asarray(seen.facts[by])[rows]) if by is not None else None
    return calibrate.IntervalRows(outcome, value, lower, upper, group)
