"""The simulator's France: communes and roads with dangers of their own.

It is the same in every run, whatever the seed: a model that learned from one simulated month meets the same
places in the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

_CENTRES = {
    "13": (43.5, 5.2),
    "29": (48.3, -4.1),
    "2A": (41.9, 8.9),
    "31": (43.5, 1.3),
    "33": (44.8, -0.6),
    "34": (43.6, 3.6),
    "35": (48.1, -1.7),
    "38": (45.2, 5.7),
    "44": (47.3, -1.7),
    "59": (50.5, 3.1),
    "67": (48.6, 7.6),
    "69": (45.8, 4.7),
    "75": (48.86, 2.34),
    "77": (48.6, 2.9),
    "83": (43.4, 6.2),
    "971": (16.2, -61.5),
}
_COMMUNES_EACH = 12
_STREETS = ("RUE DES ECOLES", "AVENUE DE LA GARE", "JAURES (BOULEVARD JEAN)", "RUE VICTOR HUGO", "PLACE DU MARCHÉ")


@dataclass(frozen=True, slots=True)
class World:
    """Arrays over communes, and over (commune, road)."""

    department: NDArray[np.str_]
    commune: NDArray[np.str_]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    weight: NDArray[np.float64]
    """Share of the accidents."""
    town: NDArray[np.float64]
    """Probability that an accident here lies in the built-up area."""
    danger: NDArray[np.float64]
    """What the place adds to the severity of every impact, in standard deviations."""
    streets: NDArray[np.str_]
    """(communes, roads): roads of the built-up area."""
    highways: NDArray[np.str_]
    """(communes, roads): numbered roads outside."""
    road_danger: NDArray[np.float64]
    """(communes, roads), for streets and highways alike."""


@cache
def world() -> World:
    draw = np.random.default_rng(19_690_720)
    count = len(_CENTRES) * _COMMUNES_EACH
    department = np.repeat(np.array(list(_CENTRES)), _COMMUNES_EACH)
    number = np.tile(np.arange(1, _COMMUNES_EACH + 1) * 7, len(_CENTRES))
    commune = np.array(
        [f"{dep}{code:0{5 - len(dep)}d}" for dep, code in zip(department.tolist(), number.tolist(), strict=True)]
    )
    centre = np.repeat(np.array(list(_CENTRES.values())), _COMMUNES_EACH, axis=0)
    spread = np.where(department == "75", 0.03, 0.3)
    size = draw.pareto(1.5, count) + 0.2
    roads = len(_STREETS)
    highways = draw.integers(2, 999, (count, roads))
    return World(
        department=department,
        commune=commune,
        latitude=centre[:, 0] + spread * draw.normal(0, 1, count),
        longitude=centre[:, 1] + spread * draw.normal(0, 1, count),
        weight=size / size.sum(),
        town=np.where(department == "75", 0.97, np.clip(0.35 + 0.25 * np.log1p(size), 0.1, 0.9)),
        danger=draw.normal(0, 0.35, count),
        streets=np.tile(np.array(_STREETS), (count, 1)),
        highways=np.char.add("D", highways.astype(str)),
        road_danger=draw.normal(0, 0.3, (count, roads)),
    )
