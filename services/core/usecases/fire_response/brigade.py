"""The brigade: place, objective, time zone and public constants in one object, so that another
brigade can start by writing another one. Standard library alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Brigade:
    name: str
    zone: str
    country: str
    """For the bank holidays of the ``holidays`` package."""
    country_part: str
    own_service: str
    """What the column FRS says for the brigade's own ground."""
    objective_seconds: float
    easting: tuple[float, float]
    """Where calls may come from, metres of the national grid."""
    northing: tuple[float, float]
    cell: float
    """Side of the squares, in metres, that the nearest past incidents are looked up in."""
    pump_orders: int
    """The pumps whose attendance is learned: the first and the second."""
    usual_seconds: tuple[float, ...]
    """Published average attendance of the first and the second pump: the baseline."""
    usual_spread: tuple[float, float]
    """The baseline's interval as shares of the usual seconds."""
    usual_miss: tuple[float, ...]
    """Share of first and second pumps that miss the objective."""
    usual_pumps: dict[str, tuple[float, ...]]
    """Share of incidents with 1, 2, 3, 4 and more pumps, by incident group; "" is any group."""
    weather: bool
    """Whether the weather is a feature of attendance."""
    areas: dict[str, str]
    """Area of the subgroups (borough, upper case) -> part of the city."""


def _parts(**names: str) -> dict[str, str]:
    return {name: part for part, listed in names.items() for name in listed.split(", ")}


LONDON = Brigade(
    name="London Fire Brigade",
    zone="Europe/London",
    country="GB",
    country_part="ENG",
    own_service="London",
    objective_seconds=360.0,
    easting=(490_000.0, 575_000.0),
    northing=(145_000.0, 230_000.0),
    cell=250.0,
    pump_orders=2,
    usual_seconds=(312.0, 390.0),
    usual_spread=(0.45, 1.85),
    usual_miss=(0.28, 0.54),
    usual_pumps={
        "Fire": (0.53, 0.35, 0.07, 0.04, 0.01),
        "False Alarm": (0.43, 0.45, 0.08, 0.03, 0.01),
        "Special Service": (0.85, 0.12, 0.02, 0.005, 0.005),
        "": (0.59, 0.32, 0.06, 0.02, 0.01),
    },
    weather=False,
    areas=_parts(
        inner_north="CAMDEN, ISLINGTON, HACKNEY, TOWER HAMLETS, CITY OF LONDON, WESTMINSTER, KENSINGTON AND CHELSEA, "
        "HAMMERSMITH AND FULHAM",
        inner_south="LAMBETH, SOUTHWARK, LEWISHAM, GREENWICH, WANDSWORTH",
        outer_east="BARKING AND DAGENHAM, BEXLEY, HAVERING, NEWHAM, REDBRIDGE, WALTHAM FOREST",
        outer_north="BARNET, ENFIELD, HARINGEY",
        outer_south="BROMLEY, CROYDON, KINGSTON UPON THAMES, MERTON, SUTTON",
        outer_west="BRENT, EALING, HARROW, HILLINGDON, HOUNSLOW, RICHMOND UPON THAMES",
    ),
)
