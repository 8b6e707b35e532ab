"""Hourly weather in Meteostat's export layout (time in UTC, temp °C, prcp mm, wspd km/h)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from services.core.contract.use_case import Arrays, Column, ParsedTable
from services.core.raw_files.columns import read_columns
from services.core.weather.hourly import sort_hours

_QUANTITIES = {"temperature": "temp", "precipitation": "prcp", "wind": "wspd"}
COLUMNS = (
    Column("time", kind="moment", needed=True),
    *(Column(name, source, "number") for name, source in _QUANTITIES.items()),
)


def parse_weather(frame: pd.DataFrame) -> ParsedTable:
    """Rows: time (UTC), temperature, precipitation and wind, each of which may be missing."""
    typed = read_columns(COLUMNS, frame)
    typed.rows["time"] = typed.rows["time"].dt.tz_localize("UTC")
    return typed.parsed(typed.rows)


def weather_arrays(rows: pd.DataFrame) -> Arrays:
    """``weather_time`` (n,) seconds since 1970 UTC, sorted, and one array (n,) per quantity."""
    seconds = rows["time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    quantities = (rows[name].to_numpy(dtype=np.float64) for name in _QUANTITIES)
    return sort_hours(seconds, *quantities).arrays()
