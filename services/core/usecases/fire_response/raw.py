"""Official files of the London Fire Brigade: what is read, checked and made of them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from services.core.errors import VigieError
from services.core.usecases.contract import Arrays, Checked
from services.core.usecases.fire_response.brigade import LONDON
from services.core.usecases.fire_response.calendar import calendar_arrays
from services.core.usecases.fire_response.examples import incident_examples, reported_examples
from services.core.usecases.fire_response.reading import read_incidents, read_mobilisations, read_stations
from services.core.usecases.fire_response.stations import station_arrays
from services.core.weather.meteostat import read_weather, weather_arrays

_READERS = {
    "incidents": read_incidents,
    "mobilisations": read_mobilisations,
    "stations": read_stations,
    "weather": read_weather,
}


def canonical(table: str, frame: pd.DataFrame) -> Checked:
    """See ``RawModule.canonical``.

    Raises:
        VigieError: the use case has no such table.
    """
    if table not in _READERS:
        raise VigieError(f"fire_response has no table {table!r}.", expected="one of " + ", ".join(_READERS))
    return _READERS[table](frame)


def examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per arrived pump, and one for an incident that no pump is known to have reached."""
    return incident_examples(tables["incidents"], tables.get("mobilisations"), LONDON)


def outcome_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """See ``RawModule``: the columns of reported calls that follow from their fields."""
    return reported_examples(rows, LONDON)


def reference(tables: Mapping[str, pd.DataFrame]) -> Arrays:
    """Stations with their places, and the bank and school holidays around the data's years."""
    incidents = tables["incidents"]
    years = incidents["call_time"].dt.year
    first, last = int(years.min()), int(years.max())
    return {**station_arrays(incidents, tables.get("stations"), LONDON), **calendar_arrays(first, last + 5, LONDON)}


def context(tables: Mapping[str, pd.DataFrame]) -> Arrays:
    """Hourly weather of the training period where a file of it was there."""
    weather = tables.get("weather")
    return {} if weather is None or weather.empty else weather_arrays(weather)
