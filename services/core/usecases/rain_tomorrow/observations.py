"""What is observed at a station in a day, and how it becomes numbers; standard library alone."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Literal, get_args

Direction = Literal["N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
NORTH: dict[str, float] = {name: cos(number * pi / 8) for number, name in enumerate(DIRECTIONS)}
EAST: dict[str, float] = {name: sin(number * pi / 8) for number, name in enumerate(DIRECTIONS)}
"""Parts of the unit vector that points to where the wind comes from."""

NUMBERS = (
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
WINDS = ("gust_direction", "wind_direction_9am", "wind_direction_3pm")
"""Request fields that are words of the compass."""

QUANTITIES = (*NUMBERS, *(f"{wind}_{part}" for wind in WINDS for part in ("north", "east")))
"""The rows of every array over quantities: numbers as they are, directions as their two parts."""

RAINY_MM = 1.0
"""Rainfall to 9 am above which a day counts as rainy (the Bureau's ``RainToday``)."""
