"""Columns of the official files of the London Fire Brigade and how their values are read."""

from __future__ import annotations

from typing import get_args

from services.core.contract.tables import Column
from services.use_cases.fire_response.request import IncidentGroup, PropertyCategory

MAX_ATTENDANCE_SECONDS = 7_200.0
_DATE_IN_NUMBER = r"-(?P<day>[0-9]{2})(?P<month>[0-9]{2})[0-9]{4}\s*$"
"""Since 2017 the number of an incident ends with its date: ``000101-01012023``."""


def _seconds(name: str, source: str) -> Column:
    return Column(
        name, source, "number", strict=True, low=0, high=MAX_ATTENDANCE_SECONDS, expected="a number of seconds"
    )


def _word(name: str, source: str, words: tuple[str, ...]) -> Column:
    return Column(
        name, source, "code", needed=True, expected="one of the known words",
        meaning={word.casefold(): word for word in words},
    )  # fmt: skip


INCIDENTS = (
    Column("incident_id", "IncidentNumber", "identifier", needed=True),
    Column(
        "day", "DateOfCall", "date", needed=True,
        said_by={"IncidentNumber": _DATE_IN_NUMBER, "CalYear": r"^\s*(?P<year>[0-9]{4})"},
    ),
    Column(
        "clock", "TimeOfCall", "clock", needed=True,
        said_by={"HourOfCall": r"^\s*(?P<hour>[0-9]{1,2})(?:[.,]0*)?\s*$"},
    ),
    Column("easting", "Easting_rounded", "number"),
    Column("northing", "Northing_rounded", "number"),
    Column("exact_easting", "Easting_m", "number"),
    Column("exact_northing", "Northing_m", "number"),
    _word("incident_group", "IncidentGroup", get_args(IncidentGroup)),
    _word("property_category", "PropertyCategory", get_args(PropertyCategory)),
    Column("property_type", "PropertyType"),
    Column("station_ground", "IncidentStationGround"),
    Column("borough", "IncGeo_BoroughName"),
    Column("service", "FRS"),
    _seconds("seconds_1", "FirstPumpArriving_AttendanceTime"),
    Column("station_1", "FirstPumpArriving_DeployedFromStation"),
    _seconds("seconds_2", "SecondPumpArriving_AttendanceTime"),
    Column("station_2", "SecondPumpArriving_DeployedFromStation"),
    Column(
        "pumps", "NumPumpsAttending", "number", strict=True, low=0, whole=True, expected="a whole number of pumps"
    ),
    Column("minutes_out", "PumpMinutesRounded", "number", low=0),
)  # fmt: skip

MOBILISATIONS = (
    Column("mobilisation_id", "ResourceMobilisationId", "identifier", needed=True),
    Column("incident_id", "IncidentNumber", "identifier", needed=True),
    Column("mobilised", "DateAndTimeMobilised", "moment", needed=True, said_by={"IncidentNumber": _DATE_IN_NUMBER}),
    Column(
        "pump_order", "PumpOrder", "number", needed=True, low=1, whole=True, expected="a whole number from 1 on"
    ),
    Column("station", "DeployedFromStation_Name"),
    Column("turnout_seconds", "TurnoutTimeSeconds", "number"),
    Column("travel_seconds", "TravelTimeSeconds", "number"),
    _seconds("attendance_seconds", "AttendanceTimeSeconds"),
)  # fmt: skip

STATIONS = (
    Column("code", kind="identifier", needed=True),
    Column("name", needed=True),
    Column(
        "latitude", kind="number", needed=True, low=49, high=61, expected="a latitude in Great Britain, in degrees"
    ),
    Column(
        "longitude", kind="number", needed=True, low=-9, high=3, expected="a longitude in Great Britain, in degrees"
    ),
)  # fmt: skip
