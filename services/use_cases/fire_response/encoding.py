"""Encodes requests as arrays (spatial index, calendar); station opening hours, smoothed means and maps. NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.contract.columns import local_day
from services.core.contract.use_case import Columns
from services.use_cases.fire_response.brigade import LONDON

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def smoothed_mean(key: Ints, size: int, values: Floats, weight: float, usual: Floats | float = 0.0) -> Floats:
    """Target encoding: means (size,) of ``values`` (n,) by ``key`` (n,) from 0 to ``size`` - 1, in the values' unit.

    Shrunk towards ``usual`` as if each key had ``weight`` more rows of it (empirical Bayes).

    Source: D. Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes, SIGKDD Explor. 3
    (2001).
    """
    total = np.bincount(key, values, size)
    count = np.bincount(key, minlength=size)
    result: Floats = (total + weight * usual) / (count + weight)
    return result


def kernel_smoothed_map(cell: Ints, shape: tuple[int, int], values: Floats, reach: float, weight: float) -> Floats:
    """Kernel regression on a grid: mean of ``values`` (n,) around each square, ``reach`` squares wide, in their unit.

    ``cell`` (n,) is each row's square, ``weight`` the rows that 0 is worth; the map is (columns * rows,), float64.

    Source: E. A. Nadaraya, On estimating regression, Theory Probab. Appl. 9 (1964); G. S. Watson, Sankhya A 26 (1964).
    """
    size = shape[0] * shape[1]
    total = gaussian_blur(np.bincount(cell, values, size).reshape(shape).astype(np.float64), reach)
    count = gaussian_blur(np.bincount(cell, minlength=size).reshape(shape).astype(np.float64), reach)
    return (total / (count + weight)).ravel()


def log_density_map(cell: Ints, shape: tuple[int, int], reach: float) -> Floats:
    """Log of one plus the smoothed number of incidents around each square, (columns * rows,), of ``cell`` (n,)."""
    count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    return np.log1p(gaussian_blur(count, reach)).ravel()


def gaussian_blur(grid: Floats, reach: float) -> Floats:
    """Convolve a ``grid`` (n, p), float64, with a Gaussian kernel of height 1, axis by axis; the unit remains."""
    radius = int(np.ceil(3 * reach))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / reach) ** 2)
    for _ in range(2):
        padded = np.pad(grid, [(radius, radius), (0, 0)])
        total: Floats = np.zeros(grid.shape)
        for shift, weight in enumerate(kernel):
            total += weight * padded[shift : shift + len(grid)]
        grid = total.T
    return grid


def huber_regression(design: Floats, outcome: Floats, scale: float, rounds: int = 3) -> Floats:
    """Robust regression of ``outcome`` (n,) on ``design`` (n, p), reweighted least squares: coefficients (p,), float64.

    Source: P. J. Huber, Robust estimation of a location parameter, Ann. Math. Statist. 35 (1964) 73-101.
    """
    weight: Floats = np.ones(len(outcome))
    found: Floats = np.zeros(design.shape[1])
    steady = 1e-6 * np.eye(design.shape[1])  # a column may be constant in a small cut
    for _ in range(rounds):
        weighted = design * weight[:, None]
        found = np.linalg.solve(design.T @ weighted + steady, weighted.T @ outcome).astype(np.float64)
        weight = 1 / np.maximum(1.0, np.abs(outcome - design @ found) / scale)
    # sums of many products differ in their last bits from one machine to the next
    return np.round(found, 6)


def smoothed_means_by_key(key: Ints, values: Floats, weight: float) -> tuple[Ints, Floats]:
    """The distinct keys (k,) of ``key`` (n,) and their smoothed means (k,) of ``values`` (n,), in the values' unit."""
    keys, number = np.unique(key, return_inverse=True)
    return keys, smoothed_mean(number, len(keys), values, weight)


GROUPS = {"Fire": 0, "False Alarm": 1, "Special Service": 2}
NO_GROUP = len(GROUPS)
OFFICIAL_CELL_METRES = 100.0
"""Side of the squares that official places are rounded to, metres."""
_MARGIN = 4_000.0
_CHUNK = 4_096
_DAYS = 47_482
"""Until the end of 2099."""


@dataclass(frozen=True, slots=True)
class SpatialIndex:
    """Stations (arrays (stations,)), grid squares and calendar; eastings and northings are float64, metres."""

    names: NDArray[np.str_]
    index: dict[str, int]
    """Station, in lower case -> its number; -1 for ""."""
    easting: Floats
    northing: Floats
    own: NDArray[np.bool_]
    corner: Floats
    """South-western corner of the squares (2, 1), metres."""
    last: Floats
    """Number of the last column and row (2, 1)."""
    columns: int
    rows: int
    calendar: NDArray[np.float32]
    """Per day since 1970 (n, 3): weekday, Monday is 0; years since 1970; 1 for a school holiday plus 2
    for a bank holiday."""
    quiet: Ints
    """Per day since 1970: 24 for weekends and bank holidays, else 0."""

    @property
    def stations(self) -> int:
        """Number of stations."""
        return len(self.names)

    @property
    def cells(self) -> int:
        """Number of grid squares."""
        return self.columns * self.rows


def build_spatial_index(reference: Mapping[str, NDArray[Any]]) -> SpatialIndex:
    """Build the spatial index from the lookup tables (n,) of stations, metres, and of holidays, days since 1970."""
    easting, northing = reference["station_easting"], reference["station_northing"]
    names = reference["station_names"]
    side = LONDON.cell
    first_column, first_row = float(easting.min()) - _MARGIN, float(northing.min()) - _MARGIN
    columns = int((float(easting.max()) + _MARGIN - first_column) // side) + 1
    rows = int((float(northing.max()) + _MARGIN - first_row) // side) + 1
    day = np.arange(_DAYS)
    bank, school = (np.isin(day, reference[name]) for name in ("bank_holidays", "school_holidays"))
    weekday = (day + 3) % 7
    return SpatialIndex(
        names=names,
        index={str(name).lower(): number for number, name in enumerate(names.tolist())} | {"": -1},
        easting=easting,
        northing=northing,
        own=reference["station_own"],
        corner=np.array([[first_column], [first_row]]),
        last=np.array([[columns - 1.0], [rows - 1.0]]),
        columns=columns,
        rows=rows,
        calendar=np.column_stack([weekday, np.floor(day / 365.2425), school + 2 * bank]).astype(np.float32),
        quiet=24 * ((weekday >= 5) | bank).astype(np.int64),
    )


class EncodedRequests(NamedTuple):
    """Encoded requests, arrays (n,): int64 codes (stations and grounds -1 where unknown), float64 metres and hours."""

    easting: Floats
    northing: Floats
    place: Ints
    """The official 100-metre square as one number."""
    cell: Ints
    hour: Floats
    calendar: NDArray[np.float32]
    """(n, 3), see ``SpatialIndex``."""
    clock: Ints
    """The whole hour on working days, 24 more on quiet ones: weekends and bank holidays."""
    station: Ints
    ground: Ints
    group: Ints


def encode_requests(columns: Columns, atlas: SpatialIndex) -> EncodedRequests:
    """Encode n requests as numbers, from columns (n,): metres and seconds since 1970 UTC as float64, words as str."""
    easting, northing = columns["easting"], columns["northing"]
    place, cell = grid_cells(easting, northing, atlas)
    day, hour = local_day(columns["call_time"], LONDON.zone)
    today = np.maximum(np.minimum(day, _DAYS - 1), 0).astype(np.int64)  # numpy.clip takes twice as long for one row
    index = atlas.index
    station, ground, group = np.array(
        [
            [index.get(name.lower(), -1) for name in columns["deployed_from_station"]],
            [index.get(name.lower(), -1) for name in columns["station_ground"]],
            [GROUPS.get(word, NO_GROUP) for word in columns["incident_group"]],
        ],
        dtype=np.int64,
    )
    return EncodedRequests(
        easting=easting,
        northing=northing,
        place=place,
        cell=cell,
        hour=hour,
        calendar=atlas.calendar[today],
        clock=hour.astype(np.int64) + atlas.quiet[today],
        station=station,
        ground=ground,
        group=group,
    )


def grid_cells(easting: Floats, northing: Floats, atlas: SpatialIndex) -> tuple[Ints, Ints]:
    """Codes of the official 100-metre square and of the index's square (n,), int64, of places (n,) in metres.

    Places outside belong to the nearest square at the edge.
    """
    place = np.array((easting, northing))
    official = np.floor(place / OFFICIAL_CELL_METRES)
    within = np.maximum(np.minimum((place - atlas.corner) / LONDON.cell, atlas.last), 0).astype(np.int64)
    key: Ints = (official[0] * 100_000 + official[1]).astype(np.int64)
    return key, within[0] * atlas.rows + within[1]


def cell_centres(atlas: SpatialIndex) -> tuple[Floats, Floats]:
    """Easting and northing of the middle of each of n squares, two arrays (n,), float64, metres."""
    column = atlas.corner[0] + (np.arange(atlas.columns) + 0.5) * LONDON.cell
    row = atlas.corner[1] + (np.arange(atlas.rows) + 0.5) * LONDON.cell
    return np.repeat(column, atlas.rows), np.tile(row, atlas.columns)


def nearest_open_station(
    easting: Floats, northing: Floats, atlas: SpatialIndex, time: Floats, spans: tuple[Floats, Floats]
) -> Ints:
    """Number of the nearest open station (n,), int64, of places (n,) in metres.

    Args:
        easting: (n,), float64, metres.
        northing: (n,), float64, metres.
        atlas: the stations.
        time: of the calls (n,), float64, seconds since 1970 UTC.
        spans: start and end of each station's service, see ``station_hours``.
    """
    opened, closed = spans
    found = np.empty(len(easting), dtype=np.int64)
    for start in range(0, len(easting), _CHUNK):
        part = slice(start, start + _CHUNK)
        across = easting[part, None] - atlas.easting
        along = northing[part, None] - atlas.northing
        square = across * across + along * along
        when = time[part, None]
        square[(when < opened) | (when > closed)] = np.inf
        found[part] = square.argmin(axis=1)
    return found


def station_distances(
    easting: Floats, northing: Floats, station: Ints, atlas: SpatialIndex
) -> tuple[Floats, Floats, Floats]:
    """Distances of places (n,) from ``station`` (n,): straight, eastwards and northwards, float64 (n,), metres."""
    across = easting - atlas.easting[station]
    along = northing - atlas.northing[station]
    return np.sqrt(across * across + along * along), across, along


_DAY = 86_400.0
MIN_SILENCE_SECONDS = 60 * _DAY
"""A station that sent nothing for so long before the data's end is closed,"""
MIN_EXPECTED_PUMPS = 12
"""if so many pumps would have been expected of it in that time."""
GRACE_SECONDS = 30 * _DAY
"""A station counts as open so long before its first and after its last pump."""
MAX_GAP_SECONDS = 45 * _DAY
"""A hole in all stations' data is nobody's silence."""


def station_hours(times: Floats, station: NDArray[np.int64], where: SpatialIndex) -> tuple[Floats, Floats]:
    """Estimate from n pumps when each station was open: start and end (stations,), float64, seconds since 1970 UTC.

    ``times`` (n,) are the calls' and ``station`` (n,) is -1 where unknown. Ends are infinite where the data do not show
    them. Stations of other services, and those that sent no pump, are never open: their start is infinite.
    """
    opened, closed = np.full(where.stations, np.inf), np.full(where.stations, -np.inf)
    sent = station >= 0
    np.minimum.at(opened, station[sent], times[sent])
    np.maximum.at(closed, station[sent], times[sent])
    active = np.isfinite(opened) & where.own
    if not active.any():
        return np.where(where.own, -np.inf, np.inf), np.full(where.stations, np.inf)
    clock = np.sort(times[sent])
    elapsed = np.concatenate([[0.0], np.cumsum(np.minimum(np.diff(clock), MAX_GAP_SECONDS))])
    since_start = np.interp(opened, clock, elapsed)
    until = np.interp(closed, clock, elapsed)
    count = np.bincount(station[sent], minlength=where.stations)
    telling = np.maximum(MIN_SILENCE_SECONDS, MIN_EXPECTED_PUMPS * (until - since_start) / np.maximum(count, 1))
    opened = np.where(since_start > telling, opened - GRACE_SECONDS, -np.inf)
    closed = np.where(elapsed[-1] - until > telling, closed + GRACE_SECONDS, np.inf)
    return np.where(active, opened, np.inf), np.where(active, closed, -np.inf)
