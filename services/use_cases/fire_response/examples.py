"""Builds examples (one per arrived pump) and the lookup tables of stations and holidays."""

from __future__ import annotations

from datetime import date, timedelta

import holidays
import numpy as np
import pandas as pd

from services.core.contract.columns import day_number
from services.core.contract.use_case import Arrays
from services.use_cases.fire_response.answer import PUMPS
from services.use_cases.fire_response.brigade import Brigade, to_grid

_HOURS = ("00-06", "06-12", "12-18", "18-24")
_NEW_PERIOD = pd.Timedelta(days=45)
_SAME = ("incident_id", "call_time", "easting", "northing", "incident_group", "property_category", "property_type",
         "station_ground", "borough", "service")  # fmt: skip


def incident_examples(incidents: pd.DataFrame, mobilisations: pd.DataFrame | None, brigade: Brigade) -> pd.DataFrame:
    """Build one example per arrived pump, sorted by time; incidents without any have one row for their number of pumps.

    ``pumps`` is set on one row per incident only. Incidents on another service's ground have none: that service's own
    pumps are not counted in this table.
    """
    pumps = [_pumps_of(incidents, order) for order in range(1, brigade.pump_orders + 1)]
    rows = pd.concat(pumps, ignore_index=True)
    if mobilisations is not None and not mobilisations.empty:
        rows = _with_mobilisations(rows, incidents, mobilisations, brigade)
    arrived = rows["attendance_seconds"].notna()
    alone = ~rows["incident_id"].isin(rows.loc[arrived, "incident_id"]) & (rows["pump_order"] == 1)
    rows = rows[arrived | alone].sort_values(["call_time", "incident_id", "pump_order"], ignore_index=True)
    first = ~rows["incident_id"].duplicated()
    counted = first & (rows["service"] == brigade.own_service) & (rows["pumps"] >= 1)
    seconds = rows["attendance_seconds"]
    local = rows["call_time"].dt.tz_convert(brigade.zone)
    return pd.DataFrame(
        {
            "incident_id": rows["incident_id"],
            "event_time": rows["call_time"],
            "call_time": rows["call_time"],
            "easting": rows["easting"],
            "northing": rows["northing"],
            "latitude": np.nan,
            "longitude": np.nan,
            "incident_group": rows["incident_group"],
            "property_category": rows["property_category"],
            "property_type": rows["property_type"],
            "station_ground": rows["station_ground"],
            "deployed_from_station": rows["station"],
            "pump_order": rows["pump_order"].astype("int64"),
            "pumps_already_out": np.nan,
            "attendance_seconds": seconds,
            "over_360s": (seconds > brigade.objective_seconds).astype("float64").where(seconds.notna()),
            "pumps": (rows["pumps"].clip(upper=len(PUMPS)) - 1).where(counted),
            "area": rows["borough"].map(brigade.areas).fillna("elsewhere"),
            "borough": rows["borough"],
            "hour_band": np.array(_HOURS)[local.dt.hour.to_numpy() // 6],
            "period": _periods(rows["call_time"]),
        }
    )


def label_examples(rows: pd.DataFrame, brigade: Brigade) -> pd.DataFrame:
    """Add to reported calls the columns of examples that follow from their fields; the borough does not.

    The objective is judged by the seconds where they are known, and an incident's pumps are counted once.
    """
    seconds = rows["attendance_seconds"]
    missed = (seconds > brigade.objective_seconds).astype("float64")
    again = rows.sort_values("event_time", kind="stable")["incident_id"].duplicated().sort_index()
    local = rows["call_time"].dt.tz_convert(brigade.zone)
    return rows.assign(
        over_360s=missed.where(seconds.notna(), rows["over_360s"]),
        pumps=rows["pumps"].where(~again),
        hour_band=np.array(_HOURS)[local.dt.hour.to_numpy() // 6],
        area="elsewhere",
        borough="",
    )


def _pumps_of(incidents: pd.DataFrame, order: int) -> pd.DataFrame:
    rows = incidents.loc[:, [*_SAME, "pumps"]].copy()
    rows["pump_order"] = order
    rows["attendance_seconds"] = incidents[f"seconds_{order}"]
    rows["station"] = incidents[f"station_{order}"]
    return rows


def _with_mobilisations(
    rows: pd.DataFrame, incidents: pd.DataFrame, mobilisations: pd.DataFrame, brigade: Brigade
) -> pd.DataFrame:
    """Fill gaps of the incident table: the pumps are the arrived mobilisations in the order of their arrival.

    Where there is one, its time and station are better.
    """
    sent = mobilisations[
        mobilisations["attendance_seconds"].notna() & mobilisations["incident_id"].isin(incidents["incident_id"])
    ]
    sent = sent[sent["pump_order"] <= brigade.pump_orders].drop_duplicates(["incident_id", "pump_order"], keep="last")
    known = rows.merge(
        sent[["incident_id", "pump_order", "attendance_seconds", "station"]].astype({"pump_order": "int64"}),
        on=["incident_id", "pump_order"],
        how="left",
        suffixes=("", "_sent"),
    )
    known["attendance_seconds"] = known["attendance_seconds_sent"].fillna(known["attendance_seconds"])
    named = known["station_sent"].fillna("")
    known["station"] = known["station"].where(named == "", named)
    return known.drop(columns=["attendance_seconds_sent", "station_sent"])


def _periods(times: pd.Series) -> pd.Series:
    """The month in which each stretch of data without a long gap began, for sorted times."""
    begins = times.diff().isna() | (times.diff() > _NEW_PERIOD)
    start = times.where(begins).ffill()
    return start.dt.strftime("%Y-%m")


MAX_OFFSET_METRES = 4_000.0
"""A file that puts a station farther than this from the middle of its own ground's incidents is
wrong about it (one line of the public file is): grounds are some 2 to 3 km in radius."""
MIN_INCIDENTS = 30
"""Incidents of a ground from which its middle is known."""


def station_arrays(incidents: pd.DataFrame, listed: pd.DataFrame | None, brigade: Brigade) -> Arrays:
    """Build the lookup table of stations with their places.

    Each place comes from the reference file; where it is absent or wrong, from the median of the incidents that the
    station's first pump reached soonest, else of its ground's incidents.

    Args:
        incidents: canonical rows.
        listed: rows of the reference file, in degrees; None where there is none.
        brigade: constants.

    Returns:
        ``station_names`` (n,), str; ``station_easting`` and ``station_northing`` (n,), float64, metres; ``station_own``
        (n,), bool: whether it has a ground of the brigade.
    """
    middles = _median_places(incidents[incidents["service"] == brigade.own_service])
    places: dict[str, tuple[float, float]] = {}
    if listed is not None:
        for name, latitude, longitude in zip(listed["name"], listed["latitude"], listed["longitude"], strict=True):
            places[str(name)] = to_grid(float(latitude), float(longitude))
    for name, (easting, northing, count) in middles.items():
        if name in places:
            off = np.hypot(places[name][0] - easting, places[name][1] - northing)
            if off <= MAX_OFFSET_METRES or count < MIN_INCIDENTS:
                continue
        places[name] = (easting, northing)
    own = set(incidents.loc[incidents["service"] == brigade.own_service, "station_ground"])
    names = sorted(places)
    return {
        "station_names": np.array(names, dtype=str),
        "station_easting": np.array([places[name][0] for name in names], dtype=np.float64),
        "station_northing": np.array([places[name][1] for name in names], dtype=np.float64),
        "station_own": np.array([name in own for name in names], dtype=bool),
    }


def _median_places(incidents: pd.DataFrame) -> dict[str, tuple[float, float, int]]:
    """Station -> median place (metres) and number of its incidents.

    Of those that it reached fastest for their ground (a fire engine's shortest journeys start next to its station), or
    of all of its ground's.
    """
    found: dict[str, tuple[float, float, int]] = {}
    for name, group in incidents.groupby("station_ground", sort=True):
        if name:
            found[str(name)] = _median_place(group)
    sent = incidents[(incidents["station_1"] != "") & (incidents["seconds_1"] > 60)]
    for name, group in sent.groupby("station_1", sort=True):
        near = group[group["seconds_1"] <= group["seconds_1"].quantile(0.2)]
        if len(near) >= MIN_INCIDENTS or name not in found:
            found[str(name)] = (*_median_place(near)[:2], len(group))
    return found


def _median_place(group: pd.DataFrame) -> tuple[float, float, int]:
    return float(group["easting"].median()), float(group["northing"].median()), len(group)


def calendar_arrays(first_year: int, last_year: int, brigade: Brigade) -> Arrays:
    """Build the lookup tables of holidays.

    Args:
        first_year: of the data; the year before it is included.
        last_year: the last one that is included.
        brigade: its country.

    Returns:
        ``bank_holidays`` and ``school_holidays`` (n,), int64, sorted days since 1970.
    """
    years = range(first_year - 1, last_year + 1)
    bank = holidays.country_holidays(brigade.country, subdiv=brigade.country_part, years=list(years))
    school = {day for year in years for day in school_holidays(year)}
    return {
        "bank_holidays": np.array(sorted(day_number(day) for day in bank), dtype=np.int64),
        "school_holidays": np.array(sorted(day_number(day) for day in school), dtype=np.int64),
    }


def school_holidays(year: int) -> set[date]:
    """The weekdays and weekends of a calendar year's English school holidays."""
    easter = _easter(year)
    good_friday = easter - timedelta(days=2)
    monday = good_friday - timedelta(days=11)
    spans = [
        (date(year, 1, 1), date(year, 1, 3)),
        _week(date(year, 2, 18)),
        (monday - timedelta(days=2), easter + timedelta(days=1)),
        _week(date(year, 5, 31)),
        (date(year, 7, 22), date(year, 9, 2)),
        _week(date(year, 10, 28)),
        (date(year, 12, 20), date(year, 12, 31)),
    ]
    return {start + timedelta(days=offset) for start, end in spans for offset in range((end - start).days + 1)}


def _week(inside: date) -> tuple[date, date]:
    """The Monday-to-Sunday week of a day, with the Saturday and Sunday before it."""
    monday = inside - timedelta(days=inside.weekday())
    return monday - timedelta(days=2), monday + timedelta(days=6)


def _easter(year: int) -> date:
    """Western Easter Sunday (the anonymous Gregorian computus; Meeus, Astronomical Algorithms, ch. 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e, f = b // 4, b % 4, (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    l_ = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * l_) // 451
    month, day = divmod(h + l_ - 7 * m + 114, 31)
    return date(year, month, day + 1)
