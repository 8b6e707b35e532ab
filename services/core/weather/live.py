"""The weather of now, held in memory and on disk and refreshed in the background: a call takes what
is there and never waits."""

from __future__ import annotations

import os
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from services.core.weather.hours import STALE, Hours, Provider, WeatherError, sorted_hours


class LiveWeather:
    """A context source. ``start`` begins with what was kept on disk and asks the provider every
    ``every`` seconds; ``snapshot`` is one attribute read."""

    def __init__(
        self, provider: Provider, kept: Path, *, every: float = 900.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._provider = provider
        self._kept = kept
        self._every = every
        self._clock = clock
        self._hours = sorted_hours([], [], [], [])
        self._arrays: Mapping[str, Any] = self._hours.arrays()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weather", daemon=True)
        self._log = structlog.get_logger()

    def start(self) -> None:
        self._hold(_read(self._kept, self._log))
        self._thread.start()

    def stop(self) -> None:
        """End the refreshing; a request that is under way is waited for up to its own timeout."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def snapshot(self) -> Mapping[str, Any]:
        return self._arrays

    def warning(self) -> str | None:
        """A sentence for the answer's warnings where the weather is missing or stale, else None."""
        begins = self._hours.time
        if len(begins) == 0:
            return "The weather is not known."
        now = self._clock()
        past = begins[begins <= now]
        if len(past) == 0 or now - past[-1] >= STALE:
            return "The weather is not up to date and was left out."
        return None

    def refresh(self) -> bool:
        """Ask once. Keeps what it has where the provider fails; True where it did not."""
        try:
            hours = self._provider.hours()
        except WeatherError as error:
            self._log.warning("weather not refreshed", reason=str(error))
            return False
        self._hold(hours)
        try:
            _write(self._kept, hours)
        except OSError as error:
            self._log.warning("weather not kept", reason=type(error).__name__)
        return True

    def _hold(self, hours: Hours) -> None:
        self._hours = hours
        self._arrays = hours.arrays()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.refresh()
            self._stopped.wait(self._every)


def _read(path: Path, log: Any) -> Hours:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return sorted_hours(*(stored[name] for name in Hours._fields))
    except FileNotFoundError:
        return sorted_hours([], [], [], [])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("kept weather is unreadable", reason=type(error).__name__)
        return sorted_hours([], [], [], [])


def _write(path: Path, hours: Hours) -> None:
    """Beside first, then renamed: whoever reads sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as stream:
            np.savez(stream, **hours._asdict())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
