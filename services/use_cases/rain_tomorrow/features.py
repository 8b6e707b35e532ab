"""Feature function of ``rain_tomorrow``: today, the station's last days, the other stations, and their regressions.

Rows go through in blocks, every row by the same operations, so that one call and a million rows agree bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import Arrays, Columns, Features
from services.use_cases.rain_tomorrow import history, station_regressions
from services.use_cases.rain_tomorrow import history as around
from services.use_cases.rain_tomorrow.history import DAYS_BACK, SECONDS_A_DAY, Floats, History
from services.use_cases.rain_tomorrow.stations import (
    EAST,
    NORTH,
    NUMBER_FIELDS,
    QUANTITIES,
    RAINY_MM,
    STATION_NAMES,
    STATIONS,
    WIND_FIELDS,
)

_BLOCK = 2_000
_SHARE_STRENGTH = 50.0
"""Days that the average station's share of rainy days is worth beside a station's own."""
_FEWEST_OTHERS = 4
"""Other stations with observations below which there is no weather map."""

_CHANGES = {
    "pressure_change": ("pressure_3pm", "pressure_9am"),
    "humidity_change": ("humidity_3pm", "humidity_9am"),
    "temperature_change": ("temperature_3pm", "temperature_9am"),
    "temperature_range": ("max_temperature", "min_temperature"),
}
_DEW = {
    "dew_point_9am": ("temperature_9am", "humidity_9am"),
    "dew_point_3pm": ("temperature_3pm", "humidity_3pm"),
}
_FOLLOWED = (
    "rainfall",
    "humidity_3pm",
    "humidity_9am",
    "pressure_3pm",
    "pressure_9am",
    "cloud_3pm",
    "sunshine",
    "temperature_3pm",
    "max_temperature",
    "min_temperature",
    "gust_speed",
)
"""Quantities whose last days count."""
_SEEN_AROUND = (
    *_FOLLOWED,
    "temperature_9am",
    "wind_direction_3pm_north",
    "wind_direction_3pm_east",
)
_SEEN_BESIDE = ("pressure_3pm", "humidity_3pm", "rainfall", "cloud_3pm", "temperature_3pm", "min_temperature")
_BESIDE = 6
"""Nearest stations whose values stand by themselves."""
_ODDS_BESIDE = 8

_TODAY = (
    *QUANTITIES,
    *_CHANGES,
    *_DEW,
    "year_sine",
    "year_cosine",
    "latitude",
    "longitude",
    "station_share",
)
_PAST = (
    *(f"{name}_{part}" for name in _FOLLOWED for part in ("since_yesterday", "since_two_days", "week")),
    "rainfall_yesterday",
    "rainfall_two_days_ago",
    "rainy_days",
)
_AROUND = (
    *(f"{name}_{window}" for name in _SEEN_AROUND for window in around.NEIGHBOUR_WINDOWS),
    *(f"{name}_beside_{number}" for name in _SEEN_BESIDE for number in range(1, _BESIDE + 1)),
)
_MAP = (
    "map_odds",
    *(f"map_odds_{reach}" for reach in around.KERNEL_WIDTHS),
    *(f"map_odds_beside_{number}" for number in range(1, _ODDS_BESIDE + 1)),
    "other_stations",
)
DAY_FEATURES = (*_TODAY, *_PAST, *_AROUND, *_MAP)
FEATURE_NAMES: Mapping[str, tuple[str, ...]] = {"day": DAY_FEATURES}
FEATURE_INPUTS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in NUMBER_FIELDS},
    **{f"{wind}_{part}": (wind,) for wind in WIND_FIELDS for part in ("north", "east")},
    **_CHANGES,
    **_DEW,
    "year_sine": ("date",),
    "year_cosine": ("date",),
    **dict.fromkeys(("latitude", "longitude", "station_share"), ("station",)),
    **{f"{name}_{part}": (name,) for name in _FOLLOWED for part in ("since_yesterday", "since_two_days", "week")},
}
"""What the past days and the other stations add comes from no request field."""

_ROW = {name: number for number, name in enumerate(QUANTITIES)}
_RAIN = _ROW["rainfall"]
_PLACES = np.array([STATIONS[name] for name in STATION_NAMES])
_NUMBER = {name: number for number, name in enumerate(STATION_NAMES)}


@dataclass(frozen=True, slots=True)
class FittedTables:
    """Fitted encodings: each station's share of rainy days, and the regressions."""

    share: Floats
    """(stations,): share of rainy tomorrows."""
    outlook: station_regressions.StationRegressions


def fit(
    columns: Columns,
    labels: Mapping[str, NDArray[np.float64]],
    reference: Mapping[str, NDArray[Any]],
    context: Mapping[str, Any],
) -> Arrays:
    """Learn each station's share of rainy tomorrows, and the stations' regressions; arguments as in ``FeatureSet.fit``.

    Columns and the label ``rain`` are (n,), float64 (dates in seconds since 1970 UTC) or str; the share is (stations,),
    0 to 1, float64.
    """
    rained, stations = labels["rain"], _stations(columns)
    known = ~np.isnan(rained)
    base = float(rained[known].mean()) if known.any() else 0.0
    count = np.bincount(stations[known], minlength=len(STATION_NAMES))
    rainy = np.bincount(stations[known], weights=rained[known], minlength=len(STATION_NAMES))
    share = (rainy + _SHARE_STRENGTH * base) / (count + _SHARE_STRENGTH)
    past = history.history_from_context(context)
    return {"share": share, **station_regressions.fit_regressions(past, _days(columns), stations, rained)}


def prepare(arrays: Mapping[str, NDArray[Any]]) -> FittedTables:
    """Load the tables that ``fit`` returned: float64 ``share`` (n,), 0 to 1, of n stations, and the regressions."""
    return FittedTables(np.asarray(arrays["share"], dtype=np.float64), station_regressions.load_regressions(arrays))


def features(columns: Columns, fitted: FittedTables, context: Mapping[str, Any]) -> Features:
    """Compute the feature matrix ``day`` of n requests; arguments as in ``FeatureSet.features``.

    Returns:
        The matrix (n, p), float32, in the order of ``DAY_FEATURES`` and the units of the request fields. Facts (n,),
        int64: ``own_days`` and ``other_stations``, how many were known.
    """
    past = history.history_from_context(context)
    rows = len(columns["date"])
    matrix = np.empty((rows, len(DAY_FEATURES)), dtype=np.float32)
    own_days, others = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    for start in range(0, rows, _BLOCK):
        part = slice(start, min(start + _BLOCK, rows))
        block = {name: values[part] for name, values in columns.items()}
        matrix[part], own_days[part], others[part] = _block(block, fitted, past)
    return Features({"day": matrix}, {"own_days": own_days, "other_stations": others})


def _block(
    columns: Columns, fitted: FittedTables, past: History
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    stations, days = _stations(columns), _days(columns)
    today = _today(columns)
    before = history.values_before(past, days, stations)
    field = history.values_at(past, days)
    rows = np.arange(len(days))
    field[rows, :, stations] = np.nan  # what the caller says counts, not what is stored of the same day
    others = (~np.isnan(field)).any(axis=1).sum(axis=1)
    made = np.concatenate(
        [
            _own(today, columns, stations, days, fitted),
            _past(today, before),
            _seen_around(field, stations),
            _weather_map(field, today, others, stations=stations, days=days, fitted=fitted),
        ],
        axis=1,
    )
    return made, (~np.isnan(before)).any(axis=1).sum(axis=1), others


def _stations(columns: Columns) -> NDArray[np.int64]:
    return np.array([_NUMBER[name] for name in columns["station"].tolist()], dtype=np.int64)


def _days(columns: Columns) -> NDArray[np.int64]:
    return np.floor(columns["date"] / SECONDS_A_DAY).astype(np.int64)


def _today(columns: Columns) -> Floats:
    """Observations that the caller sends: (n, quantities), float64, in the units of the request fields."""
    made = [columns[name] for name in NUMBER_FIELDS]
    for wind in WIND_FIELDS:
        words = columns[wind].tolist()
        made += [np.array([part.get(word, np.nan) for word in words]) for part in (NORTH, EAST)]
    return np.stack(made, axis=1)


def _own(
    today: Floats, columns: Columns, stations: NDArray[np.int64], days: NDArray[np.int64], fitted: FittedTables
) -> Floats:
    changes = [today[:, _ROW[later]] - today[:, _ROW[earlier]] for later, earlier in _CHANGES.values()]
    dew = [_dew_point(today[:, _ROW[warm]], today[:, _ROW[damp]]) for warm, damp in _DEW.values()]
    angle = days * (2 * np.pi / 365.2425)
    place = _PLACES[stations]
    rest = [np.sin(angle), np.cos(angle), place[:, 0], place[:, 1], fitted.share[stations]]
    return np.concatenate([today, np.stack([*changes, *dew, *rest], axis=1)], axis=1)


def _dew_point(temperature: Floats, humidity: Floats) -> Floats:
    """°C, by Magnus' formula (Sonntag 1990)."""
    wet = np.log(np.maximum(humidity, 1.0) / 100.0) + 17.62 * temperature / (243.12 + temperature)
    found: Floats = 243.12 * wet / (17.62 - wet)
    return found


def _past(today: Floats, before: Floats) -> Floats:
    """Changes since yesterday and the day before, and the mean of seven days; missing without any past day."""
    made = []
    for name in _FOLLOWED:
        now, then = today[:, _ROW[name]], before[:, _ROW[name]]
        week = np.concatenate([now[:, None], then], axis=1)
        unknown = np.isnan(then).all(axis=1)
        made += [now - then[:, 0], now - then[:, 1], np.where(unknown, np.nan, _mean_of_known(week))]
    rain = before[:, _RAIN]
    rainy = np.where(np.isnan(rain), np.nan, rain > RAINY_MM)
    return np.stack([*made, rain[:, 0], rain[:, 1], _mean_of_known(rainy)], axis=1)


def _mean_of_known(values: Floats) -> Floats:
    """Mean of each row; NaN where nothing of it is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _seen_around(field: Floats, stations: NDArray[np.int64]) -> Floats:
    means = around.neighbour_means(np.ascontiguousarray(field[:, [_ROW[name] for name in _SEEN_AROUND]]), stations)
    beside = around.nearest_values(field[:, [_ROW[name] for name in _SEEN_BESIDE]], stations, _BESIDE)
    return np.concatenate([means.reshape(len(field), -1), beside.reshape(len(field), -1)], axis=1)


def _weather_map(
    field: Floats,
    today: Floats,
    others: NDArray[np.int64],
    *,
    stations: NDArray[np.int64],
    days: NDArray[np.int64],
    fitted: FittedTables,
) -> Floats:
    """The regressions' log odds here, around and at the nearest stations; missing where too few others are known."""
    rows = np.arange(len(days))
    whole = field.copy()
    whole[rows, :, stations] = today
    odds = station_regressions.log_odds(whole, days, fitted.outlook)
    weights = around.NEIGHBOUR_WEIGHTS[stations][:, :, : len(around.KERNEL_WIDTHS)]
    nearby = np.matmul(odds[:, None, :], weights)[:, 0, :] / weights.sum(axis=1)
    beside = odds[rows[:, None], around.NEAREST_STATIONS[stations][:, :_ODDS_BESIDE]]
    made = np.concatenate([odds[rows, stations][:, None], nearby, beside], axis=1)
    made[others < _FEWEST_OTHERS] = np.nan
    return np.concatenate([made, others[:, None].astype(np.float64)], axis=1)


__all__ = [
    "DAYS_BACK",
    "DAY_FEATURES",
    "FEATURE_INPUTS",
    "FEATURE_NAMES",
    "FittedTables",
    "features",
    "fit",
    "prepare",
]
