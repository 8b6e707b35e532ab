"""Causal model of the simulator: communes, roads, scenes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from services.use_cases.road_accidents.geography import FRANCE

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
class RoadNetwork:
    """Simulated communes and roads: arrays (communes,) and (communes, roads)."""

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
def road_network() -> RoadNetwork:
    """The road network of the simulator, always the same."""
    draw = np.random.default_rng(19_690_720)
    count = len(_CENTRES) * _COMMUNES_EACH
    department = np.repeat(np.array(list(_CENTRES)), _COMMUNES_EACH)
    number = np.tile(np.arange(1, _COMMUNES_EACH + 1) * 7, len(_CENTRES))
    commune = np.array(
        [f"{dep}{code:0{5 - len(dep)}d}" for dep, code in zip(department.tolist(), number.tolist(), strict=True)]
    )
    centre = np.repeat(np.array(list(_CENTRES.values())), _COMMUNES_EACH, axis=0)
    spread = np.where(department == "75", 0.03, 0.3)
    boxes = np.array([FRANCE.boxes[FRANCE.box_names[code]] for code in department.tolist()])
    size = draw.pareto(1.5, count) + 0.2
    roads = len(_STREETS)
    highways = draw.integers(2, 999, (count, roads))
    return RoadNetwork(
        department=department,
        commune=commune,
        latitude=np.clip(centre[:, 0] + spread * draw.normal(0, 1, count), boxes[:, 0], boxes[:, 1]),
        longitude=np.clip(centre[:, 1] + spread * draw.normal(0, 1, count), boxes[:, 2], boxes[:, 3]),
        weight=size / size.sum(),
        town=np.where(department == "75", 0.97, np.clip(0.35 + 0.25 * np.log1p(size), 0.1, 0.9)),
        danger=draw.normal(0, 0.35, count),
        streets=np.tile(np.array(_STREETS), (count, 1)),
        highways=np.char.add("D", highways.astype(str)),
        road_danger=draw.normal(0, 0.3, (count, roads)),
    )


SCENARIOS = ("pedestrian", "bicycle", "two-wheeler", "two-wheeler alone", "car alone", "cars", "pile-up", "truck")
_IN_TOWN = np.array([0.20, 0.19, 0.26, 0.06, 0.06, 0.15, 0.03, 0.05])
_OUTSIDE = np.array([0.03, 0.05, 0.17, 0.13, 0.24, 0.23, 0.08, 0.07])
_HOURS = np.array([2, 1, 1, 1, 1, 2, 3, 6, 8, 6, 6, 7, 8, 8, 8, 9, 11, 13, 12, 9, 6, 5, 4, 3], dtype=float)


@dataclass(frozen=True, slots=True)
class Scene:
    """Simulated accidents before the impact, arrays (n,)."""

    place: NDArray[np.int64]
    moment: NDArray[np.datetime64]
    urban: NDArray[np.bool_]
    new_road: NDArray[np.bool_]
    road: NDArray[np.int64]
    category: NDArray[np.int64]
    limit: NDArray[np.int64]
    light: NDArray[np.int64]
    weather: NDArray[np.int64]
    bend: NDArray[np.int64]
    junction: NDArray[np.int64]
    scenario: NDArray[np.int64]
    obstacle: NDArray[np.int64]
    collision: NDArray[np.int64]
    violence: NDArray[np.float64]
    """What the impact adds to everyone's harm, in standard deviations."""


def draw_scene(draw: np.random.Generator, n: int, start: str, days: int, *, new_roads: bool) -> Scene:
    """Draw n accidents with place, time, road and participants, sorted by time, from the day ``start`` (ISO) on."""
    places = road_network()
    place = draw.choice(len(places.weight), n, p=places.weight)
    minute = draw.integers(0, days, n) * 1_440 + draw.choice(24, n, p=_HOURS / _HOURS.sum()) * 60
    moment = np.datetime64(start, "m") + np.sort(minute) + draw.integers(0, 60, n)
    hour = (moment.astype(np.int64) // 60) % 24
    month = moment.astype("datetime64[M]").astype(np.int64) % 12 + 1
    urban = draw.random(n) < places.town[place]
    new_road = ~urban & (draw.random(n) < 0.5) if new_roads else np.zeros(n, dtype=bool)
    category = np.where(
        urban, draw.choice([3, 4, 7], n, p=[0.3, 0.6, 0.1]), draw.choice([1, 2, 3], n, p=[0.2, 0.1, 0.7])
    )
    category = np.where(new_road, 3, category)
    outside = np.select([category == 1, category == 2], [130, 110], draw.choice([70, 80, 90], n, p=[0.2, 0.6, 0.2]))
    limit = np.where(urban, draw.choice([30, 50, 70], n, p=[0.3, 0.6, 0.1]), np.where(new_road, 100, outside))
    dark_from = 18.0 + 3.5 * np.sin((month - 3) / 12 * 2 * np.pi)
    night = (hour < 24 - dark_from + 1) | (hour >= dark_from)
    dusk = ~night & ((hour < 25.5 - dark_from) | (hour >= dark_from - 1))
    light = np.where(night, np.where(urban, 5, 3), np.where(dusk, 2, 1))
    wet = np.isin(month, (10, 11, 12, 1, 2, 3))
    weather = np.where(
        draw.random(n) < np.where(wet, 0.3, 0.15), draw.choice([2, 3, 5, 8], n, p=[0.6, 0.2, 0.1, 0.1]), 1
    )
    scenario = np.where(urban, draw.choice(8, n, p=_IN_TOWN), draw.choice(8, n, p=_OUTSIDE))
    alone = np.isin(scenario, (3, 4))
    obstacle = np.where(alone, draw.choice([0, 2, 3, 6, 8, 13, 16], n, p=[0.25, 0.15, 0.15, 0.1, 0.1, 0.2, 0.05]), 0)
    collision = np.select(
        [scenario == 0, alone, scenario == 6],
        [6, np.where(obstacle > 0, 6, 7), draw.choice([4, 5], n)],
        draw.choice([1, 2, 3], n, p=[0.2, 0.3, 0.5]),
    )
    bend = np.where(draw.random(n) < np.where(urban, 0.1, 0.35), draw.choice([2, 3, 4], n), 1)
    junction = np.where(
        draw.random(n) < np.where(urban, 0.5, 0.15), draw.choice([2, 3, 4, 6], n, p=[0.4, 0.35, 0.1, 0.15]), 1
    )
    road = draw.integers(0, places.road_danger.shape[1], n)
    speed = limit * np.exp(draw.normal(-0.15, 0.25, n)) * np.where(weather > 1, 0.9, 1.0)
    violence = (
        1.1 * np.log(speed / 50)
        + 0.7 * (collision == 1)
        - 0.5 * (collision == 2)
        + 0.8 * np.isin(obstacle, (2, 6))
        + 0.35 * (light == 3)
        + 0.25 * (bend > 1)
        - 0.5 * (junction == 6)
        + 0.5 * (scenario == 7)
        + places.danger[place]
        + places.road_danger[place, road]
        + 1.0 * new_road
    )
    return Scene(
        place, moment, urban, new_road, road, category, limit, light, weather, bend, junction, scenario, obstacle,
        collision, violence,
    )  # fmt: skip
