"""Hourly weather as arrays, and the interface of a weather provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEATHER_VARIABLES = ("temperature", "precipitation", "wind")
"""°C, mm per hour, km/h."""
MAX_AGE_SECONDS = 2 * 3_600.0
"""Maximum age of the hour that still counts as current, measured from its start."""


class HourlyWeather(NamedTuple):
    """Hourly weather as arrays (n,): start of each hour in seconds since 1970 UTC, ascending, and its measured or
    forecast values; missing is NaN."""

    time: Floats
    temperature: Floats
    precipitation: Floats
    wind: Floats

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays under their context names: ``weather_time``, ``weather_temperature``, ..."""
        return {f"weather_{name}": values for name, values in zip(self._fields, self, strict=True)}


class WeatherProvider(Protocol):
    """Provides the weather of about the last day. May be slow and may fail: it is called in the background only."""

    def hours(self) -> HourlyWeather:
        """Fetch the hourly weather.

        Raises:
            WeatherError: the provider is unreachable or its response is invalid.
        """
        ...


class WeatherError(Exception):
    """Why there is no new weather, as a sentence."""


class NoWeatherProvider:
    """Provider without data, for platforms that use no weather."""

    def hours(self) -> HourlyWeather:
        return sort_hours([], [], [], [])


def sort_hours(time: Any, temperature: Any, precipitation: Any, wind: Any) -> HourlyWeather:
    """Sort by time and drop duplicate hours (the last one wins)."""
    columns = [np.asarray(values, dtype=np.float64) for values in (time, temperature, precipitation, wind)]
    order = np.argsort(columns[0], kind="stable")
    columns = [values[order] for values in columns]
    last = np.append(np.diff(columns[0]) > 0, True)[: len(order)]
    return HourlyWeather(*(values[last] for values in columns))


def weather_at(context: Mapping[str, Any], time: Floats) -> NDArray[np.float32]:
    """Return temperature, precipitation and wind (n, 3) of the hour of each ``time`` (n,) from a context's arrays; NaN
    if missing or stale."""
    found = np.full((len(time), len(WEATHER_VARIABLES)), np.nan, dtype=np.float32)
    begins = context.get("weather_time")
    if begins is None or len(begins) == 0:
        return found
    hour = np.searchsorted(begins, time, side="right") - 1
    fresh = (hour >= 0) & (time - begins[np.maximum(hour, 0)] < MAX_AGE_SECONDS)
    for column, name in enumerate(WEATHER_VARIABLES):
        found[fresh, column] = context[f"weather_{name}"][hour[fresh]]
    return found
