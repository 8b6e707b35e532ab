"""Weather stations with positions and map outline, and the observed quantities. Standard library alone."""

from __future__ import annotations

import re
from math import cos, pi, sin
from typing import Literal, NamedTuple, get_args


class Station(NamedTuple):
    """Degrees, south and west negative."""

    latitude: float
    longitude: float


StationName = Literal[
    "Adelaide",
    "Albany",
    "Albury",
    "AliceSprings",
    "BadgerysCreek",
    "Ballarat",
    "Bendigo",
    "Brisbane",
    "Cairns",
    "Canberra",
    "Cobar",
    "CoffsHarbour",
    "Dartmoor",
    "Darwin",
    "GoldCoast",
    "Hobart",
    "Katherine",
    "Launceston",
    "Melbourne",
    "MelbourneAirport",
    "Mildura",
    "Moree",
    "MountGambier",
    "MountGinini",
    "Newcastle",
    "Nhil",
    "NorahHead",
    "NorfolkIsland",
    "Nuriootpa",
    "PearceRAAF",
    "Penrith",
    "Perth",
    "PerthAirport",
    "Portland",
    "Richmond",
    "Sale",
    "SalmonGums",
    "Sydney",
    "SydneyAirport",
    "Townsville",
    "Tuggeranong",
    "Uluru",
    "WaggaWagga",
    "Walpole",
    "Watsonia",
    "Williamtown",
    "Witchcliffe",
    "Wollongong",
    "Woomera",
]
STATION_NAMES: tuple[StationName, ...] = get_args(StationName)
"""In the order of every array over stations."""

_PLACES = (
    (-34.92, 138.62), (-34.94, 117.80), (-36.07, 146.95), (-23.80, 133.89), (-33.90, 150.73), (-37.51, 143.79),
    (-36.74, 144.33), (-27.48, 153.04), (-16.87, 145.75), (-35.31, 149.20), (-31.48, 145.83), (-30.32, 153.12),
    (-37.92, 141.26), (-12.42, 130.89), (-27.94, 153.43), (-42.89, 147.33), (-14.52, 132.38), (-41.42, 147.12),
    (-37.81, 144.97), (-37.67, 144.83), (-34.24, 142.09), (-29.49, 149.85), (-37.75, 140.77), (-35.53, 148.77),
    (-32.92, 151.80), (-36.31, 141.65), (-33.28, 151.58), (-29.04, 167.94), (-34.48, 139.01), (-31.67, 116.02),
    (-33.72, 150.68), (-31.92, 115.87), (-31.93, 115.98), (-38.31, 141.47), (-33.60, 150.78), (-38.12, 147.13),
    (-32.99, 121.62), (-33.86, 151.21), (-33.95, 151.17), (-19.25, 146.77), (-35.42, 149.09), (-25.19, 130.98),
    (-35.16, 147.46), (-34.95, 116.72), (-37.74, 145.10), (-32.79, 151.84), (-34.03, 115.10), (-34.37, 150.93),
    (-31.16, 136.81),
)  # fmt: skip
STATIONS: dict[str, Station] = {name: Station(*place) for name, place in zip(STATION_NAMES, _PLACES, strict=True)}
MAP_POINTS: dict[str, tuple[float, float]] = {
    name: (place.longitude, place.latitude) for name, place in STATIONS.items() if name != "NorfolkIsland"
}
"""For maps; Norfolk Island lies outside of them."""

REGIONS: dict[str, str] = {
    name: region
    for region, names in {
        "tropical north": "Cairns Darwin Katherine Townsville",
        "inland": "AliceSprings Cobar Mildura Moree Uluru Woomera WaggaWagga Albury",
        "west": "Albany PearceRAAF Perth PerthAirport SalmonGums Walpole Witchcliffe",
        "south": "Adelaide Ballarat Bendigo Dartmoor Melbourne MelbourneAirport MountGambier Nhil Nuriootpa "
        "Portland Sale Watsonia",
        "south-east highlands": "Canberra MountGinini Tuggeranong",
        "east coast": "BadgerysCreek Brisbane CoffsHarbour GoldCoast Newcastle NorahHead Penrith Richmond Sydney "
        "SydneyAirport Williamtown Wollongong",
        "islands": "Hobart Launceston NorfolkIsland",
    }.items()
    for name in names.split()
}
"""Station -> region of the subgroups."""

_OTHER_NAMES = {
    "pearce": "PearceRAAF",
    "nhill": "Nhil",
    "viewbank": "Watsonia",
    "yulara": "Uluru",
    "bellambi": "Wollongong",
}
_BY_LETTERS: dict[str, str] = {name.lower(): name for name in STATION_NAMES} | _OTHER_NAMES


def station_by_title(title: str) -> str:
    """The station that a file's title means (``Alice Springs``, ``Melbourne (Olympic Park)``); "" if none."""
    plain = re.sub(r"\(.*?\)", "", title)
    return _BY_LETTERS.get(re.sub(r"[^a-z]", "", plain.lower()), "")


Direction = Literal["N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
NORTH: dict[str, float] = {name: cos(number * pi / 8) for number, name in enumerate(DIRECTIONS)}
EAST: dict[str, float] = {name: sin(number * pi / 8) for number, name in enumerate(DIRECTIONS)}
"""Parts of the unit vector that points to where the wind comes from."""

NUMBER_FIELDS = (
    "min_temperature",
    "max_temperature",
    "rainfall",
    "evaporation",
    "sunshine",
    "gust_speed",
    "wind_speed_9am",
    "wind_speed_3pm",
    "humidity_9am",
    "humidity_3pm",
    "pressure_9am",
    "pressure_3pm",
    "cloud_9am",
    "cloud_3pm",
    "temperature_9am",
    "temperature_3pm",
)
"""Request fields that are numbers."""
WIND_FIELDS = ("gust_direction", "wind_direction_9am", "wind_direction_3pm")
"""Request fields that are words of the compass."""

QUANTITIES = (*NUMBER_FIELDS, *(f"{wind}_{part}" for wind in WIND_FIELDS for part in ("north", "east")))
"""The rows of every array over quantities: numbers as they are, directions as their two parts."""

RAINY_MM = 1.0
"""Rainfall to 9 am above which a day counts as rainy (the Bureau's ``RainToday``)."""


_MAINLAND = (
    (113.7, -22.6), (114.1, -21.8), (116.8, -20.5), (119.0, -20.0), (122.2, -18.0), (123.6, -17.4), (125.5, -14.5),
    (128.2, -15.0), (129.6, -14.9), (130.8, -12.4), (132.6, -11.3), (136.9, -12.2), (135.8, -15.0), (139.2, -17.4),
    (140.9, -17.5), (141.7, -14.0), (142.5, -10.8), (143.8, -14.3), (145.4, -15.0), (146.0, -18.2), (146.8, -19.2),
    (149.2, -21.2), (153.0, -25.3), (153.5, -28.2), (153.0, -31.0), (151.3, -33.7), (150.0, -37.3), (147.0, -38.3),
    (146.3, -39.1), (144.7, -38.2), (143.5, -38.8), (140.5, -38.0), (139.0, -35.8), (138.1, -34.2), (137.8, -32.6),
    (135.6, -34.9), (134.1, -32.7), (131.2, -31.5), (126.0, -32.3), (123.6, -33.9), (120.0, -33.9), (118.0, -35.1),
    (115.1, -34.3), (115.7, -32.0), (114.6, -29.0), (113.4, -26.0), (113.7, -22.6),
)  # fmt: skip
_TASMANIA = ((144.7, -40.7), (148.2, -40.9), (147.9, -43.2), (146.2, -43.6), (145.2, -42.2), (144.7, -40.7))

MAP_OUTLINE = (_MAINLAND, _TASMANIA)
"""Degrees: (longitude, latitude)."""
