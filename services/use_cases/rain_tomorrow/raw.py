"""Parses the Bureau's two file layouts, builds one example per station and day, and the context."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from services.core.contract.use_case import Arrays, ForeignFileError, ParsedTable
from services.core.errors import VigieError
from services.core.raw_files.columns import read_columns
from services.use_cases.rain_tomorrow import history, layouts
from services.use_cases.rain_tomorrow.history import History
from services.use_cases.rain_tomorrow.stations import (
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

_TITLE = re.compile(r"Daily Weather Observations for ([^,\"]+)")


def parse_long(frame: pd.DataFrame) -> ParsedTable:
    """Parse the long table (``weatherAUS.csv``): one row per station and day."""
    typed = read_columns(layouts.LONG, frame)
    written = typed.rows["station"]
    typed.rows["station"] = written.map(_station_names(written)).astype("str")
    typed.refuse(typed.rows["station"] == "", "no known station has this name", "Location", written)
    return typed.parsed(typed.rows)


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
    typed = read_columns(layouts.MONTHLY, frame)
    typed.rows.insert(1, "station", titles.map(names).astype("str"))
    typed.rows["rained"] = float("nan")
    typed.refuse(typed.rows["station"] == "", "no model knows the station of the title", "", titles)
    return typed.parsed(typed.rows)


def _station_names(names: pd.Series) -> dict[str, str]:
    return {name.strip(): station_by_title(name) for name in names.unique()}


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
