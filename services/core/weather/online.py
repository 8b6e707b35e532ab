"""Weather services over HTTP: Open-Meteo, which needs no key, and Visual Crossing, which does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from services.core.weather.hours import Hours, WeatherError, sorted_hours

OPEN_METEO = "https://api.open-meteo.com"
VISUAL_CROSSING = "https://weather.visualcrossing.com"
_LARGEST = 4_000_000


class OpenMeteo:
    """The forecast interface: yesterday, today and tomorrow, hour by hour."""

    def __init__(self, latitude: float, longitude: float, *, url: str = OPEN_METEO, timeout: float = 10.0) -> None:
        self._url = f"{url.rstrip('/')}/v1/forecast"
        self._timeout = timeout
        self._query: dict[str, str | float | int] = {
            "latitude": latitude,
            "longitude": longitude,
            "hourly": "temperature_2m,precipitation,wind_speed_10m",
            "past_days": 1,
            "forecast_days": 2,
            "timeformat": "unixtime",
            "timezone": "GMT",
        }

    def hours(self) -> Hours:
        return _hours("Open-Meteo", self._url, self._query, self._timeout, _open_meteo)


class VisualCrossing:
    """The timeline interface: yesterday and today, hour by hour, in metric units."""

    def __init__(
        self, latitude: float, longitude: float, key: str, *, url: str = VISUAL_CROSSING, timeout: float = 10.0
    ) -> None:
        place = f"{latitude},{longitude}"
        self._url = f"{url.rstrip('/')}/VisualCrossingWebServices/rest/services/timeline/{place}/yesterday/today"
        self._timeout = timeout
        self._query: dict[str, str | float | int] = {
            "unitGroup": "metric",
            "include": "hours",
            "elements": "datetimeEpoch,temp,precip,windspeed",
            "contentType": "json",
            "key": key,
        }

    def hours(self) -> Hours:
        return _hours("Visual Crossing", self._url, self._query, self._timeout, _visual_crossing)


def _hours(
    name: str,
    url: str,
    query: Mapping[str, str | float | int],
    timeout: float,
    read: Callable[[Any], Hours],
) -> Hours:
    """The key travels in the query, so an error names the service and never the address."""
    try:
        with httpx.Client(timeout=timeout) as client, client.stream("GET", url, params=dict(query)) as answer:
            if answer.status_code != 200:
                raise WeatherError(f"{name} answered with status {answer.status_code}.")
            body = bytearray()
            for part in answer.iter_bytes():
                body += part
                if len(body) > _LARGEST:
                    raise WeatherError(f"{name} answered with more than {_LARGEST} bytes.")
        return read(httpx.Response(200, content=bytes(body)).json())
    except httpx.HTTPError as error:
        raise WeatherError(f"{name} cannot be reached: {type(error).__name__}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeatherError(f"{name} answered with something else than weather: {type(error).__name__}.") from None


def _open_meteo(body: Any) -> Hours:
    hourly = body["hourly"]
    return sorted_hours(
        hourly["time"],
        _numbers(hourly["temperature_2m"]),
        _numbers(hourly["precipitation"]),
        _numbers(hourly["wind_speed_10m"]),
    )


def _visual_crossing(body: Any) -> Hours:
    rows = [hour for day in body["days"] for hour in day["hours"]]
    return sorted_hours(
        [hour["datetimeEpoch"] for hour in rows],
        *(_numbers([hour.get(name) for hour in rows]) for name in ("temp", "precip", "windspeed")),
    )


def _numbers(values: list[Any]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]
