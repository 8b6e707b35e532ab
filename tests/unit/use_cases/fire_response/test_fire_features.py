"""The feature function: the same for one call and for all, from what is known at call time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.core.contract import columns as column_tools
from services.core.contract.columns import local_time
from services.use_cases.fire_response import features as module
from services.use_cases.fire_response.brigade import LONDON
from services.use_cases.fire_response.declaration import USE_CASE
from services.use_cases.fire_response.encoding import encode_requests
from services.use_cases.fire_response.fit import curve_index
from services.use_cases.fire_response.request import FireCall, IncidentGroup, PropertyCategory

MATRICES = module.FEATURE_NAMES


def at(matrix: NDArray[np.float32], name: str, which: str = "pump") -> NDArray[np.float32]:
    return matrix[:, MATRICES[which].index(name)]


def computed(learned: Any, **changes: Any) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    call = {
        "call_time": datetime(2024, 3, 12, 9, 30, tzinfo=UTC),
        "easting": 530_400.0,
        "northing": 179_900.0,
        "incident_group": "Fire",
        "property_category": "Dwelling",
        "property_type": "House - single occupancy",
    }
    request = FireCall.model_validate(call | changes)
    found = module.features(column_tools.from_rows(FireCall, [request.model_dump()]), learned.fitted, {})
    return found.matrices, found.extras


def without_station(columns: dict[str, Any]) -> dict[str, Any]:
    return column_tools.mask_fields(USE_CASE.serving.request, columns, ["deployed_from_station"])


def test_matrices_have_the_declared_columns_and_kind(learned: Any) -> None:
    matrices, facts = module.features(learned.columns, learned.fitted, {})
    for name, columns in MATRICES.items():
        assert matrices[name].shape == (len(learned.examples), len(columns))
        assert matrices[name].dtype == np.float32
        assert matrices[name].flags.c_contiguous
    assert {len(fact) for fact in facts.values()} == {len(learned.examples)}


def test_columns_hold_what_their_names_say(learned: Any) -> None:
    matrices, facts = module.features(learned.columns, learned.fitted, {})
    pump = matrices["pump"]
    station = [learned.fitted.atlas.index[name.lower()] for name in facts["station"]]
    np.testing.assert_array_equal(at(pump, "distance"), facts["distance_m"].astype(np.float32))
    np.testing.assert_allclose(np.hypot(at(pump, "across"), at(pump, "along")), at(pump, "distance"), rtol=1e-5)
    np.testing.assert_array_equal(at(pump, "pump_order"), learned.columns["pump_order"])
    np.testing.assert_array_equal(at(pump, "station_assumed"), facts["station_assumed"])
    np.testing.assert_allclose(at(pump, "station_easting"), learned.reference["station_easting"][station], rtol=1e-6)
    np.testing.assert_allclose(
        at(pump, "beyond_nearest"), at(pump, "distance") - at(pump, "to_nearest_station"), atol=0.01
    )
    np.testing.assert_allclose(
        at(pump, "beyond_second"), at(pump, "distance") - at(pump, "to_second_station"), atol=0.01
    )
    ground = learned.examples["station_ground"].to_numpy(dtype=object)
    brigades = ground != "OverTheBorder"
    np.testing.assert_array_equal(at(pump, "own_ground")[brigades] == 1, (ground == facts["station"])[brigades])
    known = ~np.isnan(learned.labels["attendance_seconds"])
    seconds = learned.labels["attendance_seconds"][known]
    assert np.corrcoef(at(pump, "expected")[known], seconds)[0, 1] > 0.75
    late = learned.labels["over_360s"][known]
    assert np.corrcoef(at(pump, "near_late")[known], late)[0, 1] > 0.2
    assert np.corrcoef(at(pump, "pair_late")[known], late)[0, 1] > 0.2
    assert np.corrcoef(at(pump, "near_seconds")[known], seconds)[0, 1] > 0.2


def test_what_is_expected_is_the_sum_of_what_was_learned_step_by_step(learned: Any) -> None:
    arrays = learned.arrays
    pump = module.features(learned.columns, learned.fitted, {}).matrices["pump"]
    calls = encode_requests(learned.columns, learned.fitted.atlas)
    chosen = (calls.station >= 0) & (calls.ground >= 0)
    station, ground, clock = calls.station[chosen], calls.ground[chosen], calls.clock[chosen]
    stations, block = learned.fitted.atlas.stations, clock // 3
    distance = at(pump, "distance")[chosen].astype(np.float64)
    later, same = learned.columns["pump_order"][chosen] >= 2, station == ground
    total = (
        arrays["curve"][curve_index(distance, later, same)]
        + arrays["hours"][clock]
        + arrays["stations"][station]
        + arrays["grounds"][ground]
        + arrays["pairs"][station * stations + ground]
        + at(pump, "kind_delay")[chosen]
        + arrays["congestion"][ground * 16 + block]
        + arrays["station_blocks"][station * 16 + block]
        + at(pump, "around_delay")[chosen]
    )
    np.testing.assert_allclose(at(pump, "expected")[chosen], total, rtol=1e-4)


def test_every_feature_names_the_request_fields_that_it_is_made_from() -> None:
    for name in {*MATRICES["pump"], *MATRICES["incident"]}:
        assert set(module.FEATURE_INPUTS[name]) <= set(FireCall.model_fields), name


def test_how_many_pumps_is_never_told_by_anything_about_a_pump() -> None:
    inputs = {field for name in MATRICES["incident"] for field in module.FEATURE_INPUTS[name]}
    assert not inputs & {"pump_order", "deployed_from_station"}


def test_the_incident_matrix_is_the_same_for_every_pump_of_it(learned: Any) -> None:
    one, _ = computed(learned)
    two, _ = computed(learned, pump_order=2, deployed_from_station="Oak Hill")
    np.testing.assert_array_equal(one["incident"], two["incident"])
    assert not np.array_equal(one["pump"], two["pump"])


def test_one_row_and_a_batch_agree_bit_for_bit(learned: Any) -> None:
    for changed in (
        learned.columns,
        without_station(learned.columns),
    ):
        whole, facts = module.features(changed, learned.fitted, {})
        for row in range(0, len(learned.examples), 29):
            alone, own = module.features(column_tools.select_rows(changed, slice(row, row + 1)), learned.fitted, {})
            for name, matrix in whole.items():
                assert alone[name][0].tobytes() == matrix[row].tobytes(), (name, row)
            for name, fact in facts.items():
                assert own[name][0] == fact[row], (name, row)


words = st.one_of(st.just(""), st.text(max_size=10))
rows = st.fixed_dictionaries(
    {
        "call_time": st.datetimes(datetime(1995, 1, 1), datetime(2045, 1, 1)),
        "easting": st.floats(*LONDON.easting),
        "northing": st.floats(*LONDON.northing),
        "incident_group": st.sampled_from([None, *get_args(IncidentGroup)]),
        "property_category": st.sampled_from([None, *get_args(PropertyCategory)]),
        "property_type": st.one_of(words, st.sampled_from(["Hospital", "Car"])),
        "station_ground": st.one_of(words, st.sampled_from(["Oak Hill", "Elm Bridge"])),
        "deployed_from_station": st.one_of(words, st.sampled_from(["Oak Hill", "Elm Bridge"])),
        "pump_order": st.integers(1, 20),
        "pumps_already_out": st.one_of(st.none(), st.integers(0, 500)),
    }
)


@settings(max_examples=60, deadline=None)
@given(sent=st.lists(rows, min_size=1, max_size=9))
def test_any_valid_calls_get_the_same_finite_features_alone_and_together(learned: Any, sent: list[Any]) -> None:
    requests = [FireCall.model_validate(row).model_dump() for row in sent]
    whole, _ = module.features(column_tools.from_rows(FireCall, requests), learned.fitted, {})
    may_be_missing = {"group", "category"}
    for name, matrix in whole.items():
        kept = [i for i, column in enumerate(MATRICES[name]) if column not in may_be_missing]
        assert np.isfinite(matrix[:, kept]).all()
    for number, request in enumerate(requests):
        alone, _ = module.features(column_tools.from_rows(FireCall, [request]), learned.fitted, {})
        for name, matrix in whole.items():
            assert alone[name][0].tobytes() == matrix[number].tobytes()


def test_a_table_of_examples_and_requests_give_the_same_features(learned: Any) -> None:
    chosen = learned.examples.iloc[::101]
    fields = list(FireCall.model_fields)
    requests = [
        FireCall.model_validate(
            {name: value for name, value in row.items() if name in fields and pd.notna(value) and value != ""}
        ).model_dump()
        for row in chosen.to_dict("records")
    ]
    from_table, _ = module.features(column_tools.from_frame(FireCall, chosen), learned.fitted, {})
    from_requests, _ = module.features(column_tools.from_rows(FireCall, requests), learned.fitted, {})
    for name, matrix in from_table.items():
        assert matrix.tobytes() == from_requests[name].tobytes()


def test_without_a_station_the_nearest_is_assumed_and_said(learned: Any) -> None:
    matrices, facts = computed(learned)
    reference = learned.reference
    away = np.hypot(reference["station_easting"] - 530_400, reference["station_northing"] - 179_900)
    away[~reference["station_own"]] = np.inf
    assert facts["station_assumed"].tolist() == [True]
    assert facts["station"].tolist() == [reference["station_names"][away.argmin()]]
    assert facts["distance_m"][0] == pytest.approx(away.min())
    assert at(matrices["pump"], "station_assumed")[0] == 1
    assert facts["interval_group"].tolist() == [11]


def test_a_named_station_is_taken_whatever_its_letters(learned: Any) -> None:
    _, facts = computed(learned, deployed_from_station="oak hill")
    assert facts["station"].tolist() == ["Oak Hill"]
    assert facts["station_assumed"].tolist() == [False]
    assert facts["interval_group"].tolist() == [1]


def test_a_station_that_nobody_knows_is_replaced_by_an_assumed_one(learned: Any) -> None:
    assert computed(learned, deployed_from_station="Atlantis")[1]["station_assumed"].tolist() == [True]


def test_without_a_ground_that_of_the_nearest_incidents_is_taken(learned: Any) -> None:
    same = 0
    chosen = learned.examples.iloc[::37]
    for row in chosen.itertuples():
        place = {"easting": row.easting, "northing": row.northing, "deployed_from_station": row.deployed_from_station}
        told, _ = computed(learned, station_ground=row.station_ground or None, **place)
        guessed, _ = computed(learned, **place)
        same += bool(
            at(told["incident"], "ground_pumps", "incident") == at(guessed["incident"], "ground_pumps", "incident")
        )
    assert same / len(chosen) > 0.85


def test_fields_that_mean_nothing_more_change_nothing(learned: Any) -> None:
    plain, _ = computed(learned)
    more, _ = computed(learned, latitude=51.40, longitude=-0.30, pumps_already_out=77)
    for name, matrix in plain.items():
        assert matrix.tobytes() == more[name].tobytes()


def test_clock_and_calendar_are_londons(learned: Any) -> None:
    matrices, _ = computed(learned, call_time=datetime(2024, 5, 6, 16, 45, tzinfo=UTC))
    assert at(matrices["pump"], "hour")[0] == 17.75
    assert at(matrices["pump"], "weekday")[0] == 0
    assert at(matrices["pump"], "holiday")[0] == 2, "the early May bank holiday"
    assert computed(learned, call_time=datetime(2024, 8, 7, tzinfo=UTC))[0]["pump"][0][5] == 1, "summer holidays"


@pytest.mark.parametrize(
    ("moment", "hour"),
    [
        (datetime(2024, 10, 27, 0, 30, tzinfo=UTC), 1.5),
        (datetime(2024, 10, 27, 1, 30, tzinfo=UTC), 1.5),
        (datetime(2024, 3, 31, 0, 30, tzinfo=UTC), 0.5),
        (datetime(2024, 3, 31, 1, 30, tzinfo=UTC), 2.5),
    ],
)
def test_the_hour_that_happens_twice_and_the_one_that_never_does(learned: Any, moment: datetime, hour: float) -> None:
    assert at(computed(learned, call_time=moment)[0]["pump"], "hour")[0] == hour


def test_an_unknown_kind_of_incident_is_missing_and_not_a_kind_of_its_own(learned: Any) -> None:
    matrices, _ = computed(learned, incident_group=None, property_category=None, property_type=None)
    assert np.isnan(at(matrices["pump"], "group")[0])
    assert np.isnan(at(matrices["pump"], "category")[0])


def test_learning_sees_no_row_that_it_was_not_given(learned: Any) -> None:
    """Cross-fitting relies on it: what a held-out row says must not reach its own encoding."""
    half = np.arange(len(learned.examples)) % 2 == 0
    columns = column_tools.select_rows(learned.columns, half)
    labels = {name: values[half] for name, values in learned.labels.items()}
    first = module.fit(columns, labels, learned.reference, {})
    changed = {name: values + 0 for name, values in learned.labels.items()}
    changed["attendance_seconds"][~half] = 1.0
    again = module.fit(columns, {name: values[half] for name, values in changed.items()}, learned.reference, {})
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])


def test_the_congestion_index_is_learned_from_the_pasts_own_times(learned: Any) -> None:
    """Rows of one area and hour made slower raise the index there and nowhere far away."""
    calls = local_time(learned.columns["call_time"], LONDON.zone)
    busiest = learned.examples["station_ground"].value_counts().index[0]
    jam = (learned.examples["station_ground"] == busiest).to_numpy() & (calls.hour >= 6) & (calls.hour < 9)
    jam &= calls.weekday < 5
    labels = {name: values.copy() for name, values in learned.labels.items()}
    labels["attendance_seconds"][jam] += 150
    slower = module.prepare(module.fit(learned.columns, labels, learned.reference, {}))
    before = at(module.features(learned.columns, learned.fitted, {}).matrices["pump"], "congestion")
    after = at(module.features(learned.columns, slower, {}).matrices["pump"], "congestion")
    assert (after - before)[jam].mean() > 5
    assert abs((after - before)[~jam].mean()) < 2


def test_a_brigade_of_two_stations_can_start(learned: Any) -> None:
    kept = learned.examples["deployed_from_station"].isin(["Oak Hill", "Elm Bridge"]).to_numpy()
    chosen = np.isin(learned.reference["station_names"], ["Oak Hill", "Elm Bridge"])
    reference = {
        name: values[chosen] if name.startswith("station_") else values for name, values in learned.reference.items()
    }
    columns = column_tools.select_rows(learned.columns, kept)
    labels = {name: values[kept] for name, values in learned.labels.items()}
    fitted = module.prepare(module.fit(columns, labels, reference, {}))
    matrices, _ = module.features(without_station(columns), fitted, {})
    assert not np.isinf(matrices["pump"]).any()
    assert np.isnan(at(matrices["pump"], "to_third_station")).all()


def test_a_cut_without_any_arrival_or_second_pump_can_be_learned_from(learned: Any) -> None:
    for rows in (learned.columns["pump_order"] < 2, np.isnan(learned.labels["attendance_seconds"])):
        columns = column_tools.select_rows(learned.columns, rows)
        labels = {name: values[rows] for name, values in learned.labels.items()}
        fitted = module.prepare(module.fit(columns, labels, learned.reference, {}))
        matrices, _ = module.features(columns, fitted, {})
        assert not np.isinf(matrices["pump"]).any()


def test_arrays_can_be_stored_without_pickle(learned: Any) -> None:
    assert all(values.dtype.kind in "biufU" for values in learned.arrays.values())


def test_weather_is_left_out_of_the_declared_features() -> None:
    assert LONDON.weather is False
    assert "temperature" not in MATRICES["pump"]


def test_weather_can_be_switched_on_and_a_missing_value_is_a_missing_feature(
    learned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wet = (*MATRICES["pump"], "temperature", "precipitation", "wind")
    monkeypatch.setattr(module, "FEATURE_NAMES", {**MATRICES, "pump": wet})
    times = learned.columns["call_time"][:3]
    context = {
        "weather_time": np.array([times[1] - 600.0]),
        "weather_temperature": np.array([7.5]),
        "weather_precipitation": np.array([0.3]),
        "weather_wind": np.array([np.nan]),
    }
    found = module.features(column_tools.select_rows(learned.columns, slice(0, 3)), learned.fitted, context).matrices[
        "pump"
    ]
    assert np.isnan(found[0, -3:]).all(), "before the first hour nothing is known"
    np.testing.assert_array_equal(found[1, -3:], np.array([7.5, 0.3, np.nan], dtype=np.float32))
    without = module.features(column_tools.select_rows(learned.columns, slice(0, 3)), learned.fitted, {}).matrices[
        "pump"
    ]
    assert np.isnan(without[:, -3:]).all()


def test_declared_matrices_are_those_of_the_targets() -> None:
    assert {target.matrix for target in USE_CASE.modelling.targets} == set(MATRICES)
