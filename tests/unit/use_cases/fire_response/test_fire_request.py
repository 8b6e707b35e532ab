"""What a dispatch centre may send, and which error it gets otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.use_cases.fire_response.brigade import LONDON, to_grid
from services.use_cases.fire_response.request import FireCall

CALL = {"call_time": "2017-03-14T18:25:00", "easting": 530_850.0, "northing": 180_950.0}


def call(**changes: Any) -> FireCall:
    return FireCall.model_validate(CALL | changes)


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        call(**changes)
    return str(caught.value)


def test_time_and_place_are_enough() -> None:
    assert call().pump_order == 1


def test_latitude_and_longitude_are_put_on_the_grid() -> None:
    sent = FireCall.model_validate(
        {"call_time": "2023-01-01T00:11:30", "latitude": 51.5578578, "longitude": -0.0747923}
    )
    assert sent.easting == pytest.approx(533_557, abs=6)
    assert sent.northing == pytest.approx(186_086, abs=6)


def test_a_grid_place_is_preferred_to_degrees() -> None:
    assert call(latitude=51.40, longitude=-0.30).easting == 530_850.0


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"call_time": "2017-03-14T18:25:00"}, "a place is needed"),
        ({"call_time": "2017-03-14T18:25:00", "latitude": 51.5}, "a place is needed"),
        ({"call_time": "2017-03-14T18:25:00", "easting": 530_000.0}, "go together"),
        ({"call_time": "2017-03-14T18:25:00", "latitude": 51.99, "longitude": 0.0}, "outside"),
        ({"call_time": "2017-03-14T18:25:00", "latitude": 51.5, "longitude": 0.59}, "outside"),
    ],
)
def test_half_a_place_or_one_outside_the_bounds_is_refused_with_the_reason(sent: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FireCall.model_validate(sent)


@pytest.mark.parametrize(
    "wrong",
    [
        {"easting": float("nan")},
        {"northing": float("inf")},
        {"easting": 100_000.0},
        {"northing": 500_000.0},
        {"latitude": 48.85},
        {"longitude": 2.35},
        {"incident_group": "Volcano"},
        {"property_category": "Spaceship"},
        {"pump_order": 0},
        {"pump_order": 1.5},
        {"pumps_already_out": -1},
        {"call_time": "yesterday"},
        {"call_time": "1066-10-14T09:00:00"},
        {"call_time": "2100-01-01T00:00:00"},
        {"property_type": "x" * 121},
        {"stop_code_description": "Primary Fire"},
    ],
)
def test_impossible_values_are_refused_by_name(wrong: dict[str, Any]) -> None:
    assert next(iter(wrong)) in refusal(**wrong)


def test_a_property_nobody_has_seen_is_accepted_without_the_blanks_around_it() -> None:
    assert call(property_type=" Moon base ").property_type == "Moon base"


def test_a_time_without_a_zone_is_london_time() -> None:
    assert call(call_time="2017-07-01T12:00:00").call_time == datetime(2017, 7, 1, 11, tzinfo=UTC)
    assert call(call_time="2017-07-01T12:00:00+02:00").call_time == datetime(2017, 7, 1, 10, tzinfo=UTC)


def test_of_the_hour_that_happens_twice_the_first_is_meant() -> None:
    assert call(call_time="2017-10-29T01:30:00").call_time == datetime(2017, 10, 29, 0, 30, tzinfo=UTC)


def test_the_hour_that_never_happens_is_moved_on() -> None:
    assert call(call_time="2017-03-26T01:30:00").call_time == datetime(2017, 3, 26, 1, 30, tzinfo=UTC)
    assert call(call_time="2017-03-26T01:30:00").call_time == call(call_time="2017-03-26T02:30:00").call_time


def test_every_field_is_described_in_both_languages() -> None:
    for name, field in FireCall.model_json_schema()["properties"].items():
        assert field["title"], name
        assert field["description"], name
        assert field["x-title-fr"], name
        assert field["x-help-fr"], name
        assert field["examples"], name


@given(
    latitude=st.floats(min_value=51.28, max_value=51.69),
    longitude=st.floats(min_value=-0.5, max_value=0.28),
    moment=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2049, 1, 1)),
)
def test_any_place_in_the_city_at_any_time_is_a_call(latitude: float, longitude: float, moment: datetime) -> None:
    sent = FireCall.model_validate({"call_time": moment, "latitude": latitude, "longitude": longitude})
    assert sent.easting is not None
    assert sent.northing is not None
    assert LONDON.easting[0] < sent.easting < LONDON.easting[1]
    assert LONDON.northing[0] < sent.northing < LONDON.northing[1]
    assert sent.call_time.utcoffset() == timedelta(0)


@given(latitude=st.floats(51.2, 51.8), longitude=st.floats(-0.6, 0.4))
def test_going_north_and_east_the_grid_grows_by_metres(latitude: float, longitude: float) -> None:
    easting, northing = to_grid(latitude, longitude)
    further_east, _ = to_grid(latitude, longitude + 0.01)
    _, further_north = to_grid(latitude + 0.01, longitude)
    assert 680 < further_east - easting < 710
    assert 1_105 < further_north - northing < 1_120


@pytest.mark.parametrize(
    ("latitude", "longitude", "easting", "northing"),
    [(51.4728979766, -0.1559418298, 528_170, 176_493), (51.5578578, -0.0747923, 533_557, 186_086)],
)
def test_places_of_public_records_are_met_within_six_metres(
    latitude: float, longitude: float, easting: float, northing: float
) -> None:
    assert to_grid(latitude, longitude) == pytest.approx((easting, northing), abs=6)
