"""Examples: one row per arrived pump, as a caller would have described it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from services.core.usecases.fire_response.answer import PUMPS
from services.core.usecases.fire_response.brigade import Brigade

_HOURS = ("00-06", "06-12", "12-18", "18-24")
_NEW_PERIOD = pd.Timedelta(days=45)
_SAME = ("incident_id", "call_time", "easting", "northing", "incident_group", "property_category", "property_type",
         "station_ground", "borough", "service")  # fmt: skip


def incident_examples(incidents: pd.DataFrame, mobilisations: pd.DataFrame | None, brigade: Brigade) -> pd.DataFrame:
    """One row per arrived pump of the orders that are learned, sorted by time; incidents without any
    keep one row, so that their number of pumps is learned too.

    ``pumps`` is set on one row per incident only. Incidents on another service's ground have none:
    that service's own pumps are not counted in this table."""
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


def reported_examples(rows: pd.DataFrame, brigade: Brigade) -> pd.DataFrame:
    """Reported calls with the columns of examples that follow from their fields; the borough does not. The
    objective is judged by the seconds where they are known, and an incident's pumps are counted once."""
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
    """Fill in what the incident table leaves out: the pumps are the arrived mobilisations in the
    order of their arrival, and where there is one it knows the time and the station best."""
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
