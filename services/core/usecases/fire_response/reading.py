"""From the strings of an official file to checked rows with types.

What is refused, and why, is said row by row; what is merely missing stays missing.
"""

from __future__ import annotations

from typing import get_args

import pandas as pd

from services.core.usecases.contract import Checked
from services.core.usecases.fire_response.brigade import LONDON, Brigade
from services.core.usecases.fire_response.request import IncidentGroup, PropertyCategory

LONGEST_ATTENDANCE = 7_200.0
_DATES = ("%Y-%m-%d", "%d-%b-%y", "%d/%m/%Y", "%d %b %Y", "%Y-%m-%d %H:%M:%S", "%d-%b-%Y")
_MOMENTS = ("%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%d/%m/%Y %H:%M")


def read_incidents(frame: pd.DataFrame, brigade: Brigade = LONDON) -> Checked:
    """Rows: incident_id, call_time (UTC), the request's fields as far as they are known, borough,
    service, attendance and station of the first and the second pump, pumps, minutes_out."""
    day = _moments(frame["DateOfCall"], _DATES)
    clock = pd.to_timedelta(_padded(frame["TimeOfCall"]), errors="coerce")
    local = (day.dt.normalize() + clock).dt.tz_localize(
        brigade.zone, ambiguous=_first_of_two(len(frame)), nonexistent="shift_forward"
    )
    rows = pd.DataFrame(
        {
            "line": frame["line"].astype("int64"),
            "incident_id": _words(frame, "IncidentNumber"),
            "call_time": local.dt.tz_convert("UTC"),
            "easting": _place(frame, "Easting_rounded", "Easting_m"),
            "northing": _place(frame, "Northing_rounded", "Northing_m"),
            "incident_group": _words(frame, "IncidentGroup"),
            "property_category": _words(frame, "PropertyCategory"),
            "property_type": _words(frame, "PropertyType"),
            "station_ground": _words(frame, "IncidentStationGround"),
            "borough": _words(frame, "IncGeo_BoroughName").str.upper(),
            "service": _words(frame, "FRS").replace("", brigade.own_service),
            "seconds_1": _numbers(frame, "FirstPumpArriving_AttendanceTime"),
            "station_1": _words(frame, "FirstPumpArriving_DeployedFromStation"),
            "seconds_2": _numbers(frame, "SecondPumpArriving_AttendanceTime"),
            "station_2": _words(frame, "SecondPumpArriving_DeployedFromStation"),
            "pumps": _numbers(frame, "NumPumpsAttending"),
            "minutes_out": _numbers(frame, "PumpMinutesRounded"),
        }
    )
    bad_seconds = [
        _not_a_number(frame, source, rows[name]) | (rows[name] < 0) | (rows[name] > LONGEST_ATTENDANCE)
        for name, source in (
            ("seconds_1", "FirstPumpArriving_AttendanceTime"),
            ("seconds_2", "SecondPumpArriving_AttendanceTime"),
        )
    ]
    return _checked(
        rows,
        {
            "IncidentNumber is empty": rows["incident_id"] == "",
            "DateOfCall or TimeOfCall is not a date and a time": rows["call_time"].isna(),
            "no easting and northing inside the brigade's bounds": ~(
                rows["easting"].between(*brigade.easting) & rows["northing"].between(*brigade.northing)
            ),
            "IncidentGroup is none of the known words": ~rows["incident_group"].isin(get_args(IncidentGroup)),
            "PropertyCategory is none of the known words": ~rows["property_category"].isin(get_args(PropertyCategory)),
            "FirstPumpArriving_AttendanceTime is not a number of seconds": bad_seconds[0],
            "SecondPumpArriving_AttendanceTime is not a number of seconds": bad_seconds[1],
            "NumPumpsAttending is not a whole number of pumps": _not_a_number(frame, "NumPumpsAttending", rows["pumps"])
            | (rows["pumps"] < 0)
            | (rows["pumps"] % 1 > 0),
        },
    )


def read_mobilisations(frame: pd.DataFrame) -> Checked:
    """Rows: mobilisation_id, incident_id, mobilised (UTC; the brigade writes GMT), pump_order, station,
    turnout_seconds, travel_seconds and attendance_seconds, their sum where it was left out."""
    rows = pd.DataFrame(
        {
            "line": frame["line"].astype("int64"),
            "mobilisation_id": _words(frame, "ResourceMobilisationId"),
            "incident_id": _words(frame, "IncidentNumber"),
            "mobilised": _moments(frame["DateAndTimeMobilised"], _MOMENTS).dt.tz_localize("UTC"),
            "pump_order": _numbers(frame, "PumpOrder"),
            "station": _words(frame, "DeployedFromStation_Name"),
            "turnout_seconds": _numbers(frame, "TurnoutTimeSeconds"),
            "travel_seconds": _numbers(frame, "TravelTimeSeconds"),
            "attendance_seconds": _numbers(frame, "AttendanceTimeSeconds"),
        }
    )
    missing = rows["attendance_seconds"].isna()
    rows.loc[missing, "attendance_seconds"] = rows["turnout_seconds"] + rows["travel_seconds"]
    return _checked(
        rows,
        {
            "ResourceMobilisationId is empty": rows["mobilisation_id"] == "",
            "IncidentNumber is empty": rows["incident_id"] == "",
            "DateAndTimeMobilised is not a date and a time": rows["mobilised"].isna(),
            "PumpOrder is not a whole number from 1 on": ~(rows["pump_order"] >= 1) | (rows["pump_order"] % 1 > 0),
            "AttendanceTimeSeconds is not a number of seconds": (rows["attendance_seconds"] < 0)
            | (rows["attendance_seconds"] > LONGEST_ATTENDANCE),
        },
    )


def read_stations(frame: pd.DataFrame) -> Checked:
    """Rows: code, name, latitude and longitude in degrees."""
    rows = pd.DataFrame(
        {
            "line": frame["line"].astype("int64"),
            "code": _words(frame, "code"),
            "name": _words(frame, "name"),
            "latitude": _numbers(frame, "latitude"),
            "longitude": _numbers(frame, "longitude"),
        }
    )
    return _checked(
        rows,
        {
            "code or name is empty": (rows["code"] == "") | (rows["name"] == ""),
            "latitude or longitude is not a place in Great Britain": ~(
                rows["latitude"].between(49.0, 61.0) & rows["longitude"].between(-9.0, 3.0)
            ),
        },
    )


def _checked(rows: pd.DataFrame, refusals: dict[str, pd.Series]) -> Checked:
    """Split into good and refused rows; the first reason that holds is given."""
    reason = pd.Series("", index=rows.index, dtype=object)
    for text, refused in refusals.items():
        reason[refused & (reason == "")] = text
    bad = reason != ""
    faults = pd.DataFrame({"line": rows.loc[bad, "line"], "reason": reason[bad].astype(str)})
    return Checked(rows[~bad].reset_index(drop=True), faults.reset_index(drop=True))


def _words(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of text without blanks around it; an absent column is empty."""
    if name not in frame:
        return pd.Series("", index=frame.index, dtype=str)
    return frame[name].astype(str).str.strip()


def _numbers(frame: pd.DataFrame, name: str) -> pd.Series:
    return pd.to_numeric(_words(frame, name), errors="coerce").astype("float64")


def _not_a_number(frame: pd.DataFrame, name: str, numbers: pd.Series) -> pd.Series:
    return (_words(frame, name) != "") & numbers.isna()


def _place(frame: pd.DataFrame, rounded: str, exact: str) -> pd.Series:
    """The rounded coordinate, which is there for dwellings too, or else the exact one."""
    near = _numbers(frame, rounded)
    return near.where(near > 0, _numbers(frame, exact))


def _padded(clock: pd.Series) -> pd.Series:
    """``7:05`` and ``07:05:12`` alike as ``hh:mm:ss``."""
    text = clock.astype(str).str.strip()
    return text.where(text.str.count(":") != 1, text + ":00")


def _moments(text: pd.Series, formats: tuple[str, ...]) -> pd.Series:
    """Naive timestamps, each by the first of the formats that fits."""
    text = text.astype(str).str.strip()
    found = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
    for form in formats:
        open_rows = found.isna() & (text != "")
        if not open_rows.any():
            break
        found[open_rows] = pd.to_datetime(text[open_rows], format=form, errors="coerce").astype("datetime64[us]")
    return found


def _first_of_two(n: int) -> list[bool]:
    """Of an hour that happens twice the first is meant: daylight saving is still on."""
    return [True] * n
