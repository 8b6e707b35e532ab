"""Current weather, held in memory and on disk and refreshed in the background: requests never wait for it."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from services.core.background import PeriodicThread
from services.core.io import atomic_write
from services.core.weather.hourly import MAX_AGE_SECONDS, HourlyWeather, WeatherError, WeatherProvider, sort_hours


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
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("kept weather is unreadable", reason=type(error).__name__)
        return sort_hours([], [], [], [])


def _save_cached(path: Path, hours: HourlyWeather) -> None:
    atomic_write(path, lambda stream: np.savez(stream, **hours._asdict()))
