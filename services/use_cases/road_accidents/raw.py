"""Parses the four BAAC tables and builds one example per accident."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from services.core.contract.use_case import ParsedTable
from services.use_cases.road_accidents import layouts
from services.use_cases.road_accidents.code_labels import (
    CODE_LABELS,
    KIND_OF_CODE,
    OBSTACLES_BY_HARDNESS,
    OTHER_VEHICLES,
    VEHICLE_KINDS,
    VEHICLE_PRIORITY,
)
from services.use_cases.road_accidents.geography import FRANCE

_ID_FAULT = "Num_Acc is not a number of 12 digits"


def parse_table(table: str, frame: pd.DataFrame) -> ParsedTable:
    """Canonical rows of one of the tables ``caracteristiques``, ``lieux``, ``vehicules``, ``usagers``."""
    rows, reason = _READERS[table](frame)
    reason = reason.mask(rows["accident"] == "", _ID_FAULT)
    rows.insert(0, "line", frame["line"].to_numpy())
    return ParsedTable.split(rows, reason)


def _caracteristiques(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    year = layouts.years(frame)
    old = (year < layouts.FIRST_YEAR_OF_NEW_LAYOUT).to_numpy(dtype=bool)
    date = pd.to_datetime(
        pd.DataFrame({"year": year, "month": layouts.number(frame["mois"]), "day": layouts.number(frame["jour"])}),
        errors="coerce",
    )
    minutes = layouts.minutes_of_day(frame, old)
    department = layouts.departments(frame, old, FRANCE)
    latitude, longitude = layouts.coordinates(frame, old)
    rows = pd.DataFrame(
        {
            "accident": layouts.accident_id(frame),
            "local_time": (date + pd.to_timedelta(minutes, unit="min")).astype("datetime64[us]"),
            "department": department,
            "commune": layouts.communes(frame, old, department),
            "road": layouts.roads(frame, "adr"),
            "latitude": latitude,
            "longitude": longitude,
            "urban": layouts.code(frame, "agg").map({1.0: 0.0, 2.0: 1.0}),
            "light": layouts.words(frame, "lum", CODE_LABELS["lum"]),
            "weather": layouts.words(frame, "atm", CODE_LABELS["atm"]),
            "intersection": layouts.words(frame, "int", CODE_LABELS["int"]),
            "collision": layouts.words(frame, "col", CODE_LABELS["col"]),
        }
    )
    reason = pd.Series("", index=frame.index, dtype=object)
    reason = reason.mask(minutes.isna(), "hrmn is not a time of day")
    reason = reason.mask(date.isna(), "jour, mois and an are not a date")
    return rows, reason


def _lieux(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    limit = layouts.code(frame, "vma").round()
    rows = pd.DataFrame(
        {
            "accident": layouts.accident_id(frame),
            "road_category": layouts.words(frame, "catr", CODE_LABELS["catr"]),
            "numbered_road": layouts.numbered_roads(frame),
            "speed_limit": limit.where(limit.between(*FRANCE.speed_limits)),
            "surface": layouts.words(frame, "surf", CODE_LABELS["surf"]),
            "slope": layouts.words(frame, "prof", CODE_LABELS["prof"]),
            "bend": layouts.words(frame, "plan", CODE_LABELS["plan"]),
            "traffic": layouts.words(frame, "circ", CODE_LABELS["circ"]),
            "spot": layouts.words(frame, "situ", CODE_LABELS["situ"]),
            "structure": layouts.words(frame, "infra", CODE_LABELS["infra"]),
        }
    )
    return rows, pd.Series("", index=frame.index, dtype=object)


def _vehicules(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    kinds = {float(code): kind for code, kind in KIND_OF_CODE.items()}
    rows = pd.DataFrame(
        {
            "accident": layouts.accident_id(frame),
            "vehicle": layouts.without_blanks(layouts.text(frame, "id_vehicule")),
            "kind": layouts.code(frame, "catv").map(kinds).fillna(OTHER_VEHICLES).astype("str"),
            "obstacle": layouts.words(frame, "obs", CODE_LABELS["obs"]),
        }
    )
    return rows, pd.Series("", index=frame.index, dtype=object)


def _usagers(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    written = layouts.text(frame, "grav")
    severity = layouts.number(written)
    missing = (written == "") | (severity == -1)
    rows = pd.DataFrame(
        {
            "accident": layouts.accident_id(frame),
            "user": layouts.without_blanks(layouts.text(frame, "id_usager")),
            "severity": severity.where(~missing),
            "pedestrian": layouts.code(frame, "catu").isin([3.0, 4.0]).astype("float64"),
        }
    )
    reason = pd.Series("", index=frame.index, dtype=object)
    return rows, reason.mask(~missing & ~severity.isin([1.0, 2.0, 3.0, 4.0]), "grav is not 1, 2, 3 or 4")


_READERS: Mapping[str, Callable[[pd.DataFrame], tuple[pd.DataFrame, pd.Series]]] = {
    "caracteristiques": _caracteristiques,
    "lieux": _lieux,
    "vehicules": _vehicules,
    "usagers": _usagers,
}


__all__ = ["build_examples", "build_label_examples", "parse_table"]

_HOUR_BANDS = ((6, "night, 0 to 6 h"), (10, "morning, 6 to 10 h"), (16, "day, 10 to 16 h"), (20, "evening, 16 to 20 h"))
_LAST_BAND = "late, 20 to 24 h"


def build_examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Build one example per accident that all four tables have, in the order of time.

    ``priority`` is 1 where somebody was killed or taken to hospital, ``severity`` the index of the worst outcome
    (slight, hospital, killed). Both are NaN where a missing ``grav`` could change them. Accidents without the fields
    that every caller has to send (road, collision, built-up area or not) are dropped.
    """
    rows = tables["caracteristiques"].drop(columns="line", errors="ignore")
    rows = rows.merge(_one_place(tables["lieux"]), on="accident")
    rows = rows.merge(_counted_vehicles(_once(tables["vehicules"], "vehicle")), on="accident")
    rows = rows.merge(_outcomes(_once(tables["usagers"], "user")), on="accident")
    complete = rows["urban"].notna() & (rows["road_category"] != "") & (rows["collision"] != "")
    rows = rows[complete].reset_index(drop=True)
    rows["road"] = rows["road"].where(rows["road"] != "", rows.pop("numbered_road"))
    rows["event_time"] = _utc(rows["local_time"], rows["department"])
    rows["occurred_at"] = rows["event_time"]
    rows["area"] = rows["department"].map(FRANCE.areas).fillna("unknown").astype("str")
    rows["hour_band"] = _hour_band(rows["local_time"])
    rows["vehicle_kind"] = _leading_kind(rows)
    rows["setting"] = rows["urban"].map({0.0: "outside towns", 1.0: "in towns"}).astype("str")
    return rows.drop(columns="local_time").sort_values(["event_time", "accident"], ignore_index=True)


def build_label_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to reported accidents the columns of examples that follow from their fields.

    A known severity decides about the priority.
    """
    grave = (rows["severity"] > 0).astype("float64")
    local = pd.Series(index=rows.index, dtype="datetime64[us]")
    for zone, times in rows["occurred_at"].groupby(rows["department"].map(FRANCE.zones).fillna(FRANCE.zone)):
        local.loc[times.index] = times.dt.tz_convert(str(zone)).dt.tz_localize(None)
    return rows.assign(
        priority=grave.where(rows["severity"].notna(), rows["priority"]),
        area=rows["department"].map(FRANCE.areas).fillna("unknown").astype("str"),
        hour_band=_hour_band(local),
        vehicle_kind=_leading_kind(rows),
        setting=rows["urban"].map({0.0: "outside towns", 1.0: "in towns"}).astype("str"),
    )


def _one_place(lieux: pd.DataFrame) -> pd.DataFrame:
    """One row per accident: since 2023 an accident at a junction has a row per road.

    The first one that names a road category is the road of the accident; the speed limit is the highest of all its
    roads.
    """
    limit = lieux.groupby("accident")["speed_limit"].max()
    named = lieux.assign(unnamed=lieux["road_category"] == "").sort_values("unnamed", kind="stable")
    first = named.drop_duplicates("accident").drop(columns=["line", "unnamed", "speed_limit"], errors="ignore")
    return first.merge(limit.reset_index(), on="accident")


def _once(rows: pd.DataFrame, identity: str) -> pd.DataFrame:
    """Each vehicle and user counts once, where the file (since 2019 and 2021) says who is who."""
    known = rows[identity] != ""
    return rows[~(known & rows.duplicated(["accident", identity], keep="last"))]


def _counted_vehicles(vehicules: pd.DataFrame) -> pd.DataFrame:
    names = sorted(vehicules["accident"].unique())
    position = {name: index for index, name in enumerate(names)}
    row = vehicules["accident"].map(position).to_numpy(dtype=np.int64)
    kinds = list(VEHICLE_KINDS)
    column = vehicules["kind"].map({kind: index for index, kind in enumerate(kinds)}).to_numpy(dtype=np.int64)
    counts = np.bincount(row * len(kinds) + column, minlength=len(names) * len(kinds)).reshape(len(names), len(kinds))
    counted = pd.DataFrame(counts.astype(np.float64), columns=kinds)
    rank = {obstacle: place for place, obstacle in enumerate(OBSTACLES_BY_HARDNESS)}
    hardness = vehicules["obstacle"].map(rank).fillna(len(rank)).to_numpy(dtype=np.int64)
    hardest = np.full(len(names), len(rank))
    np.minimum.at(hardest, row, hardness)
    counted["obstacle"] = np.array([*OBSTACLES_BY_HARDNESS, ""], dtype=object)[hardest]
    counted["obstacle"] = counted["obstacle"].astype("str")
    counted["accident"] = names
    return counted


def _outcomes(usagers: pd.DataFrame) -> pd.DataFrame:
    flags = pd.DataFrame(
        {
            "accident": usagers["accident"],
            "killed": usagers["severity"] == 2,
            "hospital": usagers["severity"] == 3,
            "unknown": usagers["severity"].isna(),
            "pedestrians": usagers["pedestrian"],
            "people": 1.0,
        }
    )
    sums = flags.groupby("accident", sort=True).sum()
    killed, hospital, unknown = (sums[name].to_numpy() > 0 for name in ("killed", "hospital", "unknown"))
    severity = np.where(killed, 2.0, np.where(hospital, 1.0, 0.0))
    return pd.DataFrame(
        {
            "accident": sums.index,
            "people": sums["people"].to_numpy(),
            "pedestrians": sums["pedestrians"].to_numpy(),
            "priority": np.where(unknown & (severity == 0), np.nan, (severity > 0).astype(np.float64)),
            "severity": np.where(unknown & (severity < 2), np.nan, severity),
        }
    )


def _utc(local: pd.Series, department: pd.Series) -> pd.Series:
    """Convert local times to UTC by the department's zone.

    Of an hour that happens twice the first is meant, a time inside the hour that never happens is moved on by the gap:
    as ``in_zone`` does for callers.
    """
    utc = pd.Series(pd.NaT, index=local.index, dtype="datetime64[us, UTC]")
    zones = department.map(FRANCE.zones).fillna(FRANCE.zone)
    for zone, times in local.groupby(zones):
        first = np.ones(len(times), dtype=bool)
        zoned = times.dt.tz_localize(str(zone), ambiguous=first, nonexistent=pd.Timedelta(hours=1))
        utc.loc[times.index] = zoned.dt.tz_convert("UTC")
    return utc


def _hour_band(local: pd.Series) -> pd.Series:
    hour = local.dt.hour
    band = np.select([hour < end for end, _ in _HOUR_BANDS], [name for _, name in _HOUR_BANDS], _LAST_BAND)
    return pd.Series(band, index=local.index, dtype="str")


def _leading_kind(rows: pd.DataFrame) -> pd.Series:
    conditions = [rows["pedestrians"] > 0, *(rows[list(kinds)].sum(axis=1) > 0 for _, kinds in VEHICLE_PRIORITY)]
    names = ["pedestrian", *(name for name, _ in VEHICLE_PRIORITY)]
    return pd.Series(np.select(conditions, names, "other"), index=rows.index, dtype="str")
