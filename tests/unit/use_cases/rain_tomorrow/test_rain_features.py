"""The feature function: the same for one call and for all, and blind to what cannot be known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.contract.columns import from_frame, select_rows
from services.use_cases.rain_tomorrow import features, history, raw
from services.use_cases.rain_tomorrow.declaration import one_row
from services.use_cases.rain_tomorrow.request import RainRequest
from services.use_cases.rain_tomorrow.stations import NUMBER_FIELDS, STATION_NAMES

Known = tuple[dict[str, Any], Any, dict[str, Any], pd.DataFrame]


@pytest.fixture(scope="module")
def known(simulated: dict[str, pd.DataFrame]) -> Known:
    examples = raw.build_examples(simulated)
    columns, context = from_frame(RainRequest, examples), raw.training_context(simulated)
    arrays = features.fit(columns, {"rain": examples["rain"].to_numpy()}, {}, context)
    return columns, features.prepare(arrays), context, examples


def column(matrix: np.ndarray, name: str) -> np.ndarray:
    return matrix[:, features.DAY_FEATURES.index(name)]


def test_one_row_and_all_rows_agree_bit_for_bit(known: Known) -> None:
    columns, fitted, context, _ = known
    whole = features.features(columns, fitted, context)
    for row in (0, 7, 1_000, len(columns["date"]) - 1):
        alone = features.features(select_rows(columns, slice(row, row + 1)), fitted, context)
        assert alone.matrices["day"].tobytes() == whole.matrices["day"][row].tobytes()
        assert alone.extras["other_stations"][0] == whole.extras["other_stations"][row]


def test_the_last_days_say_the_same_as_the_whole_history(known: Known) -> None:
    """Serving holds the last days, training the whole table."""
    columns, fitted, context, examples = known
    late = np.flatnonzero(examples["date"] >= examples["date"].max() - pd.Timedelta(days=20))
    rows = select_rows(columns, late)
    short = history.latest_days(context, 60)
    assert short["observations"].shape[1] == 60
    full, part = (features.features(rows, fitted, held).matrices["day"] for held in (context, short))
    assert full.tobytes() == part.tobytes()


def test_yesterday_is_yesterday_at_the_same_station(known: Known) -> None:
    columns, fitted, context, examples = known
    matrix = features.features(columns, fitted, context).matrices["day"]
    yesterday = examples[["station", "date", "rainfall"]].assign(date=examples["date"] + pd.Timedelta(days=1))
    wanted = examples[["station", "date"]].merge(yesterday, how="left")["rainfall"].to_numpy(dtype=np.float32)
    assert np.array_equal(column(matrix, "rainfall_yesterday"), wanted, equal_nan=True)


def test_nothing_after_today_is_looked_at(known: Known) -> None:
    """Neither any day after today nor the stored row of today at the station itself changes a feature."""
    columns, fitted, context, examples = known
    row = int(np.flatnonzero(examples["day"] == "2014-06-01")[0])
    today = int(columns["date"][row] // 86_400 - context["first_day"])
    other = {**context, "observations": context["observations"].copy()}
    other["observations"][:, today + 1 :] = 77.0
    other["observations"][:, today, STATION_NAMES.index(columns["station"][row])] = 55.0
    one = select_rows(columns, slice(row, row + 1))
    before, after = (features.features(one, fitted, held).matrices["day"] for held in (context, other))
    assert before.tobytes() == after.tobytes()


def test_other_stations_and_last_days_do_change_features(known: Known) -> None:
    columns, fitted, context, examples = known
    row = int(np.flatnonzero(examples["day"] == "2014-06-01")[0])
    with_history = features.features(select_rows(columns, slice(row, row + 1)), fitted, context)
    alone = features.features(*one_row(select_rows(columns, slice(row, row + 1)), context)[:1], fitted, {})
    assert with_history.extras["other_stations"][0] == 7
    assert with_history.extras["own_days"][0] == 6
    assert alone.extras["other_stations"][0] == alone.extras["own_days"][0] == 0
    assert np.isnan(column(alone.matrices["day"], "rainfall_yesterday")).all()
    assert np.isnan(column(alone.matrices["day"], "map_odds")).all()
    assert np.isfinite(column(with_history.matrices["day"], "map_odds")).all()


def test_fitting_looks_at_the_rows_it_is_given_alone(known: Known) -> None:
    """Rows of other folds and of later slices lie in the context too; nothing of their days may be learned."""
    columns, _, context, examples = known
    chosen = np.flatnonzero((examples["date"] < pd.Timestamp("2014-08-15", tz="UTC")) & (examples.index % 16 < 12))
    rows, labels = select_rows(columns, chosen), {"rain": examples["rain"].to_numpy()[chosen]}
    days = np.unique(rows["date"] // 86_400 - context["first_day"]).astype(int)
    other = {**context, "observations": np.full_like(context["observations"], 99.0)}
    other["observations"][:, days] = context["observations"][:, days]
    first, second = (features.fit(rows, labels, {}, held) for held in (context, other))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    assert np.abs(first["outlook_weights"]).max() > 0


def test_a_caller_may_leave_every_observation_out(known: Known) -> None:
    _, fitted, context, _ = known
    request = RainRequest.model_validate({"station": "Perth", "date": "2014-07-01"})
    from services.core.contract.columns import from_rows

    made = features.features(from_rows(RainRequest, [request.model_dump()]), fitted, context)
    matrix = made.matrices["day"]
    assert all(np.isnan(column(matrix, name)).all() for name in NUMBER_FIELDS)
    assert np.isfinite(column(matrix, "pressure_3pm_wide")).all()


def test_every_feature_is_named_once_and_made_of_request_fields() -> None:
    names = features.DAY_FEATURES
    assert len(names) == len(set(names))
    assert set(features.FEATURE_INPUTS) <= set(names)
    assert {field for fields in features.FEATURE_INPUTS.values() for field in fields} == set(RainRequest.model_fields)
