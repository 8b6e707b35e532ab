"""Makes one example of each station's day, and the context of all of them, from the tables that ``reading`` reads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from services.core.errors import VigieError
from services.core.usecases.contract import Arrays, Checked
from services.core.usecases.rain_tomorrow import history, reading
from services.core.usecases.rain_tomorrow.history import History
from services.core.usecases.rain_tomorrow.observations import EAST, NORTH, NUMBERS, QUANTITIES, RAINY_MM, WINDS
from services.core.usecases.rain_tomorrow.stations import NAMES, REGIONS

_READERS = {"observations": reading.read_long, "monthly": reading.read_monthly}
_SEASONS = {12: "summer", 1: "summer", 2: "summer", 3: "autumn", 4: "autumn", 5: "autumn"} | {
    6: "winter", 7: "winter", 8: "winter", 9: "spring", 10: "spring", 11: "spring"
}  # fmt: skip


def canonical(table: str, frame: pd.DataFrame) -> Checked:
    """See ``RawModule.canonical``."""
    return _READERS[table](frame)


def examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per station and day, in the order of time, the days whose tomorrow is not known yet among them.

    ``rain`` is 1 where more than 1 mm fell to 9 am of the next day: what the file says, else what the next day's
    own row says as soon as it is there. NaN while neither is."""
    rows = _rows(tables)
    tomorrow = rows[["station", "date", "rainfall"]].assign(date=rows["date"] - pd.Timedelta(days=1))
    fell = rows[["station", "date"]].merge(tomorrow, on=["station", "date"], how="left")["rainfall"]
    later = (fell > RAINY_MM).astype("float64").where(fell.notna())
    rows["rain"] = rows.pop("rained").fillna(later)
    rows["date"] = rows["date"].dt.tz_localize("UTC")
    return outcome_examples(rows)


def outcome_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """What follows from station and date. A reported call belongs to its day, as all stations' rows of it do."""
    return rows.assign(
        event_time=rows["date"],
        day=rows["date"].dt.strftime("%Y-%m-%d").astype("str"),
        region=rows["station"].map(REGIONS).fillna("elsewhere").astype("str"),
        season=rows["date"].dt.month.map(_SEASONS).astype("str"),
    )


def reference(tables: Mapping[str, pd.DataFrame]) -> Arrays:
    """Nothing: stations and their places stand in the code."""
    return {}


def context(tables: Mapping[str, pd.DataFrame]) -> Arrays:
    """All stations' observations of all days: ``first_day`` and ``observations``."""
    rows = _rows(tables)
    day = rows["date"].to_numpy(dtype="datetime64[D]").astype(np.int64)
    first = int(day.min())
    made = np.full((len(QUANTITIES), int(day.max()) - first + 1, len(NAMES)), np.nan, dtype=np.float32)
    station = rows["station"].map({name: number for number, name in enumerate(NAMES)}).to_numpy(dtype=np.int64)
    values = [rows[name].to_numpy(dtype=np.float64) for name in NUMBERS]
    for wind in WINDS:
        values += [rows[wind].map(part).to_numpy(dtype=np.float64) for part in (NORTH, EAST)]
    made[:, day - first, station] = np.stack(values)
    return history.as_context(History(first, made))


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
