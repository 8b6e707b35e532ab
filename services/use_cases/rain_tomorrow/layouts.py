"""Columns of the Bureau's two file layouts and how their values are read."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.contract.tables import Column
from services.use_cases.rain_tomorrow.request import RainRequest
from services.use_cases.rain_tomorrow.stations import DIRECTIONS, NUMBER_FIELDS, WIND_FIELDS

LONG_COLUMNS: Mapping[str, str] = {
    "min_temperature": "MinTemp",
    "max_temperature": "MaxTemp",
    "rainfall": "Rainfall",
    "evaporation": "Evaporation",
    "sunshine": "Sunshine",
    "gust_direction": "WindGustDir",
    "gust_speed": "WindGustSpeed",
    "wind_direction_9am": "WindDir9am",
    "wind_direction_3pm": "WindDir3pm",
    "wind_speed_9am": "WindSpeed9am",
    "wind_speed_3pm": "WindSpeed3pm",
    "humidity_9am": "Humidity9am",
    "humidity_3pm": "Humidity3pm",
    "pressure_9am": "Pressure9am",
    "pressure_3pm": "Pressure3pm",
    "cloud_9am": "Cloud9am",
    "cloud_3pm": "Cloud3pm",
    "temperature_9am": "Temp9am",
    "temperature_3pm": "Temp3pm",
}
MONTHLY_COLUMNS: Mapping[str, str] = {
    "min_temperature": "Minimum temperature (°C)",
    "max_temperature": "Maximum temperature (°C)",
    "rainfall": "Rainfall (mm)",
    "evaporation": "Evaporation (mm)",
    "sunshine": "Sunshine (hours)",
    "gust_direction": "Direction of maximum wind gust",
    "gust_speed": "Speed of maximum wind gust (km/h)",
    "wind_direction_9am": "9am wind direction",
    "wind_direction_3pm": "3pm wind direction",
    "wind_speed_9am": "9am wind speed (km/h)",
    "wind_speed_3pm": "3pm wind speed (km/h)",
    "humidity_9am": "9am relative humidity (%)",
    "humidity_3pm": "3pm relative humidity (%)",
    "pressure_9am": "9am MSL pressure (hPa)",
    "pressure_3pm": "3pm MSL pressure (hPa)",
    "cloud_9am": "9am cloud amount (oktas)",
    "cloud_3pm": "3pm cloud amount (oktas)",
    "temperature_9am": "9am Temperature (°C)",
    "temperature_3pm": "3pm Temperature (°C)",
}
"""Request field -> column of the layout. A column that a file lacks is missing throughout."""


def _bounds(field: str) -> tuple[float, float]:
    known = {type(item).__name__: item for item in RainRequest.model_fields[field].metadata}
    return float(known["Ge"].ge), float(known["Le"].le)


def _columns(names: Mapping[str, str]) -> tuple[Column, ...]:
    """The date and the request's fields; ``Calm`` is a wind of 0 km/h."""
    numbers = []
    for field in NUMBER_FIELDS:
        low, high = _bounds(field)
        expected = f"a number from {low:g} to {high:g}"
        numbers.append(
            Column(field, names[field], "number", low=low, high=high, replaced={"calm": "0"}, expected=expected)
        )
    meaning = {direction.casefold(): direction for direction in DIRECTIONS}
    winds = [
        Column(field, names[field], "code", missing=("calm",), meaning=meaning, expected="a direction of 16")
        for field in WIND_FIELDS
    ]
    date = Column("date", "Date", "date", needed=True, expected="a date such as 2015-11-03")
    return (date, *numbers, *winds)


LONG = (Column("station", "Location", needed=True), *_columns(LONG_COLUMNS), Column("rained", "RainTomorrow", "truth"))
MONTHLY = _columns(MONTHLY_COLUMNS)
