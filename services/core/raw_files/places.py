"""Reads coordinates by the box of their area: units and signs are decided on all rows of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.contract.tables import Box, Finding
from services.core.raw_files.columns import TypedRows

_SIGNS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
_SURE, _HARDLY = 0.9, 0.1


def place_rows(
    typed: TypedRows,
    area: pd.Series,
    boxes: Mapping[str, Box],
    *,
    scales: Sequence[float] = (1.0,),
    margin: float = 0.0,
) -> None:
    """Turn ``latitude`` and ``longitude`` of the rows into degrees inside the box of the row's ``area``.

    The file's unit is the one of ``scales`` (degrees per unit) that puts most rows into their boxes. Where an area has
    its rows outside of its box and inside with another sign, the file leaves the sign out. Rows that are in no box
    then have no place; they are counted. An area without a box may be in any.
    """
    latitude, longitude = (typed.rows[name].to_numpy(dtype=np.float64) for name in ("latitude", "longitude"))
    given = np.isfinite(latitude) & np.isfinite(longitude) & ((latitude != 0) | (longitude != 0))
    half = np.isfinite(latitude) != np.isfinite(longitude)
    bounds = _bounds(area, boxes, margin)
    scale = max(scales, key=lambda unit: _share(_any_sign(latitude * unit, longitude * unit, bounds), given))
    if scale != 1.0 and given.any():
        typed.findings.append(Finding("convention", "", f"places in {scale:g} degrees", int(given.sum())))
    latitude, longitude = latitude * scale, longitude * scale
    names = area.to_numpy(dtype=object)
    without_west = bool(given.any()) and not (longitude[given] < 0).any()
    turned_west = False
    for name in sorted(set(names[given].tolist()) & set(boxes)):
        rows = given & (names == name)
        fitting = {signs: _share(_inside(latitude, longitude, bounds, signs), rows) for signs in _SIGNS}
        best = max(_SIGNS, key=lambda signs: fitting[signs])
        if fitting[(1.0, 1.0)] <= _HARDLY and fitting[best] >= _SURE:
            typed.findings.append(
                Finding(
                    "convention", "", f"places of {name} without their sign: south or west is meant", int(rows.sum())
                )
            )
            latitude[rows] *= best[0]
            longitude[rows] *= best[1]
            turned_west |= best[1] < 0
    inside = _inside(latitude, longitude, bounds, (1.0, 1.0))
    straddling = (bounds.west < 0) & (bounds.east > 0) if without_west and turned_west else np.zeros(len(area), bool)
    written = typed.rows["latitude"].astype("str") + ", " + typed.rows["longitude"].astype("str")
    index = typed.rows.index
    place = "latitude, longitude"
    typed.lose(pd.Series(half, index=index), "a latitude without a longitude, or the reverse", place, written)
    typed.lose(pd.Series(given & ~inside, index=index), "outside of the area of the row", place, written)
    typed.lose(pd.Series(given & inside & straddling, index=index), "east or west: the signs are lost", place, written)
    good = given & inside & ~straddling
    typed.rows["latitude"] = np.where(good, latitude, np.nan).round(7)
    typed.rows["longitude"] = np.where(good, longitude, np.nan).round(7)


class _Bounds(NamedTuple):
    """One box per row (n,), NaN where the area has none: such a row may be in any of ``boxes``."""

    south: NDArray[np.float64]
    north: NDArray[np.float64]
    west: NDArray[np.float64]
    east: NDArray[np.float64]
    boxes: tuple[Box, ...]


def _bounds(area: pd.Series, boxes: Mapping[str, Box], margin: float) -> _Bounds:
    wide = {
        name: Box(b.south - margin, b.north + margin, b.west - margin, b.east + margin) for name, b in boxes.items()
    }
    none = (np.nan,) * 4
    of_row = np.array([wide.get(name, none) for name in area], dtype=np.float64).reshape(-1, 4)
    return _Bounds(of_row[:, 0], of_row[:, 1], of_row[:, 2], of_row[:, 3], tuple(wide.values()))


def _inside(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], bounds: _Bounds, signs: tuple[float, float]
) -> NDArray[np.bool_]:
    north, east = latitude * signs[0], longitude * signs[1]
    inside: NDArray[np.bool_] = (
        (north >= bounds.south) & (north <= bounds.north) & (east >= bounds.west) & (east <= bounds.east)
    )
    unknown = np.isnan(bounds.south)
    for box in bounds.boxes if unknown.any() else ():
        inside |= unknown & (north >= box.south) & (north <= box.north) & (east >= box.west) & (east <= box.east)
    return inside


def _any_sign(latitude: NDArray[np.float64], longitude: NDArray[np.float64], bounds: _Bounds) -> NDArray[np.bool_]:
    return np.any([_inside(latitude, longitude, bounds, signs) for signs in _SIGNS], axis=0)


def _share(good: NDArray[np.bool_], rows: NDArray[np.bool_]) -> float:
    return float(good[rows].mean()) if rows.any() else 0.0
