"""Parses the four BAAC tables and builds one example per accident."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from services.core.contract.use_case import Finding, ParsedTable
from services.core.raw_files.columns import read_columns
from services.core.raw_files.places import place_rows
from services.use_cases.road_accidents import layouts
from services.use_cases.road_accidents.code_labels import (
    CODE_LABELS,
    OBSTACLES_BY_HARDNESS,
    OTHER_VEHICLES,
    VEHICLE_KINDS,
    VEHICLE_PRIORITY,
)
from services.use_cases.road_accidents.geography import FRANCE, commune_code, road_name
from services.use_cases.road_accidents.request import COMMUNE

_MARGIN = 0.3
"""Degrees around the box of a region in which a place is believed."""
_ROAD_LENGTH = 120
"""What is read of a road's name; whole sentences stand in some rows."""


def parse_table(table: str, frame: pd.DataFrame) -> ParsedTable:
    """Canonical rows of one of the tables ``caracteristiques``, ``lieux``, ``vehicules``, ``usagers``."""
    return _READERS[table](frame)


def _caracteristiques(frame: pd.DataFrame) -> ParsedTable:
    """Each of the two layouts by itself: conventions hold for the rows of a file that have the same."""
    year = _four_digits(read_columns((layouts.YEAR,), frame).rows["year"])
    old = year < layouts.FIRST_YEAR_OF_NEW_LAYOUT
    parts = [_of_layout(frame[rows], old=before) for before, rows in ((True, old), (False, ~old)) if rows.any()]
    return _joined(parts) if parts else _of_layout(frame, old=False)


def _of_layout(frame: pd.DataFrame, *, old: bool) -> ParsedTable:
    typed = read_columns(layouts.caracteristiques(old=old), frame)
    rows = typed.rows
    parts = {"year": _four_digits(rows.pop("year")), "month": rows.pop("month"), "day": rows.pop("day")}
    date = pd.to_datetime(pd.DataFrame(parts), errors="coerce")
    typed.refuse(date.isna(), "jour, mois and an are not a date", "jour", _together(frame, "jour", "mois", "an"))
    rows.insert(2, "local_time", (date + pd.to_timedelta(rows.pop("clock"), unit="s")).astype("datetime64[us]"))
    written = rows["department"]
    codes, convention = layouts.departments(written.unique().tolist(), FRANCE, old=old)
    rows["department"] = written.map(codes).fillna("").astype("str")
    known = rows["department"] != ""
    if convention:
        typed.findings.append(Finding("convention", "dep", convention, int(known.sum())))
    typed.lose((written != "") & ~known, "no department of France", "dep", written)
    place_rows(typed, rows["department"].map(FRANCE.box_names), FRANCE.boxes, scales=(1.0, 1e-5), margin=_MARGIN)
    written = rows["commune"]
    rows["commune"] = _communes(written, rows["department"])
    typed.lose((written != "") & (rows["commune"] == ""), "no code of a commune", "com", written)
    rows["road"] = _roads(rows["road"])
    return typed.parsed(rows)


def _four_digits(year: pd.Series) -> pd.Series:
    return year.where(year > 99, year + 2000)


def _together(frame: pd.DataFrame, *names: str) -> pd.Series:
    return frame[list(names)].agg("/".join, axis="columns") if len(frame) else pd.Series("", index=frame.index)


def _joined(parts: Sequence[ParsedTable]) -> ParsedTable:
    rows = pd.concat([part.rows for part in parts], ignore_index=True).sort_values("line", ignore_index=True)
    rejected = pd.concat([part.rejected for part in parts], ignore_index=True).sort_values("line", ignore_index=True)
    return ParsedTable(rows, rejected, tuple(finding for part in parts for finding in part.findings))


def _communes(written: pd.Series, department: pd.Series) -> pd.Series:
    """INSEE codes; a number of up to three digits is the part after the department, as before 2019."""
    prefix = department.where(~department.str.startswith(("97", "98")), department.str[:2])
    part = written.str.fullmatch("[0-9]{1,3}").astype(bool)
    joined = (prefix + written.str.zfill(3)).where(department != "", "")
    codes = written.map({value: commune_code(value) for value in written.unique()}).astype("str")
    codes = joined.where(part, codes)
    return codes.where(codes.str.fullmatch(COMMUNE.strip("^$")).astype(bool), "")


def _roads(written: pd.Series) -> pd.Series:
    """Road names in one spelling."""
    return written.map({value: road_name(value[:_ROAD_LENGTH]) for value in written.unique()}).astype("str")


def _numbered_roads(written: pd.Series, category: pd.Series) -> pd.Series:
    """Read ``voie`` of the lieux. Before 2019 it is a bare number whose letter follows from the category."""
    names = {CODE_LABELS["catr"][code]: letter for code, letter in ((1, "A"), (2, "N"), (3, "D"))}
    letter = category.map(names).fillna("").astype("str")
    number = written.str.replace(r"[.,]0+$", "", regex=True)
    bare = number.str.fullmatch(r"[1-9][0-9]{0,3}").astype(bool) & (letter != "")
    return _roads(number.where(~bare, letter + number))


def _lieux(frame: pd.DataFrame) -> ParsedTable:
    typed = read_columns(layouts.LIEUX, frame)
    rows = typed.rows
    rows["numbered_road"] = _numbered_roads(rows["numbered_road"], rows["road_category"])
    rows["speed_limit"] = rows["speed_limit"].round()
    return typed.parsed(rows)


def _vehicules(frame: pd.DataFrame) -> ParsedTable:
    typed = read_columns(layouts.VEHICULES, frame)
    typed.rows["kind"] = typed.rows["kind"].replace("", OTHER_VEHICLES)
    return typed.parsed(typed.rows)


def _usagers(frame: pd.DataFrame) -> ParsedTable:
    typed = read_columns(layouts.USAGERS, frame)
    typed.rows["pedestrian"] = typed.rows["pedestrian"].fillna(0.0)
    return typed.parsed(typed.rows)


_READERS: Mapping[str, Callable[[pd.DataFrame], ParsedTable]] = {
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
