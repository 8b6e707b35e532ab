"""Reading official files: two layouts, their oddities, and refusals row by row."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.errors import VigieError
from services.use_cases.fire_response import raw

ROW = {
    "IncidentNumber": "000004-01012017",
    "DateOfCall": "2017-01-01",
    "TimeOfCall": "00:06:18",
    "IncidentGroup": "False Alarm",
    "StopCodeDescription": "AFA",
    "PropertyCategory": "Non Residential",
    "PropertyType": "Engineering manufacturing plant ",
    "IncGeo_BoroughName": "Greenwich",
    "Easting_m": "547178.0",
    "Northing_m": "179210.0",
    "Easting_rounded": "547150",
    "Northing_rounded": "179250",
    "FRS": "London",
    "IncidentStationGround": "Plumstead",
    "FirstPumpArriving_AttendanceTime": "835.0",
    "FirstPumpArriving_DeployedFromStation": "Plumstead",
    "SecondPumpArriving_AttendanceTime": "",
    "SecondPumpArriving_DeployedFromStation": "",
    "NumPumpsAttending": "1.0",
}
OLD = {"IncidentNumber": "235138081"}
"""A number that does not say the date."""
MOBILISATION = {
    "IncidentNumber": "235138081",
    "ResourceMobilisationId": "38427",
    "DateAndTimeMobilised": "2009-01-01 00:02:27",
    "TurnoutTimeSeconds": "253.0",
    "TravelTimeSeconds": "89.0",
    "AttendanceTimeSeconds": "342",
    "DeployedFromStation_Name": "Clapham",
    "PumpOrder": "2",
}


def incidents(*changes: dict[str, str]) -> pd.DataFrame:
    frame = pd.DataFrame([ROW | change for change in changes])
    frame["line"] = range(2, len(frame) + 2)
    return frame


def test_a_row_becomes_a_call_with_types() -> None:
    row = raw.parse_table("incidents", incidents({})).rows.iloc[0]
    assert row["call_time"] == pd.Timestamp("2017-01-01T00:06:18Z")
    assert row["property_type"] == "Engineering manufacturing plant"
    assert (row["easting"], row["northing"]) == (547_150.0, 179_250.0)
    assert (row["seconds_1"], row["pumps"], row["station_1"]) == (835.0, 1.0, "Plumstead")
    assert pd.isna(row["seconds_2"])


@pytest.mark.parametrize(
    "date", ["2023-03-28", "28-Mar-23", "28/03/2023", "28 Mar 2023", "2023-03-28 00:00:00", "28-Mar-2023"]
)
def test_every_style_of_date_is_read(date: str) -> None:
    row = raw.parse_table("incidents", incidents(OLD | {"DateOfCall": date, "TimeOfCall": "7:05"})).rows.iloc[0]
    assert row["call_time"] == pd.Timestamp("2023-03-28T06:05:00Z")


def test_both_styles_of_incident_number_are_kept_as_they_are() -> None:
    read = raw.parse_table("incidents", incidents({}, {"IncidentNumber": "235138081"})).rows
    assert read["incident_id"].tolist() == ["000004-01012017", "235138081"]


def test_the_rounded_place_stands_in_for_the_redacted_one() -> None:
    row = raw.parse_table("incidents", incidents({"Easting_m": "", "Northing_m": "", "Latitude": "0"})).rows.iloc[0]
    assert (row["easting"], row["northing"]) == (547_150.0, 179_250.0)


def test_the_exact_place_is_taken_where_the_rounded_one_is_missing() -> None:
    row = raw.parse_table("incidents", incidents({"Easting_rounded": "", "Northing_rounded": ""})).rows.iloc[0]
    assert (row["easting"], row["northing"]) == (547_178.0, 179_210.0)


def test_of_the_hour_that_happens_twice_the_first_is_meant() -> None:
    row = raw.parse_table(
        "incidents", incidents(OLD | {"DateOfCall": "2017-10-29", "TimeOfCall": "01:30:00"})
    ).rows.iloc[0]
    assert row["call_time"] == pd.Timestamp("2017-10-29T00:30:00Z")


def test_the_hour_that_never_happens_is_moved_on_and_not_lost() -> None:
    row = raw.parse_table(
        "incidents", incidents(OLD | {"DateOfCall": "2017-03-26", "TimeOfCall": "01:30:00"})
    ).rows.iloc[0]
    assert row["call_time"] == pd.Timestamp("2017-03-26T01:00:00Z")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"IncidentNumber": " "}, "IncidentNumber is empty"),
        ({"DateOfCall": "soon"}, "DateOfCall is not a date"),
        ({"TimeOfCall": "noon"}, "TimeOfCall is not a time of day"),
        ({"Easting_rounded": "", "Easting_m": ""}, "no easting and northing"),
        ({"Northing_rounded": "999999"}, "no easting and northing"),
        ({"IncidentGroup": "Volcano"}, "IncidentGroup"),
        ({"PropertyCategory": "Spaceship"}, "PropertyCategory"),
        ({"FirstPumpArriving_AttendanceTime": "-4"}, "FirstPumpArriving_AttendanceTime"),
        ({"SecondPumpArriving_AttendanceTime": "soon"}, "SecondPumpArriving_AttendanceTime"),
        ({"NumPumpsAttending": "1.5"}, "NumPumpsAttending"),
    ],
)
def test_a_bad_row_is_refused_with_line_and_reason_and_the_rest_is_read(change: dict[str, str], reason: str) -> None:
    checked = raw.parse_table("incidents", incidents({}, change, {}))
    assert checked.rows["line"].tolist() == [2, 4]
    assert checked.rejected["line"].tolist() == [3]
    assert reason in checked.rejected["reason"].iloc[0]


def test_columns_that_only_one_layout_has_may_be_absent() -> None:
    lean = incidents({}).drop(columns=["IncGeo_BoroughName", "FRS", "Easting_m", "Northing_m"])
    rows = raw.parse_table("incidents", lean).rows
    assert rows["service"].tolist() == ["London"], "where nothing is said, the ground is the brigade's own"


def test_a_mobilisation_keeps_turnout_travel_and_their_sum() -> None:
    frame = pd.DataFrame([MOBILISATION, MOBILISATION | {"AttendanceTimeSeconds": ""}])
    frame["line"] = [2, 3]
    rows = raw.parse_table("mobilisations", frame).rows
    assert rows["attendance_seconds"].tolist() == [342.0, 342.0]
    assert rows["turnout_seconds"].tolist() == [253.0, 253.0]
    assert rows["mobilised"].iloc[0] == pd.Timestamp("2009-01-01T00:02:27Z")


@pytest.mark.parametrize("moment", ["2018-01-01 00:04:25", "01/01/2018 00:04:25"])
def test_a_mobilisation_has_the_time_of_either_style(moment: str) -> None:
    frame = pd.DataFrame([MOBILISATION | {"DateAndTimeMobilised": moment}]).assign(line=2)
    assert raw.parse_table("mobilisations", frame).rows["mobilised"].iloc[0] == pd.Timestamp("2018-01-01T00:04:25Z")


def test_a_station_in_the_sea_is_refused() -> None:
    frame = pd.DataFrame(
        {
            "code": ["A24", "A25", ""],
            "name": ["Soho", "Atlantis", "Nowhere"],
            "latitude": ["51.512462", "0", "51.5"],
            "longitude": ["-0.130084", "0", "-0.1"],
            "line": [2, 3, 4],
        }
    )
    checked = raw.parse_table("stations", frame)
    assert checked.rows["name"].tolist() == ["Soho"]
    assert checked.rejected["line"].tolist() == [3, 4]


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(VigieError, match="no table 'ladders'"):
        raw.parse_table("ladders", incidents({}))


odd = st.one_of(
    st.text(max_size=12), st.sampled_from(["", " ", "0", "-1", "1e400", "nan", "NaT", "2017-02-30", "\x00"])
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from(sorted(ROW)), odd, max_size=4), min_size=1, max_size=6))
def test_whatever_stands_in_a_file_every_line_is_read_or_refused(rows: list[dict[str, str]]) -> None:
    checked = raw.parse_table("incidents", incidents(*rows))
    lines = [*checked.rows["line"], *checked.rejected["line"]]
    assert sorted(lines) == list(range(2, len(rows) + 2))
    assert checked.rows["call_time"].notna().all()
    assert checked.rows[["easting", "northing"]].notna().all().all()
    assert (checked.rejected["reason"] != "").all()
