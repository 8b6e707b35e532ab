"""Where the stations are and when they were open."""

from __future__ import annotations

import numpy as np
import pandas as pd

from services.core.usecases.contract import Arrays
from services.core.usecases.fire_response.brigade import Brigade
from services.core.usecases.fire_response.geometry import to_grid

FARTHEST = 4_000.0
"""A file that puts a station farther than this from the middle of its own ground's incidents is
wrong about it (one line of the public file is): grounds are some 2 to 3 km in radius."""
ENOUGH = 30
"""Incidents of a ground from which its middle can be told."""


def station_arrays(incidents: pd.DataFrame, listed: pd.DataFrame | None, brigade: Brigade) -> Arrays:
    """``station_names`` (n,), ``station_easting`` and ``station_northing`` (n,) metres, and
    ``station_own`` (n,), whether it has a ground of the brigade.

    Each place comes from the reference file; where it is absent or wrong, from the median of the
    incidents that the station's first pump reached soonest, else of its ground's incidents."""
    middles = _middles(incidents[incidents["service"] == brigade.own_service])
    places: dict[str, tuple[float, float]] = {}
    if listed is not None:
        for name, latitude, longitude in zip(listed["name"], listed["latitude"], listed["longitude"], strict=True):
            places[str(name)] = to_grid(float(latitude), float(longitude))
    for name, (easting, northing, count) in middles.items():
        if name in places:
            off = np.hypot(places[name][0] - easting, places[name][1] - northing)
            if off <= FARTHEST or count < ENOUGH:
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


def _middles(incidents: pd.DataFrame) -> dict[str, tuple[float, float, int]]:
    """Station -> median place and number of its incidents: those it reached fastest for their ground
    (a fire engine's shortest journeys start next to its station), or all of its ground's."""
    found: dict[str, tuple[float, float, int]] = {}
    for name, group in incidents.groupby("station_ground", sort=True):
        if name:
            found[str(name)] = _median(group)
    sent = incidents[(incidents["station_1"] != "") & (incidents["seconds_1"] > 60)]
    for name, group in sent.groupby("station_1", sort=True):
        near = group[group["seconds_1"] <= group["seconds_1"].quantile(0.2)]
        if len(near) >= ENOUGH or name not in found:
            found[str(name)] = (*_median(near)[:2], len(group))
    return found


def _median(group: pd.DataFrame) -> tuple[float, float, int]:
    return float(group["easting"].median()), float(group["northing"].median()), len(group)
