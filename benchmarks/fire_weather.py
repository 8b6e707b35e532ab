"""Does the weather earn its place in ``fire_response``? Measured on later rows of a period with weather.

    .venv/bin/python benchmarks/fire_weather.py [--data ../shared/data/fire_response]

Each target is learned twice from the same rows, with the same features and with three more of the
weather, once per seed; the rows scored are the last fifth of the period that has weather.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from services.use_cases.fire_response import brigade  # noqa: E402

brigade.LONDON = replace(brigade.LONDON, weather=True)  # before the features are declared

from services.core.contract import columns as column_tools  # noqa: E402
from services.core.contract.use_case import BoostedTrees, Booster, Target  # noqa: E402
from services.core.raw_files.reader import read_folder  # noqa: E402
from services.core.weather.hourly import WEATHER_VARIABLES, weather_at  # noqa: E402
from services.use_cases.fire_response import features, raw  # noqa: E402
from services.use_cases.fire_response.declaration import ATTENDANCE, OVER_OBJECTIVE  # noqa: E402
from services.use_cases.fire_response.request import FireCall  # noqa: E402

Floats = NDArray[Any]

SEEDS = 8
FOLDS = 5
LATER = 0.2


def absolute_error(truth: Floats, said: Floats) -> float:
    return float(np.abs(truth - said).mean())


def squared_error(truth: Floats, said: Floats) -> float:
    return float(np.square(truth - said).mean())


def matrices(folder: Path) -> tuple[NDArray[np.float32], Any, NDArray[np.bool_], NDArray[np.bool_]]:
    """The matrix with weather, out of fold for training rows; the examples; which rows are learned
    from; which are scored."""
    tables = read_folder("fire_response", folder)
    examples, context = raw.build_examples(tables), raw.training_context(tables)
    reference = raw.lookup_tables(tables)
    columns = column_tools.from_frame(FireCall, examples)
    labels = {name: examples[name].to_numpy(np.float64, na_value=np.nan) for name in ("attendance_seconds", "pumps")}
    later = (examples.groupby("period")["event_time"].rank(pct=True) > 1 - LATER).to_numpy()
    wet = np.isfinite(weather_at(context, columns["call_time"])).any(axis=1)
    fold = examples["incident_id"].factorize()[0] % FOLDS
    matrix = np.empty((len(examples), len(features.FEATURE_NAMES["pump"])), dtype=np.float32)
    for part in [*((fold == number) & ~later for number in range(FOLDS)), later]:
        source = ~later & ~part
        fitted = features.prepare(
            features.fit(
                column_tools.select_rows(columns, source), {n: v[source] for n, v in labels.items()}, reference, context
            )
        )
        matrix[part] = features.features(column_tools.select_rows(columns, part), fitted, context).matrices["pump"]
    return matrix, examples, ~later, later & wet


def _members(target: Target) -> tuple[Booster, ...]:
    assert isinstance(target.learner, BoostedTrees)
    return target.learner.members


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data" / "fire_response")
    matrix, examples, learned, scored = matrices(parser.parse_args().data)
    dry = matrix.shape[1] - len(WEATHER_VARIABLES)
    for target, booster, score in (
        (ATTENDANCE, _members(ATTENDANCE)[1], absolute_error),
        (OVER_OBJECTIVE, _members(OVER_OBJECTIVE)[0], squared_error),
    ):
        label = examples[target.label].to_numpy(np.float64, na_value=np.nan)
        rows, tests = learned & ~np.isnan(label), scored & ~np.isnan(label)
        found = []
        for width in (dry, matrix.shape[1]):
            part = np.ascontiguousarray(matrix[:, :width])
            data = xgboost.QuantileDMatrix(part[rows], label=label[rows], nthread=1)
            parameters = {"objective": booster.objective, "nthread": 1, **booster.parameters}
            found.append(
                [
                    score(
                        label[tests],
                        xgboost.train({**parameters, "seed": seed}, data, booster.num_boost_round).inplace_predict(
                            part[tests]
                        ),
                    )
                    for seed in range(SEEDS)
                ]
            )
        gain = np.subtract(found[0], found[1])
        print(
            f"{target.name}: {np.mean(found[0]):.4f} without, {np.mean(found[1]):.4f} with the weather on "
            f"{tests.sum()} later rows; gain {gain.mean():+.4f} with a standard error of "
            f"{gain.std(ddof=1) / np.sqrt(SEEDS):.4f} over {SEEDS} seeds"
        )


if __name__ == "__main__":
    main()
