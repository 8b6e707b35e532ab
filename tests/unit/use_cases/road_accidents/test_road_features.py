"""The feature function: one row and a million agree, nothing leaks, nothing missing breaks it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.contract import columns as column_tools
from services.core.contract.columns import allowed_values, column_types
from services.use_cases.road_accidents import encodings, features, geography
from services.use_cases.road_accidents import encodings as keys
from services.use_cases.road_accidents import encodings as surroundings
from services.use_cases.road_accidents.declaration import USE_CASE
from services.use_cases.road_accidents.encodings import GroupLevel
from services.use_cases.road_accidents.geography import FRANCE
from services.use_cases.road_accidents.request import RoadAccidentRequest

LEAST: dict[str, Any] = {
    "occurred_at": datetime(2024, 10, 12, 16, 40, tzinfo=UTC),
    "urban": False,
    "road_category": "departmental",
    "collision": "head_on",
}


@pytest.fixture(scope="module")
def columns(simulated: pd.DataFrame) -> dict[str, Any]:
    return column_tools.from_frame(RoadAccidentRequest, simulated)


@pytest.fixture(scope="module")
def labels(simulated: pd.DataFrame) -> dict[str, Any]:
    return {name: simulated[name].to_numpy(dtype=np.float64) for name in ("priority", "severity")}


@pytest.fixture(scope="module")
def fitted(columns: Any, labels: Any) -> features.FittedTables:
    return features.prepare(features.fit(columns, labels, {}, {}))


def matrix_of(columns: Any, fitted: features.FittedTables) -> np.ndarray:
    matrix: np.ndarray = features.features(columns, fitted, {}).matrices["accident"]
    return matrix


def row_of(fitted: features.FittedTables, **fields: Any) -> dict[str, float]:
    request = RoadAccidentRequest.model_validate({**LEAST, **fields})
    columns = column_tools.from_rows(RoadAccidentRequest, [request.model_dump()])
    return dict(zip(features.NAMES, matrix_of(columns, fitted)[0].tolist(), strict=True))


def test_one_row_and_the_batch_agree_bit_for_bit(columns: Any, fitted: features.FittedTables) -> None:
    batch = matrix_of(columns, fitted)
    for index in range(0, len(batch), 37):
        alone = matrix_of(column_tools.select_rows(columns, np.array([index])), fitted)
        assert alone.tobytes() == batch[index : index + 1].tobytes()


def test_a_call_and_the_table_give_the_same_features(
    simulated: pd.DataFrame, columns: Any, fitted: features.FittedTables
) -> None:
    batch = matrix_of(columns, fitted)
    names = list(column_types(RoadAccidentRequest))
    for index in range(0, len(simulated), 113):
        record = simulated.loc[index, names].to_dict()
        told = {k: v for k, v in record.items() if v != "" and not (isinstance(v, float) and math.isnan(v))}
        request = RoadAccidentRequest.model_validate(told)
        one = column_tools.from_rows(RoadAccidentRequest, [request.model_dump()])
        assert matrix_of(one, fitted).tobytes() == batch[index : index + 1].tobytes()


def test_the_matrix_is_what_the_contract_says(columns: Any, fitted: features.FittedTables) -> None:
    matrix = matrix_of(columns, fitted)
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert matrix.shape == (len(columns["urban"]), len(features.FEATURE_NAMES["accident"]))
    assert not np.isinf(matrix).any()


def test_every_feature_names_the_fields_that_it_is_made_from() -> None:
    assert set(features.FEATURE_INPUTS) == set(features.NAMES)
    fields = set(RoadAccidentRequest.model_fields)
    assert {field for made in features.FEATURE_INPUTS.values() for field in made} == fields


def test_what_was_learned_can_be_stored_without_pickle(columns: Any, labels: Any, tmp_path: Path) -> None:
    arrays = features.fit(columns, labels, {}, {})
    with (tmp_path / "fitted.npz").open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    with np.load(tmp_path / "fitted.npz", allow_pickle=False) as stored:
        again = features.prepare({name: stored[name] for name in stored.files})
    assert matrix_of(columns, again).tobytes() == matrix_of(columns, features.prepare(arrays)).tobytes()


def test_the_labels_of_the_rows_that_are_encoded_do_not_matter(columns: Any, labels: Any) -> None:
    """Encodings learned on one half say nothing of the other half's labels."""
    half = np.arange(len(labels["priority"])) % 2 == 0
    known = column_tools.select_rows(columns, half)
    changed = {name: np.where(half, label, 1 - np.minimum(label, 1)) for name, label in labels.items()}
    for given_labels in (labels, changed):
        arrays = features.fit(known, {n: v[half] for n, v in given_labels.items()}, {}, {})
        matrix = matrix_of(column_tools.select_rows(columns, ~half), features.prepare(arrays))
        if given_labels is labels:
            first = matrix
    assert first.tobytes() == matrix.tobytes()


def test_without_details_only_the_least_is_left(columns: Any, fitted: features.FittedTables) -> None:
    bare, _ = column_tools.of_variant(USE_CASE, USE_CASE.modelling.input_scenarios[0], columns, {})
    row = dict(zip(features.NAMES, matrix_of(bare, fitted)[0].tolist(), strict=True))
    for name in ("light", "people", "speed_limit", "latitude", "weight_commune", "near_1_km"):
        assert math.isnan(row[name])
    assert row["share_street"] == pytest.approx(fitted.base)
    assert not math.isnan(row["collision"])


def test_naming_no_vehicle_means_that_the_vehicles_are_unknown(fitted: features.FittedTables) -> None:
    unknown, known = row_of(fitted), row_of(fitted, cars=1)
    assert math.isnan(unknown["cars"])
    assert math.isnan(unknown["vehicles"])
    assert (known["cars"], known["bicycles"], known["vehicles"]) == (1.0, 0.0, 1.0)


def test_a_place_that_was_never_seen_leans_on_its_department(fitted: features.FittedTables) -> None:
    row = row_of(fitted, department="69", commune="69999", road="D99999")
    assert row["share_commune"] == row["share_road"] == row["share_department"]
    assert row["weight_commune"] == 0.0
    assert row["weight_department"] > 0.0


def test_the_department_follows_from_the_commune(fitted: features.FittedTables) -> None:
    assert row_of(fitted, commune="69007")["share_department"] == row_of(fitted, department="69")["share_department"]


def test_half_a_place_is_no_place(fitted: features.FittedTables) -> None:
    assert math.isnan(row_of(fitted, latitude=45.8)["near_1_km"])
    assert not math.isnan(row_of(fitted, latitude=45.8, longitude=4.7)["near_1_km"])


def test_the_clock_is_the_departments_own(fitted: features.FittedTables) -> None:
    moment = datetime(2024, 7, 1, 12, 0, tzinfo=UTC)
    assert row_of(fitted, occurred_at=moment)["hour"] == 14.0
    assert row_of(fitted, occurred_at=moment, department="974")["hour"] == 16.0
    assert row_of(fitted, occurred_at=moment, commune="97105")["hour"] == 8.0
    assert row_of(fitted, occurred_at=moment)["weekday"] == 0.0


@pytest.mark.parametrize(
    ("naive", "hour"),
    [("2024-10-27T02:30:00", 2.5), ("2024-03-31T02:30:00", 3.5), ("2024-03-31T03:30:00", 3.5)],
)
def test_the_hour_that_happens_twice_and_the_one_that_never_does(
    fitted: features.FittedTables, naive: str, hour: float
) -> None:
    from services.core.contract.fields import in_zone

    moment = in_zone(datetime.fromisoformat(naive), FRANCE.zone)
    assert row_of(fitted, occurred_at=moment)["hour"] == hour


@given(
    st.floats(min_value=datetime(2005, 1, 1, tzinfo=UTC).timestamp(), max_value=2_700_000_000),
    st.sampled_from(["", "75", *FRANCE.zones]),
)
def test_local_seconds_agree_with_the_time_zone_database(second: float, department: str) -> None:
    second = float(int(second))
    zone = ZoneInfo(FRANCE.zones.get(department, FRANCE.zone))
    shift = datetime.fromtimestamp(second, zone).utcoffset()
    assert isinstance(shift, timedelta)
    assert geography.local_seconds([second], [department]) == [second + shift.total_seconds()]


def _fields() -> dict[str, st.SearchStrategy[Any]]:
    made: dict[str, st.SearchStrategy[Any]] = {}
    for name, kind in column_types(RoadAccidentRequest).items():
        if kind == "category":
            made[name] = st.sampled_from(allowed_values(RoadAccidentRequest, name))
        elif kind == "flag":
            made[name] = st.booleans()
    made |= {
        "occurred_at": st.datetimes(datetime(2005, 1, 1), datetime(2055, 1, 1), timezones=st.just(UTC)),
        "people": st.none() | st.integers(1, 1_000),
        "pedestrians": st.integers(0, 200),
        "cars": st.integers(0, 100),
        "motorcycles": st.integers(0, 100),
        "latitude": st.none() | st.floats(-90, 90),
        "longitude": st.none() | st.floats(-180, 180),
        "department": st.none() | st.sampled_from(sorted(FRANCE.areas)),
        "road": st.none() | st.text(max_size=40),
        "speed_limit": st.none() | st.integers(5, 130),
        "light": st.none() | made["light"],
    }
    return made


@settings(max_examples=60, deadline=None)
@given(request=st.fixed_dictionaries(_fields()))
def test_any_valid_request_gives_finite_or_missing_features(
    fitted: features.FittedTables, request: dict[str, Any]
) -> None:
    row = row_of(fitted, **request)
    assert not any(math.isinf(value) for value in row.values())
    for name in (*[f"share_{level.name}" for level in keys.GROUP_LEVELS], "share_300_m"):
        assert 0.0 <= row[name] <= 1.0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from([0.0, 1.0, math.nan])), min_size=1, max_size=40
    )
)
def test_smoothed_shares_lie_between_the_share_of_all_and_the_keys_own(rows: list[tuple[str, float]]) -> None:
    levels = (GroupLevel("place", None, 5.0),)
    names, hits = [key for key, _ in rows], np.array([hit for _, hit in rows])
    learned, base = encodings.load_shares(levels, encodings.fit_shares(levels, {"place": names}, hits))
    for key in {name for name in names if name}:
        own = hits[(np.array(names) == key) & ~np.isnan(hits)]
        if own.size:
            low, high = sorted((base, float(own.mean())))
            assert low - 1e-9 <= learned.share["place"][key] <= high + 1e-9
        else:
            assert key not in learned.share["place"]
    assert "" not in learned.share["place"]


def test_a_border_between_cells_does_not_part_neighbours() -> None:
    edge = 45.0
    latitude, longitude = np.array([edge - 1e-4] * 4), np.array([5.0] * 4)
    learned = surroundings.load_density(surroundings.fit_density(latitude, longitude, np.ones(4)))
    here = surroundings.lookup_density([edge - 1e-4, edge + 1e-4, edge + 0.5], [5.0] * 3, [0.2] * 3, learned)
    assert here.near["1_km"][0] > here.near["1_km"][1] > here.near["1_km"][2] == 0.0
    assert here.share["300_m"][0] > here.share["300_m"][1] > 0.5 > here.share["300_m"][2]


def test_the_target_reads_a_matrix_that_exists() -> None:
    assert {target.matrix for target in USE_CASE.modelling.targets} <= set(features.FEATURE_NAMES)
