"""Reads the two layouts of the Bureau's daily observations: the long table of all stations (``weatherAUS.csv``)
and the monthly file of one station.

A row is refused when its station or date cannot be told. A number that cannot be read or cannot be is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from services.core.usecases.contract import Checked
from services.core.usecases.rain_tomorrow.observations import DIRECTIONS, NUMBERS, WINDS
from services.core.usecases.rain_tomorrow.request import RainRequest
from services.core.usecases.rain_tomorrow.stations import station_called

LONG: Mapping[str, str] = {
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
MONTHLY: Mapping[str, str] = {
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

_TITLE = re.compile(r"Daily Weather Observations for ([^,\"]+)")


def read_long(frame: pd.DataFrame) -> Checked:
    station = frame["Location"].str.strip().map(_stations(frame["Location"]))
    rained = frame["RainTomorrow"].str.strip().map({"Yes": 1.0, "No": 0.0}) if "RainTomorrow" in frame else None
    return _checked(frame, LONG, station, written=frame["Location"].str.strip(), rained=rained)


def read_monthly(frame: pd.DataFrame) -> Checked:
    """The station stands in the title above the header."""
    titles = frame["above"].str.extract(_TITLE.pattern, expand=False).fillna("")
    return _checked(frame, MONTHLY, titles.map(_stations(titles)), written=titles, rained=None)


def _stations(names: pd.Series) -> dict[str, str]:
    return {name.strip(): station_called(name) for name in names.unique()}


def _checked(
    frame: pd.DataFrame,
    layout: Mapping[str, str],
    station: pd.Series,
    *,
    written: pd.Series,
    rained: pd.Series | None,
) -> Checked:
    day = pd.to_datetime(frame["Date"].str.strip(), format="%Y-%m-%d", errors="coerce").astype("datetime64[us]")
    rows = pd.DataFrame({"line": frame["line"], "station": station.fillna("").astype("str"), "date": day})
    for field in NUMBERS:
        rows[field] = _number(frame, layout[field], field)
    for field in WINDS:
        words = frame[layout[field]].str.strip().str.upper() if layout[field] in frame else pd.Series("", frame.index)
        rows[field] = words.where(words.isin(DIRECTIONS), "").astype("str")
    rows["rained"] = float("nan") if rained is None else rained.astype("float64")
    reason = pd.Series("", index=frame.index, dtype=object)
    reason = reason.mask(day.isna(), "Date is not a date such as 2015-11-03")
    reason = reason.mask(rows["station"] == "", "no known station is called " + written.astype(object))
    bad = (reason != "").to_numpy(dtype=bool)
    faults = pd.DataFrame({"line": rows.loc[bad, "line"], "reason": reason[bad]})
    return Checked(rows[~bad].reset_index(drop=True), faults.reset_index(drop=True))


def _number(frame: pd.DataFrame, column: str, field: str) -> pd.Series:
    """The column as numbers within the request's bounds; ``Calm`` is a wind of 0 km/h."""
    if column not in frame:
        return pd.Series(float("nan"), index=frame.index)
    written = frame[column].str.strip().replace("Calm", "0")
    low, high = _BOUNDS[field]
    number = pd.to_numeric(written, errors="coerce").astype("float64")
    return number.where(number.between(low, high))


def _bounds(field: str) -> tuple[float, float]:
    known = {type(item).__name__: item for item in RainRequest.model_fields[field].metadata}
    return float(known["Ge"].ge), float(known["Le"].le)


_BOUNDS = {field: _bounds(field) for field in NUMBERS}
