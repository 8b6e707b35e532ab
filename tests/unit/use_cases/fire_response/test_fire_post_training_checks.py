"""Findings about the finished model: real ones are found, chance is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, false_discovery_control

from services.core.contract.use_case import RegressionPrediction
from services.use_cases.fire_response import features as module
from services.use_cases.fire_response.fitted_tables import MIN_ROWS, benjamini_hochberg, binomial_tail

Floats = NDArray[np.float64]


def findings(learned: Any, predicted: Floats, seconds: Floats) -> dict[str, NDArray[Any]]:
    labels = {**learned.labels, "attendance_seconds": seconds}
    values = {"attendance_seconds": RegressionPrediction(predicted, predicted, predicted)}
    found: dict[str, NDArray[Any]] = module.post_training_checks(learned.columns, labels, values, learned.fitted)
    return found


@pytest.fixture
def noise(learned: Any) -> Floats:
    generator = np.random.default_rng(5)
    return 300.0 + generator.standard_t(3, len(learned.examples)) * 60


def from_station(learned: Any, rank: int = 0) -> tuple[str, NDArray[np.bool_]]:
    name = learned.examples["deployed_from_station"].replace("", np.nan).value_counts().index[rank]
    return name, (learned.examples["deployed_from_station"] == name).to_numpy()


def test_chance_alone_is_rarely_a_finding(learned: Any) -> None:
    generator = np.random.default_rng(8)
    count = 0
    for _ in range(20):
        seconds = 300.0 + generator.normal(0, 60, len(learned.examples))
        count += len(findings(learned, np.full(len(seconds), 300.0), seconds)["risk_reasons"]) - 1
    assert count <= 4


def test_a_station_whose_pumps_take_longer_is_found_and_said(learned: Any, noise: Floats) -> None:
    name, rows = from_station(learned)
    seconds = noise + np.where(rows, 90.0, 0.0)
    found = findings(learned, np.full(len(noise), 300.0), seconds)
    number = learned.arrays["station_names"].tolist().index(name)
    reason = found["risk_reasons"][found["risk_station"][number]]
    assert name in reason
    assert "took longer than predicted" in reason
    assert "plus de temps que prévu" in found["risk_reasons_fr"][found["risk_station"][number]]
    fitted = module.prepare({**learned.arrays, **found})
    facts = module.features(learned.columns, fitted, {}).extras
    told = set(facts["risk_reason"][rows])
    assert reason in told
    assert "" not in told


def test_an_area_whose_first_pumps_take_longer_is_found(learned: Any, noise: Floats) -> None:
    name = learned.examples["station_ground"].value_counts().index[0]
    rows = (learned.examples["station_ground"] == name).to_numpy()
    found = findings(learned, np.full(len(noise), 300.0), noise + np.where(rows, 90.0, 0.0))
    assert found["risk_ground"][learned.arrays["station_names"].tolist().index(name)] > 0


def test_overestimated_stations_are_no_risk(learned: Any, noise: Floats) -> None:
    _, rows = from_station(learned)
    found = findings(learned, np.full(len(noise), 300.0), noise - np.where(rows, 90.0, 0.0))
    number = learned.arrays["station_names"].tolist().index(from_station(learned)[0])
    assert found["risk_station"][number] == 0


def test_a_few_very_late_pumps_are_no_finding(learned: Any, noise: Floats) -> None:
    name, rows = from_station(learned)
    seconds = np.where(rows, 290.0, noise)
    seconds[np.flatnonzero(rows)[:3]] = 5_000.0
    found = findings(learned, np.full(len(noise), 300.0), seconds)
    assert found["risk_station"][learned.arrays["station_names"].tolist().index(name)] == 0


def test_exact_predictions_are_ties_and_tell_nothing(learned: Any) -> None:
    same = np.full(len(learned.examples), 300.0)
    assert findings(learned, same, same)["risk_reasons"].tolist() == [""]


def test_exact_predictions_do_not_hide_that_all_others_were_too_fast(learned: Any, noise: Floats) -> None:
    name, rows = from_station(learned)
    seconds = noise.copy()
    seconds[rows] = 400.0
    seconds[np.flatnonzero(rows)[MIN_ROWS + 10 :]] = 300.0
    found = findings(learned, np.full(len(noise), 300.0), seconds)
    assert found["risk_station"][learned.arrays["station_names"].tolist().index(name)] > 0


def test_stations_with_few_rows_are_not_judged(learned: Any, noise: Floats) -> None:
    name, rows = from_station(learned)
    kept = np.flatnonzero(rows)[: MIN_ROWS - 1]
    seconds = np.full(len(noise), np.nan)
    seconds[kept] = 900.0
    found = findings(learned, np.full(len(noise), 300.0), seconds)
    assert found["risk_station"][learned.arrays["station_names"].tolist().index(name)] == 0


@pytest.mark.parametrize("share", [0.5, 0.42, 0.01])
@pytest.mark.parametrize(("above", "rows"), [(0, 10), (7, 10), (10, 10), (33, 50), (1_100, 2_000)])
def test_the_sign_tests_chance_is_the_binomials(above: int, rows: int, share: float) -> None:
    expected = float(binom.sf(above - 1, rows, share))
    assert binomial_tail(above, rows, share) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_a_model_that_stands_above_the_median_everywhere_hides_no_station(learned: Any, noise: Floats) -> None:
    name, rows = from_station(learned)
    seconds = noise + np.where(rows, 60.0, 0.0)
    found = findings(learned, np.full(len(noise), 325.0), seconds)
    assert found["risk_station"][learned.arrays["station_names"].tolist().index(name)] > 0


def test_a_model_that_is_too_fast_everywhere_is_found_out_everywhere(learned: Any, noise: Floats) -> None:
    found = findings(learned, np.full(len(noise), 200.0), noise)
    judged = learned.examples["deployed_from_station"].replace("", np.nan).value_counts()
    busy = judged.index[judged >= 2 * MIN_ROWS]
    numbers = [learned.arrays["station_names"].tolist().index(name) for name in busy]
    assert (found["risk_station"][numbers] > 0).all()


def test_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    generator = np.random.default_rng(2)
    for _ in range(50):
        chances = np.concatenate([generator.random(40), generator.random(10) * 0.01])
        expected = np.flatnonzero(false_discovery_control(chances) <= 0.1)
        assert sorted(benjamini_hochberg(chances.tolist(), 0.1)) == expected.tolist()
    assert benjamini_hochberg([], 0.1) == []
