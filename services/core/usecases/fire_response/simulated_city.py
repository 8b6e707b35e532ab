"""The city of the simulator: stations, roads and kinds of incident. It is the same for every seed, so
that a later simulated month happens in the same city."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CENTRE = (530_000.0, 180_000.0)
RADIUS = 21_000.0
_FIRST = (
    "Alder", "Birch", "Cedar", "Elm", "Hazel", "Hawthorn", "Juniper", "Larch", "Linden", "Maple", "Oak", "Rowan",
    "Willow", "Yew",
)  # fmt: skip
_LAST = ("Bridge", "Cross", "Green", "Hill", "Lane", "Park", "Wharf", "Wood")
BOROUGHS = {
    "CAMDEN": (528_500, 184_500), "HACKNEY": (534_500, 185_500), "WESTMINSTER": (528_500, 180_500),
    "SOUTHWARK": (533_000, 177_500), "LAMBETH": (530_500, 175_000), "WANDSWORTH": (526_000, 174_500),
    "EALING": (516_000, 181_000), "BRENT": (520_000, 186_000), "BARNET": (523_500, 193_000),
    "ENFIELD": (533_500, 196_000), "NEWHAM": (541_500, 183_500), "HAVERING": (552_000, 187_500),
    "GREENWICH": (541_000, 177_000), "BROMLEY": (541_500, 167_500), "CROYDON": (532_500, 165_000),
    "HILLINGDON": (508_000, 183_500), "HOUNSLOW": (514_000, 175_500), "MERTON": (525_500, 169_000),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of property: how often, how the calls divide over fire, false alarm and special
    service, and how many pumps the brigade sends to a fire there (the mean beyond the first)."""

    category: str
    name: str
    share: float
    groups: tuple[float, float, float]
    pumps: float


KINDS = (
    Kind("Dwelling", "House - single occupancy", 0.13, (0.22, 0.33, 0.45), 0.9),
    Kind("Dwelling", "Purpose Built Flats/Maisonettes - Up to 3 storeys", 0.11, (0.18, 0.40, 0.42), 0.9),
    Kind("Dwelling", "Purpose Built Flats/Maisonettes - 4 to 9 storeys", 0.14, (0.15, 0.40, 0.45), 1.2),
    Kind("Dwelling", "Purpose Built Flats/Maisonettes - 10 or more storeys", 0.05, (0.15, 0.40, 0.45), 2.2),
    Kind("Dwelling", "Converted Flat/Maisonettes - 3 or more storeys", 0.06, (0.22, 0.40, 0.38), 1.3),
    Kind("Other Residential", "Self contained Sheltered Housing", 0.06, (0.08, 0.80, 0.12), 1.0),
    Kind("Other Residential", "Retirement/Old Persons Home", 0.03, (0.05, 0.85, 0.10), 1.4),
    Kind("Other Residential", "Hotel/motel", 0.02, (0.05, 0.85, 0.10), 1.8),
    Kind("Non Residential", "Purpose built office", 0.05, (0.06, 0.76, 0.18), 0.5),
    Kind("Non Residential", "Single shop", 0.04, (0.22, 0.58, 0.20), 0.8),
    Kind("Non Residential", "Hospital", 0.03, (0.04, 0.90, 0.06), 2.6),
    Kind("Non Residential", "Infant/Primary school", 0.02, (0.07, 0.85, 0.08), 1.1),
    Kind("Non Residential", "Warehouse", 0.02, (0.20, 0.70, 0.10), 1.5),
    Kind("Outdoor", "Loose refuse", 0.05, (0.90, 0.08, 0.02), 0.0),
    Kind("Outdoor", "Road surface/pavement", 0.04, (0.12, 0.08, 0.80), 0.1),
    Kind("Outdoor Structure", "Small refuse/rubbish container", 0.06, (0.88, 0.10, 0.02), 0.0),
    Kind("Road Vehicle", "Car", 0.06, (0.45, 0.08, 0.47), 0.2),
    Kind("Road Vehicle", "Multiple Vehicles", 0.02, (0.05, 0.03, 0.92), 1.0),
    Kind("Rail Vehicle", "Train on rail", 0.005, (0.20, 0.40, 0.40), 2.0),
    Kind("Boat", "Motor yacht", 0.005, (0.30, 0.10, 0.60), 1.6),
)
NEW_KIND = Kind("Road Vehicle", "Battery powered vehicle", 0.05, (0.75, 0.10, 0.15), 1.8)
SERVICES = ("Lift Release", "Effecting entry/exit", "Flooding", "RTC", "Assist other agencies")


@dataclass(frozen=True, slots=True)
class City:
    names: NDArray[np.str_]
    codes: NDArray[np.str_]
    easting: NDArray[np.float64]
    northing: NDArray[np.float64]
    turnout: NDArray[np.float64]
    """Each station's own seconds from the bells to the road."""
    pumps: NDArray[np.int64]
    slow: NDArray[np.float64]
    """Share by which journeys around each station are slower than elsewhere: rivers, one-way streets."""


def city(stations: int = 96) -> City:
    """Stations on a a jittered spiral, denser in the middle."""
    generator = np.random.default_rng(1866)
    angle = np.arange(stations) * np.pi * (3 - np.sqrt(5))
    radius = RADIUS * np.sqrt((np.arange(stations) + 0.5) / stations) ** 1.25
    easting = CENTRE[0] + radius * np.cos(angle) + generator.normal(0, 350, stations)
    northing = CENTRE[1] + 0.85 * radius * np.sin(angle) + generator.normal(0, 350, stations)
    names = np.array([f"{first} {last}" for last in _LAST for first in _FIRST])[:stations]
    return City(
        names=names,
        codes=np.array([f"{'AEFGH'[i % 5]}{20 + i // 5}" for i in range(stations)]),
        easting=easting,
        northing=northing,
        turnout=generator.normal(70, 12, stations).clip(40, 120),
        pumps=generator.choice([1, 2], stations, p=[0.55, 0.45]),
        slow=generator.gamma(2.0, 0.09, stations),
    )


def nearest(easting: NDArray[np.float64], northing: NDArray[np.float64], where: City) -> NDArray[np.float64]:
    """Distance in metres of every place to every station, (n, stations)."""
    return np.hypot(easting[:, None] - where.easting[None, :], northing[:, None] - where.northing[None, :])
