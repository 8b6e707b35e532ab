"""Parses the official files of the London Fire Brigade; entry points for examples, lookup tables and context."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from services.core.contract.use_case import Arrays, ParsedTable
from services.core.errors import VigieError
from services.core.raw_files.columns import read_columns
from services.core.weather.meteostat import parse_weather, weather_arrays
from services.use_cases.fire_response import layouts
from services.use_cases.fire_response.brigade import LONDON, Brigade
from services.use_cases.fire_response.examples import calendar_arrays, incident_examples, label_examples, station_arrays

_NOT_INSIDE = "no easting and northing inside the brigade's bounds"


def parse_incidents(frame: pd.DataFrame, brigade: Brigade = LONDON) -> ParsedTable:
    """Parse incidents: incident_id, call_time (UTC), the request's fields as far as they are known, borough, service.

    Also attendance and station of the first and the second pump, pumps and minutes_out.
    """
    typed = read_columns(layouts.INCIDENTS, frame)
    rows = typed.rows
    local = (rows.pop("day") + pd.to_timedelta(rows.pop("clock"), unit="s")).dt.tz_localize(
        brigade.zone, ambiguous=_ambiguous_as_first(len(frame)), nonexistent="shift_forward"
    )
    rows.insert(2, "call_time", local.astype("datetime64[us, " + brigade.zone + "]").dt.tz_convert("UTC"))
    for name in ("easting", "northing"):  # the rounded place is there for dwellings too
        rows[name] = rows[name].where(rows[name] > 0, rows.pop(f"exact_{name}"))
    rows["borough"] = rows["borough"].str.upper()
    rows["service"] = rows["service"].replace("", brigade.own_service)
    inside = rows["easting"].between(*brigade.easting) & rows["northing"].between(*brigade.northing)
    place = rows["easting"].astype("str") + ", " + rows["northing"].astype("str")
    typed.refuse(~inside, _NOT_INSIDE, "Easting_rounded", place)
    return typed.parsed(rows)


def parse_mobilisations(frame: pd.DataFrame) -> ParsedTable:
    """Parse mobilisations: mobilisation_id, incident_id, mobilised (UTC; the brigade writes GMT), pump_order, station.

    Also turnout_seconds, travel_seconds and attendance_seconds, their sum where it is missing.
    """
    typed = read_columns(layouts.MOBILISATIONS, frame)
    rows = typed.rows
    rows["mobilised"] = rows["mobilised"].dt.tz_localize("UTC")
    total = rows["turnout_seconds"] + rows["travel_seconds"]
    rows["attendance_seconds"] = rows["attendance_seconds"].fillna(total)
    too_long = (rows["attendance_seconds"] < 0) | (rows["attendance_seconds"] > layouts.MAX_ATTENDANCE_SECONDS)
    typed.refuse(too_long, "turnout and travel time are not a number of seconds", "TravelTimeSeconds", total)
    return typed.parsed(rows)


def parse_stations(frame: pd.DataFrame) -> ParsedTable:
    """Rows: code, name, latitude and longitude in degrees."""
    typed = read_columns(layouts.STATIONS, frame)
    return typed.parsed(typed.rows)


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
