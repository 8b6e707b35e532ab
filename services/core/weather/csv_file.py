"""Hourly weather from a CSV file in Meteostat's export layout, with the standard library alone."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from services.core.weather.hours import Hours, WeatherError, sorted_hours

COLUMNS = ("time", "temp", "prcp", "wspd")


class CsvWeather:
    """Reads the file anew each time it is asked, so that whoever writes it needs to tell nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hours(self) -> Hours:
        try:
            with self._path.open(encoding="utf-8", newline="") as stream:
                reader = csv.DictReader(stream)
                missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
                if missing:
                    raise WeatherError(f"{self._path.name} lacks the columns {', '.join(missing)}.")
                rows = [(_seconds(row["time"]), *(_number(row[name]) for name in COLUMNS[1:])) for row in reader]
        except (OSError, ValueError, csv.Error) as error:
            raise WeatherError(f"{self._path.name} cannot be read: {error}") from error
        return sorted_hours(*zip(*rows, strict=True)) if rows else sorted_hours([], [], [], [])


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str | None) -> float:
    return float(text) if text and text.strip() else float("nan")
