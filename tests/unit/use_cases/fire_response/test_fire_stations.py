"""Where stations are, when they were open, and which days are holidays."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from services.core.contract.columns import day_number
from services.use_cases.fire_response.brigade import LONDON
from services.use_cases.fire_response.encoding import (
    SpatialIndex,
    build_spatial_index,
    nearest_open_station,
    station_hours,
)
from services.use_cases.fire_response.examples import calendar_arrays, school_holidays, station_arrays
from services.use_cases.fire_response.simulation import build_city

DAY = 86_400.0


def distance_to_truth(arrays: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    where = build_city()
    at = {name: number for number, name in enumerate(where.names.tolist())}
    number = [at[name] for name in arrays["station_names"].tolist()]
    return np.hypot(
        arrays["station_easting"] - where.easting[number], arrays["station_northing"] - where.northing[number]
    )


def test_the_reference_file_says_where_stations_are(simulated_tables: dict[str, pd.DataFrame]) -> None:
    arrays = station_arrays(simulated_tables["incidents"], simulated_tables["stations"], LONDON)
    assert distance_to_truth(arrays).max() < 10


def test_without_the_file_places_are_estimated_from_the_incidents(simulated_tables: dict[str, pd.DataFrame]) -> None:
    estimated = distance_to_truth(station_arrays(simulated_tables["incidents"], None, LONDON))
    assert len(estimated) > 80
    assert np.median(estimated) < 1_200


def test_a_line_that_puts_a_station_far_from_its_ground_is_not_believed(
    simulated_tables: dict[str, pd.DataFrame],
) -> None:
    stations = simulated_tables["stations"].copy()
    busiest = simulated_tables["incidents"]["station_ground"].value_counts().index[0]
    stations.loc[stations["name"] == busiest, "longitude"] += 0.24
    arrays = station_arrays(simulated_tables["incidents"], stations, LONDON)
    wrong = arrays["station_names"] == busiest
    assert distance_to_truth(arrays)[wrong].max() < 4_000


def test_another_services_ground_is_no_station(simulated_tables: dict[str, pd.DataFrame]) -> None:
    assert (simulated_tables["incidents"]["service"] != "London").any()
    assert "OverTheBorder" not in station_arrays(simulated_tables["incidents"], None, LONDON)["station_names"]


@pytest.fixture
def two_stations() -> SpatialIndex:
    return build_spatial_index(
        {
            "station_names": np.array(["East", "West"]),
            "station_easting": np.array([531_000.0, 529_000.0]),
            "station_northing": np.array([180_000.0, 180_000.0]),
            "station_own": np.array([True, True]),
            "bank_holidays": np.array([17_000]),
            "school_holidays": np.array([17_001]),
        }
    )


def test_a_station_that_fell_silent_was_closed_and_is_not_assumed_any_more(two_stations: SpatialIndex) -> None:
    times = np.arange(0, 300 * DAY, DAY / 4)
    station = np.where((np.arange(len(times)) % 2 == 0) & (times < 100 * DAY), 0, 1)
    spans = station_hours(times, station, two_stations)
    here = np.array([530_900.0]), np.array([180_000.0])
    assert nearest_open_station(*here, two_stations, np.array([50 * DAY]), spans).tolist() == [0]
    assert nearest_open_station(*here, two_stations, np.array([250 * DAY]), spans).tolist() == [1]
    assert np.isinf(spans[1][1]), "the other one is open without end"


def test_a_quiet_station_is_not_taken_for_a_closed_one(two_stations: SpatialIndex) -> None:
    times = np.arange(0, 300 * DAY, DAY / 4)
    station = np.where(np.arange(len(times)) % 250 == 0, 0, 1)
    assert np.isinf(station_hours(times, station, two_stations)[1]).all()


def test_a_hole_in_the_data_closes_nobody(two_stations: SpatialIndex) -> None:
    first = np.arange(0, 100 * DAY, DAY / 4)
    times = np.concatenate([first, 2_000 * DAY + first[first < 5 * DAY]])
    station = np.where(times < 95 * DAY, np.arange(len(times)) % 2, 1)
    opened, closed = station_hours(times, station, two_stations)
    assert np.isinf(opened).all()
    assert np.isinf(closed).all()


@pytest.mark.parametrize(
    ("day", "holiday"),
    [
        (date(2017, 2, 15), True),
        (date(2017, 3, 15), False),
        (date(2017, 4, 12), True),
        (date(2017, 8, 1), True),
        (date(2017, 10, 25), True),
        (date(2017, 12, 24), True),
        (date(2023, 4, 6), True),
        (date(2023, 4, 20), False),
        (date(2023, 5, 31), True),
        (date(2023, 6, 14), False),
        (date(2025, 2, 19), True),
        (date(2025, 2, 12), False),
        (date(2024, 10, 30), True),
    ],
)
def test_english_school_holidays_follow_the_rule(day: date, holiday: bool) -> None:
    assert (day in school_holidays(day.year)) is holiday


def test_bank_holidays_are_englands_and_reach_into_the_future() -> None:
    bank = set(calendar_arrays(2023, 2028, LONDON)["bank_holidays"].tolist())
    assert day_number(date(2023, 5, 8)) in bank, "the coronation"
    assert day_number(date(2028, 12, 25)) in bank
    assert day_number(date(2023, 3, 17)) not in bank, "Northern Ireland's own"
