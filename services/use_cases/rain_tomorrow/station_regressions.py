"""Ridge logistic regression for each station on all stations' observations of the day. NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import Arrays
from services.use_cases.rain_tomorrow.history import NEAREST_STATIONS, Floats, History
from services.use_cases.rain_tomorrow.stations import QUANTITIES, STATION_NAMES

_COMPONENTS = 100
_NEIGHBOURS = 10
_PENALTY = 330.0
_STEPS = 30
_FEWEST_DAYS = 200
"""Days that a usual value, and a station's regression, are learned from at least."""
_FARTHEST = 4.0
"""Standard deviations beyond which an anomaly counts no more."""
_SKEWED = [QUANTITIES.index(name) for name in ("rainfall", "evaporation")]

_WIDE = len(QUANTITIES) * len(STATION_NAMES)


class StationRegressions(NamedTuple):
    """Climatology and coefficients of all stations' regressions."""

    usual: Floats
    """(5, quantities * stations): coefficients of the time of year."""
    scale: Floats
    """(quantities * stations,): 1 over the standard deviation, 0 where too few days are known."""
    weights: Floats
    """(quantities * stations, stations)"""
    season: Floats
    """(5, stations), the intercept first."""


def load_regressions(arrays: Mapping[str, NDArray[Any]]) -> StationRegressions:
    """Load the regressions from the arrays that ``fit_regressions`` made, as float64.

    Coefficients are log odds per standard deviation: weights (p, k) of p observations for k stations.
    """
    return StationRegressions(
        *(np.ascontiguousarray(arrays[f"outlook_{name}"], dtype=np.float64) for name in StationRegressions._fields)
    )


def log_odds(field: Floats, days: NDArray[np.int64], outlook: StationRegressions) -> Floats:
    """Log odds of rain tomorrow at each station, from all stations' observations of the day.

    Args:
        field: observations (n, quantities, stations), float64, in the units of the request fields; NaN where unknown.
        days: (n,), int64, days since 1970.
        outlook: the regressions.

    Returns:
        Log odds (n, stations), float64.
    """
    season = _season(days)[:, None, :]
    anomaly = _anomalies(field, season, outlook.usual, outlook.scale)
    found: Floats = np.matmul(anomaly, outlook.weights) + np.matmul(season, outlook.season)
    return found[:, 0, :]


def fit_regressions(history: History, days: NDArray[np.int64], stations: NDArray[np.int64], hits: Floats) -> Arrays:
    """Fit the stations' ridge logistic regressions on n labelled rows; no other day is used.

    Args:
        history: observations of all stations.
        days: of the rows (n,), int64, days since 1970.
        stations: numbers of the rows' stations (n,), int64.
        hits: whether it rained (n,), float64, 0 or 1, NaN where unknown.

    Returns:
        The arrays of ``StationRegressions``, float32.
    """
    known = ~np.isnan(hits)
    rate = float(hits[known].mean()) if known.any() else 0.5
    season_weights = np.zeros((5, len(STATION_NAMES)))
    season_weights[0] = np.log(max(rate, 1e-3) / max(1 - rate, 1e-3))
    learned = StationRegressions(
        np.zeros((5, _WIDE)), np.zeros(_WIDE), np.zeros((_WIDE, len(STATION_NAMES))), season_weights
    )
    here, at_day = np.unique(days, return_inverse=True)
    place = here - history.first_day
    inside = (place >= 0) & (place < history.observations.shape[1])
    if inside.sum() >= _FEWEST_DAYS:
        field = np.full((len(here), _WIDE), np.nan)
        field[inside] = history.observations[:, place[inside]].transpose(1, 0, 2).reshape(-1, _WIDE)
        season = _season(here)
        _fit_climatology(field, season, learned)
        shape = (len(here), len(QUANTITIES), len(STATION_NAMES))
        anomaly = _anomalies(field.reshape(shape), season[:, None, :], learned.usual, learned.scale)[:, 0, :]
        _fit_station(anomaly, season, at_day, stations, hits, learned=learned)
    return {f"outlook_{name}": value.astype(np.float32) for name, value in learned._asdict().items()}


def _season(days: NDArray[np.int64]) -> Floats:
    """(n, 5): one, and the year's first two waves."""
    angle = days * (2 * np.pi / 365.2425)
    return np.stack([np.ones(len(days)), np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)], axis=1)


def _anomalies(field: Floats, season: Floats, usual: Floats, scale: Floats) -> Floats:
    """Standardised deviations from the climatology, (n, 1, quantities * stations)."""
    field = field.copy()
    field[:, _SKEWED] = np.log1p(np.maximum(field[:, _SKEWED], 0.0))
    deviation = (field.reshape(len(field), 1, _WIDE) - np.matmul(season, usual)) * scale
    return np.where(np.isnan(deviation), 0.0, np.clip(deviation, -_FARTHEST, _FARTHEST))


def _fit_climatology(field: Floats, season: Floats, learned: StationRegressions) -> None:
    """Fill in the usual values and scales of every observation with enough days."""
    field = field.reshape(len(field), len(QUANTITIES), len(STATION_NAMES)).copy()
    field[:, _SKEWED] = np.log1p(np.maximum(field[:, _SKEWED], 0.0))
    field = field.reshape(len(field), _WIDE)
    for column in range(_WIDE):
        known = ~np.isnan(field[:, column])
        if known.sum() >= _FEWEST_DAYS:
            found = np.linalg.lstsq(season[known], field[known, column], rcond=None)[0]
            spread = float((field[known, column] - season[known] @ found).std())
            learned.usual[:, column] = found
            learned.scale[column] = 1.0 / spread if spread > 1e-6 else 0.0


def _fit_station(
    anomaly: Floats,
    season: Floats,
    at_day: NDArray[np.int64],
    stations: NDArray[np.int64],
    hits: Floats,
    *,
    learned: StationRegressions,
) -> None:
    """Fill in the weights of every station with enough labelled days of both outcomes."""
    size, directions = np.linalg.eigh(anomaly.T @ anomaly / len(anomaly))
    order = np.argsort(size)[::-1][:_COMPONENTS]
    order = order[size[order] > 1e-6 * size.max()]
    # Each component to one standard deviation, the smaller ones less: as much as its share of the map is worth.
    turn = directions[:, order] / np.sqrt(size[order]) * np.sqrt(np.sqrt(size[order] / size.max()))
    map_parts = anomaly @ turn
    for station in range(len(STATION_NAMES)):
        rows = np.flatnonzero(~np.isnan(hits) & (stations == station))
        outcome = hits[rows]
        if len(rows) < _FEWEST_DAYS or outcome.min() == outcome.max():
            continue
        near = [station, *NEAREST_STATIONS[station, :_NEIGHBOURS].tolist()]
        columns = np.array(
            [quantity * len(STATION_NAMES) + other for quantity in range(len(QUANTITIES)) for other in near]
        )
        table = np.concatenate([map_parts, 0.5 * anomaly[:, columns], season], axis=1)[at_day[rows]]
        penalty = np.full(table.shape[1], _PENALTY)
        penalty[-season.shape[1]] = 1e-3  # the intercept
        found = _logistic(table, outcome, penalty)
        count = map_parts.shape[1]
        learned.weights[:, station] = turn @ found[:count]
        learned.weights[columns, station] += 0.5 * found[count : count + len(columns)]
        learned.season[:, station] = found[count + len(columns) :]


def _logistic(table: Floats, outcome: Floats, penalty: Floats) -> Floats:
    """Coefficients that minimise the log loss' sum plus ``penalty`` times half their squares."""
    bound = np.linalg.inv(table.T @ table / 4.0 + np.diag(penalty))
    found = np.zeros(table.shape[1])
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-(table @ found)))
        found = found + bound @ (table.T @ (outcome - chance) - penalty * found)
    return found
