"""Writes simulated observations in the official layouts from a causal weather model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.errors import VigieError
from services.use_cases.rain_tomorrow.layouts import LONG_COLUMNS, MONTHLY_COLUMNS
from services.use_cases.rain_tomorrow.stations import (
    DIRECTIONS,
    NUMBER_FIELDS,
    RAINY_MM,
    STATION_NAMES,
    STATIONS,
    WIND_FIELDS,
)

Floats = NDArray[np.float64]

WETTER_DRIFT, FAULTY_DRIFT = "wetter-years", "faulty-hygrometers"
"""Kinds of drift: rain falls from weaker systems, and humidity is read too high."""

_WAVES = 7
_SPEED = 7.0
"""Degrees of longitude that systems cross in a day."""


@dataclass(frozen=True, slots=True)
class SimulatedWeather:
    """Arrays (days, stations); ``rainfall`` has one day more, since each day's is measured on the next morning."""

    wet_9am: Floats
    wet_3pm: Floats
    rainfall: Floats
    season: Floats
    """(days, 1): 1 at midsummer, -1 at midwinter."""


def simulate_weather(
    draw: np.random.Generator, stations: NDArray[np.int64], first_day: int, days: int, drift: Collection[str]
) -> SimulatedWeather:
    """Simulate the weather at n stations from a causal model.

    Args:
        draw: random numbers.
        stations: numbers of stations (n,), int64.
        first_day: days since 1970.
        days: how many.
        drift: names of ``DRIFTS``.

    Returns:
        Arrays (days, n), float64: wetness in standard deviations, rainfall in mm.
    """
    shape = np.random.default_rng(20_081_201)
    length, tilt = shape.uniform(18, 70, _WAVES), shape.normal(0, 0.05, _WAVES)
    local = shape.normal(0, 0.35, len(STATION_NAMES))[stations]
    place = np.array([STATIONS[STATION_NAMES[number]] for number in stations.tolist()])
    strength = _autoregressive(draw, days + 2, _WAVES, 0.9)
    phase = np.cumsum(draw.normal(0, 0.25, (days + 2, _WAVES)), axis=0)
    number = np.arange(days + 1, dtype=np.float64)
    season = np.cos((first_day + np.arange(days + 1) - 15) * (2 * np.pi / 365.25))[:, None]

    def wetness(hour: float) -> Floats:
        """Of the air at this hour of each day, in standard deviations."""
        east = place[None, :, 1] - _SPEED * (number[:, None] + hour / 24)
        total = np.zeros((days + 1, len(stations)))
        for wave in range(_WAVES):
            mixed = strength[:-1, wave] + (strength[1:, wave] - strength[:-1, wave]) * hour / 24
            turned = 2 * np.pi * (east / length[wave] + tilt[wave] * place[None, :, 0]) + phase[:-1, wave][:, None]
            total += mixed[:, None] * np.cos(turned)
        return total / np.sqrt(_WAVES / 2) + local

    of_place = _autoregressive(draw, days + 1, len(stations), 0.6) * 0.4
    tropics = np.clip((place[:, 0] + 25) / 10, -1, 1)
    lift = 0.5 * tropics * season - 0.25 * (1 - np.abs(tropics)) * season
    base = wetness(20.0) + lift + of_place + draw.normal(0, 0.35, (days + 1, len(stations)))
    limit = 0.65 if WETTER_DRIFT in drift else 1.15
    amount = np.where(base > limit, RAINY_MM + draw.gamma(0.8, 7.0, base.shape) * (base - limit + 0.2), 0.0)
    drizzle = (base > limit - 0.35) & (base <= limit)
    amount = np.where(drizzle, draw.uniform(0.2, 1.0, base.shape), amount)
    before = np.where(draw.random((1, len(stations))) < 0.2, 4.0, 0.0)
    return SimulatedWeather(
        (wetness(9.0) + lift + of_place)[:days],
        (wetness(15.0) + lift + of_place)[:days],
        np.concatenate([before, amount[:days]]),
        season[:days],
    )


def _autoregressive(draw: np.random.Generator, days: int, count: int, memory: float) -> Floats:
    """Series (days, count) with unit spread that keep ``memory`` of the day before."""
    made = np.empty((days, count))
    made[0] = draw.normal(0, 1, count)
    for day in range(1, days):
        made[day] = memory * made[day - 1] + np.sqrt(1 - memory**2) * draw.normal(0, 1, count)
    return made


DRIFTS = (WETTER_DRIFT, FAULTY_DRIFT)
MAX_ROWS_PER_DAY = 12
"""A station has a row a day, and the simulated data of ``params.yaml`` so many stations."""
_FIRST = ("Sydney", "Perth", "Adelaide", "Melbourne", "Brisbane", "Canberra", "Hobart", "Darwin", "Woomera", "Cobar")
"""Where there are few rows these stations come first: they lie all over the country."""
_MONTHLY_DAYS = 28
"""The last days come in the monthly layout, if there are more than twice as many."""
_OFTEN_MISSING = ("evaporation", "sunshine", "cloud_9am", "cloud_3pm")


def write(folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()) -> list[Path]:
    """Write about ``rows`` rows: as many stations as ``days`` days from ``start`` (ISO) allow, one at least.

    Raises:
        VigieError: a drift that there is not.
    """
    unknown = set(drift) - set(DRIFTS)
    if unknown:
        raise VigieError(f"There is no drift {min(unknown)!r}.", expected="one of " + ", ".join(DRIFTS))
    draw = np.random.default_rng([seed, rows, days])
    order = [*_FIRST, *(name for name in STATION_NAMES if name not in _FIRST)]
    chosen = sorted(order[: min(max(1, round(rows / days)), len(STATION_NAMES))])
    stations = np.array([STATION_NAMES.index(name) for name in chosen])
    dates = pd.date_range(start, periods=days)
    first_day = int(np.datetime64(start, "D").astype(np.int64))
    weather = simulate_weather(draw, stations, first_day, days, drift)
    table = _table(draw, weather, chosen, dates, FAULTY_DRIFT in drift)
    late = table["date"] >= dates[-_MONTHLY_DAYS] if days > 2 * _MONTHLY_DAYS else table["date"] > dates[-1]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"simulated-weatherAUS-{start}.csv"
    _long(table[~late]).to_csv(path, index=False, na_rep="NA")
    written = [path]
    months = table[late].groupby(["station", table.loc[late, "date"].dt.strftime("%Y%m")])
    for (station, month), part in months:
        path = folder / f"simulated-daily-observations-{station}.{month}.csv"
        path.write_bytes(_monthly(str(station), part).encode("cp1252"))
        written.append(path)
    return written


def _table(
    draw: np.random.Generator, weather: SimulatedWeather, names: list[str], dates: pd.DatetimeIndex, faulty: bool
) -> pd.DataFrame:
    """One row per station and day, in the request's fields, and ``tomorrow``, the rain measured on the next morning."""
    shape = weather.wet_9am.shape
    south = -np.array([STATIONS[name].latitude for name in names])[None, :]

    def noise(size: float) -> Floats:
        return draw.normal(0, size, shape)

    morning, noon = weather.wet_9am, weather.wet_3pm
    warm = 31 - 0.55 * south + 6.5 * weather.season * np.clip(south / 35, 0.4, 1.2)
    highest = warm - 2.0 * noon + noise(2.0)
    lowest = warm - 10 + 1.2 * morning + noise(2.0)
    gust = np.clip(36 + 9 * noon + noise(10), 7, 130)
    humid = 15.0 if faulty else 0.0
    values: dict[str, Floats] = {
        "min_temperature": lowest,
        "max_temperature": np.maximum(highest, lowest + 1),
        "rainfall": weather.rainfall[:-1],
        "evaporation": np.clip(5 + 2.5 * weather.season - 1.4 * noon + noise(1.5), 0, 40),
        "sunshine": np.clip(7.5 + 1.5 * weather.season - 3.2 * noon + noise(1.8), 0, 14),
        "gust_speed": gust,
        "wind_speed_9am": np.clip(gust * 0.35 + noise(4), 0, 90),
        "wind_speed_3pm": np.clip(gust * 0.5 + noise(4), 0, 90),
        "humidity_9am": np.clip(68 + 10 * morning + noise(8) + humid, 3, 100),
        "humidity_3pm": np.clip(50 + 15 * noon + noise(8) + humid, 3, 100),
        "pressure_9am": 1_017 - 4.0 * morning - 2.5 * weather.season + noise(2.2),
        "pressure_3pm": 1_015 - 4.5 * noon - 2.5 * weather.season + noise(2.2),
        "cloud_9am": np.clip(np.round(4.2 + 1.9 * morning + noise(1.6)), 0, 8),
        "cloud_3pm": np.clip(np.round(4.2 + 2.1 * noon + noise(1.5)), 0, 8),
        "temperature_9am": (lowest * 0.6 + highest * 0.4) + noise(1.0),
        "temperature_3pm": highest - 1.2 + noise(0.6),
    }
    lacking = np.array([_own_number(name) for name in names])[None, :]
    for number, (field, made) in enumerate(values.items()):
        whole = (
            np.round(made, 0) if field.startswith(("humidity", "cloud", "wind_speed", "gust")) else np.round(made, 1)
        )
        share = 0.35 if field in _OFTEN_MISSING else 0.02
        never = field in _OFTEN_MISSING and (lacking + number) % 4 == 0
        values[field] = np.where(never | (draw.random(shape) < share), np.nan, whole)
    table = pd.DataFrame(
        {
            "station": np.tile(np.array(names, dtype=object), shape[0]),
            "date": np.repeat(dates.to_numpy(), shape[1]),
            **{field: made.reshape(-1) for field, made in values.items()},
            "tomorrow": weather.rainfall[1:].reshape(-1),
        }
    )
    for wind in WIND_FIELDS:
        turn = np.round(11 - 2.5 * noon + noise(2.5)).astype(np.int64) % len(DIRECTIONS)
        words = np.array(DIRECTIONS, dtype=object)[turn.reshape(-1)]
        table[wind] = np.where(draw.random(len(table)) < 0.04, "", words)
    return table


def _own_number(name: str) -> int:
    """A number of its own for each station, the same in every run."""
    return sum(map(ord, name))


def _long(table: pd.DataFrame) -> pd.DataFrame:
    made = pd.DataFrame({"Date": table["date"].dt.strftime("%Y-%m-%d"), "Location": table["station"]})
    for field, column in LONG_COLUMNS.items():
        made[column] = table[field]
    for column, fell in (("RainToday", table["rainfall"]), ("RainTomorrow", table["tomorrow"])):
        made[column] = np.where(fell.isna(), "", np.where(fell > RAINY_MM, "Yes", "No"))
    return made.replace("", np.nan)


def _monthly(station: str, table: pd.DataFrame) -> str:
    """One station's month as the Bureau writes it: text above the header, an empty first column, ``Calm``."""
    month = table["date"].iloc[0].strftime("%B %Y")
    head = [
        f'"Daily Weather Observations for {station}, Australia for {month}"',
        f'"Prepared from simulated data for {month}"',
        '"Observations of Vigie\'s simulator in the layout of the Bureau of Meteorology"',
        "",
    ]
    made = pd.DataFrame({"": "", "Date": table["date"].dt.strftime("%Y-%m-") + table["date"].dt.day.astype(str)})
    for field in (*NUMBER_FIELDS, *WIND_FIELDS):
        made[MONTHLY_COLUMNS[field]] = table[field]
    made["Time of maximum wind gust"] = "14:21"
    speed = MONTHLY_COLUMNS["wind_speed_9am"]
    made[speed] = made[speed].astype(object).where(made[speed] != 0, "Calm")
    return "\r\n".join(head) + "\r\n" + made.to_csv(index=False, lineterminator="\r\n")
