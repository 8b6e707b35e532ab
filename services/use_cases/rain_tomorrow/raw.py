"""Parses the Bureau's two file layouts, builds one example per station and day, and the context."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from services.core.contract.use_case import Arrays, ForeignFileError, ParsedTable
from services.core.errors import VigieError
from services.use_cases.rain_tomorrow import history
from services.use_cases.rain_tomorrow.history import History
from services.use_cases.rain_tomorrow.request import RainRequest
from services.use_cases.rain_tomorrow.stations import (
    DIRECTIONS,
    EAST,
    NORTH,
    NUMBER_FIELDS,
    QUANTITIES,
    RAINY_MM,
    REGIONS,
    STATION_NAMES,
    WIND_FIELDS,
    station_by_title,
)

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

_TITLE = re.compile(r"Daily Weather Observations for ([^,\"]+)")


def parse_long(frame: pd.DataFrame) -> ParsedTable:
    """Parse the long table (``weatherAUS.csv``): one row per station and day."""
    station = frame["Location"].str.strip().map(_station_names(frame["Location"]))
    rained = frame["RainTomorrow"].str.strip().map({"Yes": 1.0, "No": 0.0}) if "RainTomorrow" in frame else None
    return _split_rejected(frame, LONG_COLUMNS, station, written=frame["Location"].str.strip(), rained=rained)


def parse_monthly(frame: pd.DataFrame) -> ParsedTable:
    """Parse a station's monthly file; its station stands in the title above the header.

    Raises:
        ForeignFileError: no model knows its station.
        VigieError: there is no title.
    """
    above = frame["above"] if "above" in frame else pd.Series("", index=frame.index)
    titles = above.str.extract(_TITLE.pattern, expand=False).fillna("")
    names = _station_names(titles)
    if "" in names:
        raise VigieError(
            "no line above the header says which station it is of.",
            expected='the title "Daily Weather Observations for Melbourne, Victoria for June 2023", as the Bureau '
            "writes it",
            action="Take the file as it came, with the lines above the header.",
        )
    if names and not any(names.values()):
        raise ForeignFileError(f"no model knows its station: {', '.join(names)}")
    return _split_rejected(frame, MONTHLY_COLUMNS, titles.map(names), written=titles, rained=None)


def _station_names(names: pd.Series) -> dict[str, str]:
    return {name.strip(): station_by_title(name) for name in names.unique()}


def _split_rejected(
    frame: pd.DataFrame,
    layout: Mapping[str, str],
    station: pd.Series,
    *,
    written: pd.Series,
    rained: pd.Series | None,
) -> ParsedTable:
    day = pd.to_datetime(frame["Date"].str.strip(), format="%Y-%m-%d", errors="coerce").astype("datetime64[us]")
    rows = pd.DataFrame({"line": frame["line"], "station": station.fillna("").astype("str"), "date": day})
    for field in NUMBER_FIELDS:
        rows[field] = _number(frame, layout[field], field)
    for field in WIND_FIELDS:
        words = frame[layout[field]].str.strip().str.upper() if layout[field] in frame else pd.Series("", frame.index)
        rows[field] = words.where(words.isin(DIRECTIONS), "").astype("str")
    rows["rained"] = float("nan") if rained is None else rained.astype("float64")
    reason = pd.Series("", index=frame.index, dtype=object)
    reason = reason.mask(day.isna(), "Date is not a date such as 2015-11-03")
    reason = reason.mask(rows["station"] == "", "no known station is called " + written.astype(object))
    return ParsedTable.split(rows, reason)


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


_BOUNDS = {field: _bounds(field) for field in NUMBER_FIELDS}


_READERS = {"observations": parse_long, "monthly": parse_monthly}
_SEASONS = {12: "summer", 1: "summer", 2: "summer", 3: "autumn", 4: "autumn", 5: "autumn"} | {
    6: "winter", 7: "winter", 8: "winter", 9: "spring", 10: "spring", 11: "spring"
}  # fmt: skip


def parse_table(table: str, frame: pd.DataFrame) -> ParsedTable:
    """Parse one of the two layouts, see ``RawData.parse_table``."""
    return _READERS[table](frame)


def build_examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Build one example per station and day, in the order of time, days without a known tomorrow among them.

    ``rain`` is 1 where more than 1 mm fell to 9 am of the next day: by the file's own column, else by the next day's
    own row as soon as it is there. NaN while neither is.
    """
    rows = _rows(tables)
    tomorrow = rows[["station", "date", "rainfall"]].assign(date=rows["date"] - pd.Timedelta(days=1))
    fell = rows[["station", "date"]].merge(tomorrow, on=["station", "date"], how="left")["rainfall"]
    later = (fell > RAINY_MM).astype("float64").where(fell.notna())
    rows["rain"] = rows.pop("rained").fillna(later)
    rows["date"] = rows["date"].dt.tz_localize("UTC")
    return build_label_examples(rows)


def build_label_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to reported calls the columns that follow from station and date.

    A reported call belongs to its day, as all stations' rows of it do.
    """
    return rows.assign(
        event_time=rows["date"],
        day=rows["date"].dt.strftime("%Y-%m-%d").astype("str"),
        region=rows["station"].map(REGIONS).fillna("elsewhere").astype("str"),
        season=rows["date"].dt.month.map(_SEASONS).astype("str"),
    )


def training_context(tables: Mapping[str, pd.DataFrame]) -> Arrays:
    """Past observations of all stations as context: ``first_day``, days since 1970, and ``observations`` (p, n, k).

    Of p quantities, n days and k stations: float32, in the units of the request fields, NaN where unknown.
    """
    rows = _rows(tables)
    day = rows["date"].to_numpy(dtype="datetime64[D]").astype(np.int64)
    first = int(day.min())
    made = np.full((len(QUANTITIES), int(day.max()) - first + 1, len(STATION_NAMES)), np.nan, dtype=np.float32)
    station = rows["station"].map({name: number for number, name in enumerate(STATION_NAMES)}).to_numpy(dtype=np.int64)
    values = [rows[name].to_numpy(dtype=np.float64) for name in NUMBER_FIELDS]
    for wind in WIND_FIELDS:
        values += [rows[wind].map(part).to_numpy(dtype=np.float64) for part in (NORTH, EAST)]
    made[:, day - first, station] = np.stack(values)
    return history.history_as_context(History(first, made))


def _rows(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Both tables together. The monthly files of the stations correct the long table.

    Raises:
        VigieError: neither is there.
    """
    found = [tables[name] for name in _READERS if name in tables]
    if not found or not sum(map(len, found)):
        raise VigieError(
            "There is no table of observations.",
            expected="weatherAUS.csv or the Bureau's monthly daily-observations files",
            action="Put one into the folder, or use --source simulator.",
        )
    rows = pd.concat(found, ignore_index=True).drop(columns="line", errors="ignore")
    if len(found) > 1:
        said = rows.groupby(["station", "date"])["rained"].transform("max")
        rows = rows.assign(rained=said)
    rows = rows.drop_duplicates(["station", "date"], keep="last")
    return rows.sort_values(["date", "station"], ignore_index=True)
