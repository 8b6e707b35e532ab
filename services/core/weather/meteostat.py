"""Hourly weather in Meteostat's export layout (time in UTC, temp °C, prcp mm, wspd km/h)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from services.core.contract.use_case import Arrays, ParsedTable
from services.core.weather.hourly import sort_hours

_COLUMNS = {"temperature": "temp", "precipitation": "prcp", "wind": "wspd"}


def parse_weather(frame: pd.DataFrame) -> ParsedTable:
    """Rows: time (UTC), temperature, precipitation and wind, each of which may be missing."""
    rows = pd.DataFrame(
        {
            "line": frame["line"].astype("int64"),
            "time": pd.to_datetime(frame["time"].astype(str).str.strip(), errors="coerce", utc=True).astype(
                "datetime64[us, UTC]"
            ),
            **{name: pd.to_numeric(frame[source], errors="coerce") for name, source in _COLUMNS.items()},
        }
    )
    bad = rows["time"].isna()
    faults = pd.DataFrame({"line": rows.loc[bad, "line"], "reason": "time is not a date and a time"})
    return ParsedTable(rows[~bad].reset_index(drop=True), faults.reset_index(drop=True))


def weather_arrays(rows: pd.DataFrame) -> Arrays:
    """``weather_time`` (n,) seconds since 1970 UTC, sorted, and one array (n,) per quantity."""
    seconds = rows["time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    quantities = (rows[name].to_numpy(dtype=np.float64) for name in _COLUMNS)
    return sort_hours(seconds, *quantities).arrays()
