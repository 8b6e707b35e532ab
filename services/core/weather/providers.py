"""Current weather: providers (hourly CSV file, Open-Meteo, Visual Crossing), and the feed that polls the chosen one.

The feed holds the weather in memory and on disk and refreshes it in the background: requests never wait for it."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import structlog

from services.core.background import PeriodicThread
from services.core.errors import VigieError
from services.core.io import atomic_write
from services.core.settings import Settings
from services.core.weather.hourly import (
    MAX_AGE_SECONDS,
    HourlyWeather,
    NoWeatherProvider,
    WeatherError,
    WeatherProvider,
    sort_hours,
)

CSV_COLUMNS = ("time", "temp", "prcp", "wspd")


class CsvWeatherProvider:
    """Reads the file at each poll, so a writer only has to replace it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hours(self) -> HourlyWeather:
        try:
            with self._path.open(encoding="utf-8", newline="") as stream:
                reader = csv.DictReader(stream)
                missing = [name for name in CSV_COLUMNS if name not in (reader.fieldnames or ())]
                if missing:
                    raise WeatherError(f"{self._path.name} lacks the columns {', '.join(missing)}.")
                rows = [
                    (_parse_time(row["time"]), *(_parse_number(row[name]) for name in CSV_COLUMNS[1:]))
                    for row in reader
                ]
        except (OSError, ValueError, csv.Error) as error:
            raise WeatherError(f"{self._path.name} cannot be read: {error}") from error
        return sort_hours(*zip(*rows, strict=True)) if rows else sort_hours([], [], [], [])


def _parse_time(text: str) -> float:
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _parse_number(text: str | None) -> float:
    return float(text) if text and text.strip() else float("nan")


OPEN_METEO_URL = "https://api.open-meteo.com"
VISUAL_CROSSING_URL = "https://weather.visualcrossing.com"
_MAX_RESPONSE_BYTES = 4_000_000


class OpenMeteoProvider:
    """Open-Meteo's forecast API (no key): yesterday, today and tomorrow, hourly."""

    def __init__(self, latitude: float, longitude: float, *, url: str = OPEN_METEO_URL, timeout: float = 10.0) -> None:
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

    def hours(self) -> HourlyWeather:
        return _fetch("Open-Meteo", self._url, self._query, self._timeout, _parse_open_meteo)


class VisualCrossingProvider:
    """Visual Crossing's timeline API: yesterday and today, hourly, in metric units."""

    def __init__(
        self, latitude: float, longitude: float, key: str, *, url: str = VISUAL_CROSSING_URL, timeout: float = 10.0
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

    def hours(self) -> HourlyWeather:
        return _fetch("Visual Crossing", self._url, self._query, self._timeout, _parse_visual_crossing)


def _fetch(
    name: str,
    url: str,
    query: Mapping[str, str | float | int],
    timeout: float,
    read: Callable[[Any], HourlyWeather],
) -> HourlyWeather:
    """Get and parse a response. The URL contains the API key, so errors name the service only."""
    try:
        with httpx.Client(timeout=timeout) as client, client.stream("GET", url, params=dict(query)) as answer:
            if answer.status_code != 200:
                raise WeatherError(f"{name} answered with status {answer.status_code}.")
            body = bytearray()
            for part in answer.iter_bytes():
                body += part
                if len(body) > _MAX_RESPONSE_BYTES:
                    raise WeatherError(f"{name} answered with more than {_MAX_RESPONSE_BYTES} bytes.")
        return read(httpx.Response(200, content=bytes(body)).json())
    except httpx.HTTPError as error:
        raise WeatherError(f"{name} cannot be reached: {type(error).__name__}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeatherError(f"{name} answered with something else than weather: {type(error).__name__}.") from None


def _parse_open_meteo(body: Any) -> HourlyWeather:
    hourly = body["hourly"]
    return sort_hours(
        hourly["time"],
        _to_floats(hourly["temperature_2m"]),
        _to_floats(hourly["precipitation"]),
        _to_floats(hourly["wind_speed_10m"]),
    )


def _parse_visual_crossing(body: Any) -> HourlyWeather:
    rows = [hour for day in body["days"] for hour in day["hours"]]
    return sort_hours(
        [hour["datetimeEpoch"] for hour in rows],
        *(_to_floats([hour.get(name) for hour in rows]) for name in ("temp", "precip", "windspeed")),
    )


def _to_floats(values: list[Any]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def create_provider(chosen: Settings, latitude: float, longitude: float) -> WeatherProvider:
    """Create the configured provider for a position in degrees.

    Raises:
        VigieError: the provider requires a file or a key that is not set.
    """
    url = str(chosen.weather_url) if chosen.weather_url else None
    if chosen.weather_provider == "csv":
        if chosen.weather_file is None:
            raise VigieError(
                "The weather is to come from a CSV file, but none is named.", action="Set VIGIE_WEATHER_FILE."
            )
        return CsvWeatherProvider(chosen.weather_file)
    if chosen.weather_provider == "open-meteo":
        return OpenMeteoProvider(latitude, longitude, url=url or OPEN_METEO_URL)
    if chosen.weather_provider == "visual-crossing":
        if not chosen.weather_key:
            raise VigieError("Visual Crossing needs a key, but none is set.", action="Set VIGIE_WEATHER_KEY.")
        return VisualCrossingProvider(latitude, longitude, chosen.weather_key, url=url or VISUAL_CROSSING_URL)
    return NoWeatherProvider()


class WeatherFeed:
    """Context source of weather. ``start`` loads the copy on disk and polls the provider every ``every`` seconds;
    ``snapshot`` reads one attribute."""

    def __init__(
        self, provider: WeatherProvider, kept: Path, *, every: float = 900.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._provider = provider
        self._kept = kept
        self._clock = clock
        self._hours = sort_hours([], [], [], [])
        self._arrays: Mapping[str, Any] = self._hours.arrays()
        self._thread = PeriodicThread("weather", self.refresh, every)
        self._log = structlog.get_logger()

    def start(self) -> None:
        self._hold(_load_cached(self._kept, self._log))
        self._thread.start()

    def stop(self) -> None:
        """Stop polling; waits for a request in progress up to its timeout."""
        self._thread.stop()
        self._thread.join()

    def snapshot(self) -> Mapping[str, Any]:
        return self._arrays

    def warning(self) -> str | None:
        """Return a warning for responses if the weather is missing or stale, else None."""
        begins = self._hours.time
        if len(begins) == 0:
            return "The weather is not known."
        now = self._clock()
        past = begins[begins <= now]
        if len(past) == 0 or now - past[-1] >= MAX_AGE_SECONDS:
            return "The weather is not up to date and was left out."
        return None

    def refresh(self) -> bool:
        """Poll the provider once; on an error the current data stays. Returns success."""
        try:
            hours = self._provider.hours()
        except WeatherError as error:
            self._log.warning("weather not refreshed", reason=str(error))
            return False
        self._hold(hours)
        try:
            _save_cached(self._kept, hours)
        except OSError as error:
            self._log.warning("weather not kept", reason=type(error).__name__)
        return True

    def _hold(self, hours: HourlyWeather) -> None:
        self._hours = hours
        self._arrays = hours.arrays()


def _load_cached(path: Path, log: Any) -> HourlyWeather:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return sort_hours(*(stored[name] for name in HourlyWeather._fields))
    except FileNotFoundError:
        return sort_hours([], [], [], [])
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the copy, the provider gives another
        log.warning("kept weather is unreadable", reason=type(error).__name__)
        return sort_hours([], [], [], [])


def _save_cached(path: Path, hours: HourlyWeather) -> None:
    atomic_write(path, lambda stream: np.savez(stream, **hours._asdict()))
