"""Writes daily observations in the official layouts, quirks included: the long table, and for its last weeks the
Bureau's monthly file of each station. Every file says ``simulated`` in its name.

``drift`` may name ``wetter-years`` (rain falls from weaker systems) and ``faulty-hygrometers`` (humidity is read too
high).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from services.core.errors import VigieError
from services.core.usecases.rain_tomorrow.observations import DIRECTIONS, NUMBERS, RAINY_MM, WINDS
from services.core.usecases.rain_tomorrow.reading import LONG, MONTHLY
from services.core.usecases.rain_tomorrow.stations import NAMES, STATIONS
from services.core.usecases.rain_tomorrow.weather_maker import FAULTY, WETTER, Floats, Weather, make

DRIFTS = (WETTER, FAULTY)
ROWS_A_DAY = 12
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
    order = [*_FIRST, *(name for name in NAMES if name not in _FIRST)]
    chosen = sorted(order[: min(max(1, round(rows / days)), len(NAMES))])
    stations = np.array([NAMES.index(name) for name in chosen])
    dates = pd.date_range(start, periods=days)
    first_day = int(np.datetime64(start, "D").astype(np.int64))
    weather = make(draw, stations, first_day, days, drift)
    table = _table(draw, weather, chosen, dates, FAULTY in drift)
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
    draw: np.random.Generator, weather: Weather, names: list[str], dates: pd.DatetimeIndex, faulty: bool
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
    for wind in WINDS:
        turn = np.round(11 - 2.5 * noon + noise(2.5)).astype(np.int64) % len(DIRECTIONS)
        words = np.array(DIRECTIONS, dtype=object)[turn.reshape(-1)]
        table[wind] = np.where(draw.random(len(table)) < 0.04, "", words)
    return table


def _own_number(name: str) -> int:
    """A number of its own for each station, the same in every run."""
    return sum(map(ord, name))


def _long(table: pd.DataFrame) -> pd.DataFrame:
    made = pd.DataFrame({"Date": table["date"].dt.strftime("%Y-%m-%d"), "Location": table["station"]})
    for field, column in LONG.items():
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
    for field in (*NUMBERS, *WINDS):
        made[MONTHLY[field]] = table[field]
    made["Time of maximum wind gust"] = "14:21"
    speed = MONTHLY["wind_speed_9am"]
    made[speed] = made[speed].astype(object).where(made[speed] != 0, "Calm")
    return "\r\n".join(head) + "\r\n" + made.to_csv(index=False, lineterminator="\r\n")
