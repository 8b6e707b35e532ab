"""Parses the official files of the London Fire Brigade; entry points for examples, lookup tables and context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import pandas as pd

from services.core.contract.use_case import Arrays, ParsedTable
from services.core.errors import VigieError
from services.core.weather.meteostat import parse_weather, weather_arrays
from services.use_cases.fire_response.brigade import LONDON, Brigade
from services.use_cases.fire_response.examples import calendar_arrays, incident_examples, label_examples, station_arrays
from services.use_cases.fire_response.request import IncidentGroup, PropertyCategory

MAX_ATTENDANCE_SECONDS = 7_200.0
_DATES = ("%Y-%m-%d", "%d-%b-%y", "%d/%m/%Y", "%d %b %Y", "%Y-%m-%d %H:%M:%S", "%d-%b-%Y")
_MOMENTS = ("%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%d/%m/%Y %H:%M")


def parse_incidents(frame: pd.DataFrame, brigade: Brigade = LONDON) -> ParsedTable:
    """Parse incidents: incident_id, call_time (UTC), the request's fields as far as they are known, borough, service.

    Also attendance and station of the first and the second pump, pumps and minutes_out.
    """
    day = _parse_times(frame["DateOfCall"], _DATES)
    clock = pd.to_timedelta(_padded(frame["TimeOfCall"]), errors="coerce")
    local = (day.dt.normalize() + clock).dt.tz_localize(
        brigade.zone, ambiguous=_ambiguous_as_first(len(frame)), nonexistent="shift_forward"
    )
    rows = pd.DataFrame(
        {
            "line": frame["line"].astype("int64"),
            "incident_id": _text_column(frame, "IncidentNumber"),
            "call_time": local.dt.tz_convert("UTC"),
            "easting": _place(frame, "Easting_rounded", "Easting_m"),
            "northing": _place(frame, "Northing_rounded", "Northing_m"),
            "incident_group": _text_column(frame, "IncidentGroup"),
            "property_category": _text_column(frame, "PropertyCategory"),
            "property_type": _text_column(frame, "PropertyType"),
            "station_ground": _text_column(frame, "IncidentStationGround"),
            "borough": _text_column(frame, "IncGeo_BoroughName").str.upper(),
            "service": _text_column(frame, "FRS").replace("", brigade.own_service),
            "seconds_1": _number_column(frame, "FirstPumpArriving_AttendanceTime"),
            "station_1": _text_column(frame, "FirstPumpArriving_DeployedFromStation"),
            "seconds_2": _number_column(frame, "SecondPumpArriving_AttendanceTime"),
            "station_2": _text_column(frame, "SecondPumpArriving_DeployedFromStation"),
            "pumps": _number_column(frame, "NumPumpsAttending"),
            "minutes_out": _number_column(frame, "PumpMinutesRounded"),
        }
    )
    bad_seconds = [
        _not_a_number(frame, source, rows[name]) | (rows[name] < 0) | (rows[name] > MAX_ATTENDANCE_SECONDS)
        for name, source in (
            ("seconds_1", "FirstPumpArriving_AttendanceTime"),
            ("seconds_2", "SecondPumpArriving_AttendanceTime"),
        )
    ]
    return _split_rejected(
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


def parse_mobilisations(frame: pd.DataFrame) -> ParsedTable:
    """Parse mobilisations: mobilisation_id, incident_id, mobilised (UTC; the brigade writes GMT), pump_order, station.

    Also turnout_seconds, travel_seconds and attendance_seconds, their sum where it is missing.
    """
    rows = pd.DataFrame(
        {
            "line": frame["line"].astype("int64"),
            "mobilisation_id": _text_column(frame, "ResourceMobilisationId"),
            "incident_id": _text_column(frame, "IncidentNumber"),
            "mobilised": _parse_times(frame["DateAndTimeMobilised"], _MOMENTS).dt.tz_localize("UTC"),
            "pump_order": _number_column(frame, "PumpOrder"),
            "station": _text_column(frame, "DeployedFromStation_Name"),
            "turnout_seconds": _number_column(frame, "TurnoutTimeSeconds"),
            "travel_seconds": _number_column(frame, "TravelTimeSeconds"),
            "attendance_seconds": _number_column(frame, "AttendanceTimeSeconds"),
        }
    )
    missing = rows["attendance_seconds"].isna()
    rows.loc[missing, "attendance_seconds"] = rows["turnout_seconds"] + rows["travel_seconds"]
    return _split_rejected(
        rows,
        {
            "ResourceMobilisationId is empty": rows["mobilisation_id"] == "",
            "IncidentNumber is empty": rows["incident_id"] == "",
            "DateAndTimeMobilised is not a date and a time": rows["mobilised"].isna(),
            "PumpOrder is not a whole number from 1 on": ~(rows["pump_order"] >= 1) | (rows["pump_order"] % 1 > 0),
            "AttendanceTimeSeconds is not a number of seconds": (rows["attendance_seconds"] < 0)
            | (rows["attendance_seconds"] > MAX_ATTENDANCE_SECONDS),
        },
    )


def parse_stations(frame: pd.DataFrame) -> ParsedTable:
    """Rows: code, name, latitude and longitude in degrees."""
    rows = pd.DataFrame(
        {
            "line": frame["line"].astype("int64"),
            "code": _text_column(frame, "code"),
            "name": _text_column(frame, "name"),
            "latitude": _number_column(frame, "latitude"),
            "longitude": _number_column(frame, "longitude"),
        }
    )
    return _split_rejected(
        rows,
        {
            "code or name is empty": (rows["code"] == "") | (rows["name"] == ""),
            "latitude or longitude is not a place in Great Britain": ~(
                rows["latitude"].between(49.0, 61.0) & rows["longitude"].between(-9.0, 3.0)
            ),
        },
    )


def _split_rejected(rows: pd.DataFrame, refusals: dict[str, pd.Series]) -> ParsedTable:
    """Split into good and refused rows; the first reason that holds is given."""
    reason = pd.Series("", index=rows.index, dtype=object)
    for text, refused in refusals.items():
        reason[refused & (reason == "")] = text
    return ParsedTable.split(rows, reason)


def _text_column(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of text without blanks around it; an absent column is empty."""
    if name not in frame:
        return pd.Series("", index=frame.index, dtype=str)
    return frame[name].astype(str).str.strip()


def _number_column(frame: pd.DataFrame, name: str) -> pd.Series:
    return pd.to_numeric(_text_column(frame, name), errors="coerce").astype("float64")


def _not_a_number(frame: pd.DataFrame, name: str, numbers: pd.Series) -> pd.Series:
    return (_text_column(frame, name) != "") & numbers.isna()


def _place(frame: pd.DataFrame, rounded: str, exact: str) -> pd.Series:
    """The rounded coordinate, which is there for dwellings too, or else the exact one."""
    near = _number_column(frame, rounded)
    return near.where(near > 0, _number_column(frame, exact))


def _padded(clock: pd.Series) -> pd.Series:
    """``7:05`` and ``07:05:12`` alike as ``hh:mm:ss``."""
    text = clock.astype(str).str.strip()
    return text.where(text.str.count(":") != 1, text + ":00")


def _parse_times(text: pd.Series, formats: tuple[str, ...]) -> pd.Series:
    """Naive timestamps, each by the first of the formats that fits."""
    text = text.astype(str).str.strip()
    found = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
    for form in formats:
        open_rows = found.isna() & (text != "")
        if not open_rows.any():
            break
        found[open_rows] = pd.to_datetime(text[open_rows], format=form, errors="coerce").astype("datetime64[us]")
    return found


def _ambiguous_as_first(n: int) -> list[bool]:
    """Of an hour that happens twice the first is meant: daylight saving is still on."""
    return [True] * n


_READERS = {
    "incidents": parse_incidents,
    "mobilisations": parse_mobilisations,
    "stations": parse_stations,
    "weather": parse_weather,
}


def parse_table(table: str, frame: pd.DataFrame) -> ParsedTable:
    """See ``RawData.parse_table``.

    Raises:
        VigieError: the use case has no such table.
    """
    if table not in _READERS:
        raise VigieError(f"fire_response has no table {table!r}.", expected="one of " + ", ".join(_READERS))
    return _READERS[table](frame)


def build_examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Build one example per arrived pump, and one for an incident that no pump is known to have reached."""
    return incident_examples(tables["incidents"], tables.get("mobilisations"), LONDON)


def build_label_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to reported calls the columns of examples that follow from their fields."""
    return label_examples(rows, LONDON)


def lookup_tables(tables: Mapping[str, pd.DataFrame]) -> Arrays:
    """Build the lookup tables of stations and holidays: arrays (n,) in metres and days since 1970, see ``examples``."""
    incidents = tables["incidents"]
    years = incidents["call_time"].dt.year
    first, last = int(years.min()), int(years.max())
    return {**station_arrays(incidents, tables.get("stations"), LONDON), **calendar_arrays(first, last + 5, LONDON)}


def training_context(tables: Mapping[str, pd.DataFrame]) -> Arrays:
    """Hourly weather of the training period: ``weather_time`` (n,), seconds since 1970 UTC, and (n,) per quantity.

    Float64; empty where there is no file of it.
    """
    weather = tables.get("weather")
    return {} if weather is None or weather.empty else weather_arrays(weather)
