"""Hourly weather as arrays, and the interface of a weather provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEATHER_VARIABLES = ("temperature", "precipitation", "wind")
"""°C, mm in the hour, km/h."""
MAX_AGE_SECONDS = 2 * 3_600.0
"""An hour that began longer ago than this says nothing about now."""


class HourlyWeather(NamedTuple):
    """Arrays (n,): the beginning of each hour in seconds since 1970 UTC, rising, and what was
    measured or forecast for it; missing is NaN."""

    time: Floats
    temperature: Floats
    precipitation: Floats
    wind: Floats

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Named as in a use case's context: ``weather_time``, ``weather_temperature``, ..."""
        return {f"weather_{name}": values for name, values in zip(self._fields, self, strict=True)}


class WeatherProvider(Protocol):
    """Knows the weather of the last day or so. May take its time and may fail: it is only asked in
    the background."""

    def hours(self) -> HourlyWeather:
        """Raises:
        WeatherError: the provider cannot be reached or says something else than weather.
        """
        ...


class WeatherError(Exception):
    """Why there is no new weather, in a sentence."""


class NoWeatherProvider:
    """For those who want none: no hours at all."""

    def hours(self) -> HourlyWeather:
        return sort_hours([], [], [], [])


def sort_hours(time: Any, temperature: Any, precipitation: Any, wind: Any) -> HourlyWeather:
    """Rising and without repeated hours (the last one counts)."""
    columns = [np.asarray(values, dtype=np.float64) for values in (time, temperature, precipitation, wind)]
    order = np.argsort(columns[0], kind="stable")
    columns = [values[order] for values in columns]
    last = np.append(np.diff(columns[0]) > 0, True)[: len(order)]
    return HourlyWeather(*(values[last] for values in columns))


def weather_at(context: Mapping[str, Any], time: Floats) -> NDArray[np.float32]:
    """Temperature, precipitation and wind (n, 3) of the hour that each of ``time`` (n,) lies in, from a
    context's arrays; NaN where there are none or the newest hour before it is stale."""
    found = np.full((len(time), len(WEATHER_VARIABLES)), np.nan, dtype=np.float32)
    begins = context.get("weather_time")
    if begins is None or len(begins) == 0:
        return found
    hour = np.searchsorted(begins, time, side="right") - 1
    fresh = (hour >= 0) & (time - begins[np.maximum(hour, 0)] < MAX_AGE_SECONDS)
    for column, name in enumerate(WEATHER_VARIABLES):
        found[fresh, column] = context[f"weather_{name}"][hour[fresh]]
    return found
