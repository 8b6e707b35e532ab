"""One example per arrived pump, as a caller would have described it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.use_cases.fire_response.brigade import LONDON
from services.use_cases.fire_response.declaration import USE_CASE
from services.use_cases.fire_response.examples import incident_examples


def incident(number: str, **changes: Any) -> dict[str, Any]:
    return {
        "incident_id": number,
        "call_time": pd.Timestamp("2024-03-01T12:00:00Z"),
        "easting": 530_000.0,
        "northing": 180_000.0,
        "incident_group": "Fire",
        "property_category": "Dwelling",
        "property_type": "House",
        "station_ground": "Soho",
        "borough": "WESTMINSTER",
        "service": "London",
        "seconds_1": 300.0,
        "station_1": "Soho",
        "seconds_2": 380.0,
        "station_2": "Euston",
        "pumps": 3.0,
        "minutes_out": np.nan,
    } | changes


def made(*incidents: dict[str, Any], sent: pd.DataFrame | None = None) -> pd.DataFrame:
    return incident_examples(pd.DataFrame(incidents), sent, LONDON)


def mobilised(**changes: Any) -> pd.DataFrame:
    row = {
        "incident_id": "A",
        "pump_order": 1.0,
        "attendance_seconds": 290.0,
        "station": "Chelsea",
        "mobilised": pd.Timestamp("2024-03-01T12:01:00Z"),
    }
    return pd.DataFrame([row | changes])


def test_each_arrived_pump_is_an_example() -> None:
    rows = made(incident("A"))
    assert rows["pump_order"].tolist() == [1, 2]
    assert rows["attendance_seconds"].tolist() == [300.0, 380.0]
    assert rows["over_360s"].tolist() == [0.0, 1.0]
    assert rows["deployed_from_station"].tolist() == ["Soho", "Euston"]


def test_the_number_of_pumps_is_told_once_per_incident() -> None:
    rows = made(incident("A"), incident("B", seconds_2=np.nan, pumps=7.0))
    assert rows.groupby("incident_id")["pumps"].count().to_dict() == {"A": 1, "B": 1}
    assert rows.set_index("incident_id")["pumps"].dropna().to_dict() == {"A": 2.0, "B": 4.0}


def test_an_incident_without_an_arrival_still_tells_its_pumps() -> None:
    rows = made(incident("A", seconds_1=np.nan, seconds_2=np.nan, station_1="", station_2=""))
    assert len(rows) == 1
    assert rows["pumps"].tolist() == [2.0]
    assert rows[["attendance_seconds", "over_360s"]].isna().all().all()


def test_on_another_services_ground_times_count_and_pumps_do_not() -> None:
    rows = made(incident("A", service="OverTheBorder"))
    assert rows["attendance_seconds"].notna().all()
    assert rows["pumps"].isna().all()


def test_mobilisations_fill_in_time_and_station() -> None:
    rows = made(incident("A", seconds_1=np.nan, station_1="", seconds_2=np.nan), sent=mobilised())
    assert rows[["attendance_seconds", "deployed_from_station"]].iloc[0].tolist() == [290.0, "Chelsea"]


def test_mobilisations_of_unknown_incidents_change_nothing() -> None:
    pd.testing.assert_frame_equal(made(incident("A"), sent=mobilised(incident_id="Z")), made(incident("A")))


def test_a_long_silence_begins_a_new_period() -> None:
    later = incident("B", call_time=pd.Timestamp("2024-09-01T12:00:00Z"), seconds_2=np.nan)
    rows = made(incident("A", seconds_2=np.nan), later)
    assert rows["period"].tolist() == ["2024-03", "2024-09"]


def test_the_hour_band_is_that_of_the_brigades_clock() -> None:
    rows = made(incident("A", call_time=pd.Timestamp("2024-07-01T05:30:00Z"), seconds_2=np.nan))
    assert rows["hour_band"].tolist() == ["06-12"]


def test_examples_hold_all_that_the_declaration_asks_for() -> None:
    rows = made(incident("A"))
    wanted = {
        *USE_CASE.serving.request.model_fields,
        *(target.label for target in USE_CASE.modelling.targets),
        *(group.column for group in USE_CASE.modelling.subgroups),
        USE_CASE.data.group_column,
        "event_time",
        str(USE_CASE.modelling.split.within),
    }
    assert wanted <= set(rows.columns)


@pytest.mark.parametrize(
    "after", ["StopCodeDescription", "SpecialServiceType", "NumPumpsAttending", "PumpMinutesRounded"]
)
def test_what_is_written_after_the_fact_is_no_field_of_a_request(after: str) -> None:
    fields = {name.replace("_", "").lower() for name in USE_CASE.serving.request.model_fields}
    assert after.lower() not in fields
    assert "pumps" not in USE_CASE.serving.request.model_fields
