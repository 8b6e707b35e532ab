"""The stations that the models know, with their places. Another country, or another station, starts by
changing this file; standard library alone."""

from __future__ import annotations

import re
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
NAMES: tuple[StationName, ...] = get_args(StationName)
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
STATIONS: dict[str, Station] = {name: Station(*place) for name, place in zip(NAMES, _PLACES, strict=True)}
POINTS: dict[str, tuple[float, float]] = {
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
_BY_LETTERS: dict[str, str] = {name.lower(): name for name in NAMES} | _OTHER_NAMES


def station_called(title: str) -> str:
    """The station that a file's title means (``Alice Springs``, ``Melbourne (Olympic Park)``); "" if none."""
    plain = re.sub(r"\(.*?\)", "", title)
    return _BY_LETTERS.get(re.sub(r"[^a-z]", "", plain.lower()), "")
