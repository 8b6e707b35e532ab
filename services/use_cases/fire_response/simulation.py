"""Causal model of the simulator: city, incidents, pumps, attendance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.errors import VigieError

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
    """A kind of property: its share, how its calls divide, and the mean number of pumps beyond the first for a fire.

    ``groups`` are the shares of fires, false alarms and special services.
    """

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
    """Stations of the simulated city, arrays (stations,); eastings and northings in metres."""

    names: NDArray[np.str_]
    codes: NDArray[np.str_]
    easting: NDArray[np.float64]
    northing: NDArray[np.float64]
    turnout: NDArray[np.float64]
    """Each station's own seconds from the bells to the road."""
    pumps: NDArray[np.int64]
    slow: NDArray[np.float64]
    """Share by which journeys around each station are slower than elsewhere: rivers, one-way streets."""


def build_city(stations: int = 96) -> City:
    """Place stations on a jittered spiral, denser in the middle."""
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


def nearest_stations(easting: NDArray[np.float64], northing: NDArray[np.float64], where: City) -> NDArray[np.float64]:
    """Distance of each place to each station.

    Args:
        easting: (n,), float64, metres.
        northing: (n,), float64, metres.
        where: the stations.

    Returns:
        Distances (n, stations), float64, metres.
    """
    return np.hypot(easting[:, None] - where.easting[None, :], northing[:, None] - where.northing[None, :])


DRIFTS = ("station-closed", "new-roads", "new-vehicle")
_HOURS = np.array([3, 2.6, 2, 1.7, 1.5, 1.6, 2, 2.8, 3.7, 4.4, 4.8, 5.1, 5.3, 5.5, 5.6, 5.8, 6, 6.2, 6.7, 6.2, 5.6,
                   4.9, 4.2, 3.6])  # fmt: skip
_GROUPS = np.array(["Fire", "False Alarm", "Special Service"])


def simulate_incidents(
    city: City, generator: np.random.Generator, *, rows: int, start: str, days: int, drift: Sequence[str]
) -> pd.DataFrame:
    """One row per incident, sorted by local time, in plain columns.

    Raises:
        VigieError: an unknown kind of drift.
    """
    unknown = sorted(set(drift) - set(DRIFTS))
    if unknown:
        raise VigieError(f"There is no drift {', '.join(unknown)}.", expected="some of " + ", ".join(DRIFTS))
    local = _times(generator, rows, start, days)
    easting, northing, border = _places(generator, rows)
    kind, group, service = _kinds(generator, rows, "new-vehicle" in drift)
    pumps = _pumps(generator, kind, group)
    distances = nearest_stations(easting, northing, city)
    if "station-closed" in drift:
        distances[:, closed_station(city)] = np.inf
    first, second = _attendances(city, generator, local, easting=easting, distances=distances, drift=drift)
    unrecorded = generator.random(rows) < 0.05
    none = unrecorded | border & (generator.random(rows) < 0.4)
    centres = np.array(list(BOROUGHS.values()), dtype=float)
    borough = np.hypot(easting[:, None] - centres[:, 0], northing[:, None] - centres[:, 1]).argmin(axis=1)
    kinds = (*KINDS, NEW_KIND)
    return pd.DataFrame(
        {
            "local": local,
            "easting": easting,
            "northing": northing,
            "group": group,
            "category": np.array([k.category for k in kinds])[kind],
            "type": np.array([k.name for k in kinds])[kind],
            "service_type": service,
            "borough": np.array(list(BOROUGHS))[borough],
            "borough_code": 1 + borough,
            "frs": np.where(border, "OverTheBorder", "London"),
            "ground": np.where(border, "OverTheBorder", city.names[distances.argmin(axis=1)]),
            "pumps": pumps,
            "seconds_1": np.where(none, np.nan, first[0]),
            "turnout_1": first[1],
            "station_1": np.where(none, "", city.names[first[2]]),
            "seconds_2": np.where(none | (pumps < 2), np.nan, second[0]),
            "turnout_2": second[1],
            "station_2": np.where(none | (pumps < 2), "", city.names[second[2]]),
        }
    )


def closed_station(city: City) -> int:
    """The station that the drift ``station-closed`` closes: the one nearest the middle."""
    return int(np.hypot(city.easting - CENTRE[0], city.northing - CENTRE[1]).argmin())


def _times(generator: np.random.Generator, rows: int, start: str, days: int) -> pd.DatetimeIndex:
    hour = generator.choice(24, rows, p=_HOURS / _HOURS.sum())
    seconds = generator.integers(0, days, rows) * 86_400 + hour * 3_600 + generator.integers(0, 3_600, rows)
    return pd.Timestamp(start) + pd.to_timedelta(np.sort(seconds), unit="s")


def _places(
    generator: np.random.Generator, rows: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Denser towards the middle; a few lie beyond the border, on another service's ground."""
    angle = generator.uniform(0, 2 * np.pi, rows)
    radius = RADIUS * generator.beta(1.3, 1.9, rows)
    border = generator.random(rows) < 0.006
    radius = np.where(border, RADIUS * generator.uniform(1.08, 1.2, rows), radius)
    return CENTRE[0] + radius * np.cos(angle), CENTRE[1] + 0.85 * radius * np.sin(angle), border


def _kinds(
    generator: np.random.Generator, rows: int, new: bool
) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.str_]]:
    kinds = (*KINDS, NEW_KIND)
    share = np.array([k.share for k in kinds])
    share[-1] *= new
    kind = generator.choice(len(kinds), rows, p=share / share.sum())
    bounds = np.cumsum([k.groups for k in kinds], axis=1)[kind]
    group = _GROUPS[(generator.random(rows)[:, None] > bounds[:, :2]).sum(axis=1)]
    service = np.where(group == "Special Service", generator.choice(SERVICES, rows), "")
    return kind, group, service


def _pumps(generator: np.random.Generator, kind: NDArray[np.int64], group: NDArray[np.str_]) -> NDArray[np.int64]:
    """One pump, and more with the property's own mean.

    All of it for a fire, nearly as many for an alarm (the brigade sends what the property calls for), few for a special
    service.
    """
    mean = np.array([k.pumps for k in (*KINDS, NEW_KIND)])[kind]
    factor = np.select([group == "Fire", group == "False Alarm"], [1.1, 0.9], 0.15)
    steady = np.floor(mean * factor + 0.45)
    chance = generator.choice([-1, 0, 1, 3], len(kind), p=[0.16, 0.66, 0.165, 0.015])
    return (1 + np.maximum(0, steady + chance)).astype(np.int64)


def _attendances(
    city: City,
    generator: np.random.Generator,
    local: pd.DatetimeIndex,
    *,
    easting: NDArray[np.float64],
    distances: NDArray[np.float64],
    drift: Sequence[str],
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]:
    """For the first and the second pump: seconds, turnout seconds, station."""
    rows = len(local)
    busy = generator.random((rows, len(city.names))) < 0.14
    choice = np.where(busy, distances + 40_000, distances)
    everyone = np.arange(rows)
    first = choice.argmin(axis=1)
    choice[everyone, first] = np.inf
    second = np.where((city.pumps[first] == 2) & (generator.random(rows) < 0.8), first, choice.argmin(axis=1))
    sent = []
    for station in (first, second):
        turnout = _turnout(city, generator, local, station)
        travel = _travel(
            city, generator, local, station, distance=distances[everyone, station], easting=easting, drift=drift
        )
        sent.append((np.round(turnout + travel).clip(20, 1_199), np.round(turnout), station))
    sooner = sent[0][0] <= sent[1][0]
    return [
        tuple(np.where(sooner == early, one, other) for one, other in zip(*sent, strict=True))
        for early in (True, False)
    ]


def _turnout(
    city: City, generator: np.random.Generator, local: pd.DatetimeIndex, station: NDArray[np.int64]
) -> NDArray[np.float64]:
    night = np.where((local.hour < 7) | (local.hour >= 23), 22.0, 0.0)
    return (city.turnout[station] + night + generator.normal(0, 14, len(station))).clip(15, 240)


def _travel(
    city: City,
    generator: np.random.Generator,
    local: pd.DatetimeIndex,
    station: NDArray[np.int64],
    *,
    distance: NDArray[np.float64],
    easting: NDArray[np.float64],
    drift: Sequence[str],
) -> NDArray[np.float64]:
    hour = local.hour.to_numpy() + local.minute.to_numpy() / 60
    rush = np.exp(-(((hour - 8.5) / 1.5) ** 2)) + np.exp(-(((hour - 17.7) / 2.0) ** 2))
    workday = np.where(local.weekday.to_numpy() < 5, 1.0, 0.35)
    middle = np.exp(-(((city.easting[station] - CENTRE[0]) ** 2 + (city.northing[station] - CENTRE[1]) ** 2) / 6e7))
    speed = 12.0 * (1 - 0.22 * rush * workday * (0.5 + middle)) / (1 + city.slow[station])
    if "new-roads" in drift:
        speed = np.where(easting > CENTRE[0] + 3_000, speed * 0.68, speed)
    return (
        22
        + 1.3 * distance / speed * generator.lognormal(0, 0.14, len(distance))
        + generator.exponential(18, len(distance))
    )
