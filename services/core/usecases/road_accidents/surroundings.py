"""What past accidents around a point say: how many there were and what share was grave, in windows of
three by three grid cells at several scales.

A cell alone would cut a crossroads in two wherever a border runs; a window around the point's own cell, whose
outer cells count less, does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, isnan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.contract import Arrays

HEIGHTS: Mapping[str, float] = {"10_km": 0.1, "3_km": 0.03, "1_km": 0.01, "300_m": 0.003}
"""Name of a scale, the coarsest first -> height of a cell in degrees of latitude. Cells are about as wide as
high at 45 degrees."""
STRENGTH = 4.0
"""How many accidents the share of the next coarser scale is worth."""
_WIDER = 1.0 / 0.7
_ROW = 10_000_000
_NAN = float("nan")
_WINDOW = tuple(
    (north * _ROW + east, (1.0, 0.6, 0.36)[abs(north) + abs(east)]) for north in (-1, 0, 1) for east in (-1, 0, 1)
)

Cells = Mapping[int, tuple[float, float]]
"""Cell -> accidents and grave accidents, per 10,000 of all accidents."""


class Surroundings(NamedTuple):
    """One value per row and scale: ``near`` is the weighted number of accidents in the window per 10,000 of all
    (NaN without a place), ``share`` the smoothed share of grave ones."""

    near: dict[str, list[float]]
    share: dict[str, list[float]]


def learn(latitude: NDArray[np.float64], longitude: NDArray[np.float64], hits: NDArray[np.float64]) -> Arrays:
    """Counts per cell. Rows without a place or whose ``hits`` (0 or 1) is NaN are left out."""
    known = ~np.isnan(latitude) & ~np.isnan(longitude) & ~np.isnan(hits)
    north, east, hit = latitude[known], longitude[known], hits[known]
    total = max(int((~np.isnan(hits)).sum()), 1)
    arrays: Arrays = {"per": np.array(10_000.0 / total)}
    for scale, height in HEIGHTS.items():
        cell = np.floor(north / height).astype(np.int64) * _ROW + np.floor(east / (height * _WIDER)).astype(np.int64)
        cells, index = np.unique(cell, return_inverse=True)
        arrays[f"{scale}:cells"] = cells
        arrays[f"{scale}:count"] = np.bincount(index, minlength=len(cells)).astype(np.int32)
        arrays[f"{scale}:hits"] = np.bincount(index, weights=hit, minlength=len(cells)).astype(np.int32)
    return arrays


class Learned(NamedTuple):
    cells: Mapping[str, Cells]
    strength: float
    """``STRENGTH`` in the cells' unit."""


def load(arrays: Mapping[str, NDArray[Any]]) -> Learned:
    per = float(arrays["per"])
    cells = {
        scale: {
            cell: (count * per, hits * per)
            for cell, count, hits in zip(
                arrays[f"{scale}:cells"].tolist(),
                arrays[f"{scale}:count"].tolist(),
                arrays[f"{scale}:hits"].tolist(),
                strict=True,
            )
        }
        for scale in HEIGHTS
    }
    return Learned(cells, STRENGTH * per)


def look(latitudes: list[float], longitudes: list[float], priors: list[float], learned: Learned) -> Surroundings:
    """The surroundings of each point. ``priors`` are the shares that the coarsest scale leans on."""
    near: dict[str, list[float]] = {}
    shares: dict[str, list[float]] = {}
    strength = learned.strength
    for scale, height in HEIGHTS.items():
        cells = learned.cells[scale]
        width = height * _WIDER
        count_of, share_of = [], []
        for north, east, prior in zip(latitudes, longitudes, priors, strict=True):
            if isnan(north + east):
                count_of.append(_NAN)
                share_of.append(prior)
                continue
            centre = floor(north / height) * _ROW + floor(east / width)
            count = hits = 0.0
            for step, weight in _WINDOW:
                if centre + step in cells:
                    found = cells[centre + step]
                    count += weight * found[0]
                    hits += weight * found[1]
            count_of.append(count)
            share_of.append((hits + strength * prior) / (count + strength))
        near[scale], shares[scale] = count_of, share_of
        priors = share_of
    return Surroundings(near, shares)
