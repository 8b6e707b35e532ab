"""Learns the encodings of attendance and pumps from training rows (``fit``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import Arrays, Columns
from services.use_cases.fire_response.brigade import LONDON
from services.use_cases.fire_response.encoding import (
    NO_GROUP,
    EncodedRequests,
    SpatialIndex,
    build_spatial_index,
    cell_centres,
    encode_requests,
    huber_regression,
    kernel_smoothed_map,
    log_density_map,
    nearest_open_station,
    smoothed_mean,
    smoothed_means_by_key,
    station_distances,
    station_hours,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP = 100.0
"""Metres between the points of the distance curve."""
STEPS = 160
KINDS = 10_000
"""More kinds of property than a brigade has names for: makes one number of a place and a kind."""
CLOCK = 48
BLOCKS = 16
BLOCK_OF_CLOCK = np.arange(CLOCK) // 3
"""Eight blocks of three hours on working days, eight on quiet days."""
_KNOTS = (500.0, 1_000.0, 1_500.0, 2_000.0, 3_000.0, 4_500.0)
_SHORTEST, _LONGEST = 30.0, 800.0
_FARTHEST_RESIDUAL = 200.0
GROUP_SLOTS = NO_GROUP + 1
_KEPT = ("station_names", "station_easting", "station_northing", "station_own", "bank_holidays", "school_holidays")


def fit(
    columns: Columns,
    labels: Mapping[str, Floats],
    reference: Mapping[str, NDArray[Any]],
    context: Mapping[str, Any],
) -> Arrays:
    """Learn the encodings of attendance times and pumps from n training rows.

    Args:
        columns: request field -> (n,): metres and seconds since 1970 UTC as float64, words as str.
        labels: ``attendance_seconds`` (n,), float64, seconds, and ``pumps`` (n,), float64, number beyond the first; NaN
            where unknown.
        reference: lookup tables, see ``build_spatial_index``.
        context: not used.

    Returns:
        Named arrays: flat tables (k,) and maps (cells, p), in seconds, metres, pumps or shares, beside the lookup
        tables.
    """
    where = build_spatial_index(reference)
    calls = encode_requests(columns, where)
    opened, closed = station_hours(columns["call_time"], calls.station, where)
    grounds = ground_of_cells(calls, where)
    kinds = np.array(sorted({kind for kind in columns["property_type"] if kind}), dtype=str)
    number = {kind: code for code, kind in enumerate(kinds.tolist())}
    kind = np.array([number.get(word, len(kinds)) for word in columns["property_type"]], dtype=np.int64)
    ground = np.where(calls.ground >= 0, calls.ground, grounds[calls.cell])
    assumed = calls.station < 0
    station = calls.station.copy()
    station[assumed] = nearest_open_station(
        calls.easting[assumed], calls.northing[assumed], where, columns["call_time"][assumed], (opened, closed)
    )
    seconds, pumps = labels["attendance_seconds"], labels["pumps"]
    timed, counted = ~np.isnan(seconds), ~np.isnan(pumps)
    return {
        **{name: reference[name] for name in _KEPT},
        "station_opened": opened,
        "station_closed": closed,
        "kinds": kinds,
        "cell_ground": grounds,
        "cell_near": cell_near(where).astype(np.float32),
        **_attendance(
            _select_rows(calls, timed),
            seconds[timed],
            where,
            station=station[timed],
            ground=ground[timed],
            kind=kind[timed],
            order=columns["pump_order"][timed],
            kinds=len(kinds),
        ),
        **_pumps(
            _select_rows(calls, counted),
            pumps[counted],
            where,
            ground=ground[counted],
            kind=kind[counted],
            kinds=len(kinds),
        ),
    }


def curve_index(distance: Floats, later: NDArray[np.bool_], same: NDArray[np.bool_]) -> Ints:
    """Position in the table of the distance curve: by pump order, own ground or not, and distance in steps.

    Args:
        distance: to the station (n,), float64, metres.
        later: whether it is not the first pump (n,), bool.
        same: whether the place is on the station's own ground (n,), bool.

    Returns:
        Positions (n,), int64.
    """
    step = np.minimum(distance / STEP, STEPS - 1).astype(np.int64)
    result: Ints = (later * 2 + same) * STEPS + step
    return result


def _select_rows(calls: EncodedRequests, chosen: NDArray[np.bool_]) -> EncodedRequests:
    return EncodedRequests._make([values[chosen] for values in calls])


def _attendance(
    calls: EncodedRequests,
    seconds: Floats,
    where: SpatialIndex,
    *,
    station: Ints,
    ground: Ints,
    kind: Ints,
    order: Floats,
    kinds: int,
) -> Arrays:
    clipped = np.clip(seconds, _SHORTEST, _LONGEST)
    distance = station_distances(calls.easting, calls.northing, station, where)[0]
    later, same = order >= 2, station == ground
    line = huber_regression(_design(distance, later, same), clipped, scale=80.0)
    curve = _curve(line)
    rest = np.clip(clipped - curve[curve_index(distance, later, same)], -_FARTHEST_RESIDUAL, _FARTHEST_RESIDUAL)
    stations, block = where.stations, BLOCK_OF_CLOCK[calls.clock]
    learned: Arrays = {"curve": curve}

    def learn(name: str, key: Ints, size: int, weight: float) -> None:
        nonlocal rest
        table = smoothed_mean(key, size, rest, weight)
        rest = rest - table[key]
        learned[name] = table

    learn("hours", calls.clock, CLOCK, 50)
    learn("stations", station, stations, 15)
    learn("grounds", ground, stations, 15)
    slot, slots = kind * GROUP_SLOTS + calls.group, (kinds + 1) * GROUP_SLOTS
    every, twice = np.concatenate([slot, kind * GROUP_SLOTS + NO_GROUP]), np.concatenate([rest, rest])
    learned["kind_delay"] = smoothed_mean(every, slots, twice, 20)
    rest = rest - learned["kind_delay"][slot]
    learn("pairs", station * stations + ground, stations * stations, 8)
    learn("congestion", ground * BLOCKS + block, stations * BLOCKS, 25)
    learn("station_blocks", station * BLOCKS + block, stations * BLOCKS, 25)
    shape = (where.columns, where.rows)
    around = kernel_smoothed_map(calls.cell, shape, rest, reach=1.2, weight=6)
    wide = kernel_smoothed_map(calls.cell, shape, rest, reach=3.0, weight=15)
    learned["cell_delay"] = np.stack([around, wide], axis=1).astype(np.float32)
    missed = (seconds > LONDON.objective_seconds).astype(np.float64)
    missed -= np.where(later, _mean(missed[later]), _mean(missed[~later]))
    pair = (station * stations + ground) * 2 + later
    learned["pair_late"] = smoothed_mean(pair, 2 * stations * stations, missed, 8)
    learned["cell_local"] = _local_maps(calls.cell, where, clipped, later)
    learned["place_keys"], learned["place_delay"] = smoothed_means_by_key(calls.place, rest, 4)
    return learned


def _local_maps(cell: Ints, where: SpatialIndex, seconds: Floats, later: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Attendance times and shares of missed objectives around each square, (2 cells, 4), first pumps before later ones.

    Each is the difference from the mean of all.
    """
    halves = []
    for chosen in (~later, later):
        own, at = seconds[chosen], cell[chosen]
        missed = (own > LONDON.objective_seconds).astype(np.float64)
        shape = (where.columns, where.rows)
        maps = [
            kernel_smoothed_map(at, shape, values - _mean(values), reach=reach, weight=weight)
            for values in (own, missed)
            for reach, weight in ((1.2, 4), (2.5, 8))
        ]
        halves.append(np.stack(maps, axis=1))
    return np.concatenate(halves).astype(np.float32)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0


def _pumps(
    calls: EncodedRequests, pumps: Floats, where: SpatialIndex, *, ground: Ints, kind: Ints, kinds: int
) -> Arrays:
    """Mean number of pumps beyond the first and shares of two, three, five or more, by kind of property and group.

    The residuals are averaged by ground and place.
    """
    slot = kind * GROUP_SLOTS + calls.group
    slots = (kinds + 1) * GROUP_SLOTS
    group = np.concatenate([calls.group, np.full(len(kind), NO_GROUP)])
    every = np.concatenate([slot, kind * GROUP_SLOTS + NO_GROUP])
    tables = []
    for values in (pumps, pumps >= 1, pumps >= 2, pumps >= 4):
        twice = np.concatenate([values, values]).astype(np.float64)
        usual = smoothed_mean(group, GROUP_SLOTS, twice, 20, _mean(twice))
        tables.append(smoothed_mean(every, slots, twice, 15, np.tile(usual, kinds + 1)))
    rest = pumps - tables[0][slot]
    key = ground * GROUP_SLOTS + calls.group
    by_ground = smoothed_mean(key, where.stations * GROUP_SLOTS, rest, 20)
    rest = rest - by_ground[key]
    shape = (where.columns, where.rows)
    place = calls.place
    premises, premises_pumps = smoothed_means_by_key(place * KINDS + kind, rest, 2)
    places, places_pumps = smoothed_means_by_key(place * GROUP_SLOTS + calls.group, rest, 2)
    return {
        "kind_pumps": np.stack(tables, axis=1),
        "ground_pumps": by_ground,
        "cell_pumps": np.stack(
            [
                kernel_smoothed_map(calls.cell, shape, rest, reach=0.8, weight=5),
                kernel_smoothed_map(calls.cell, shape, rest, reach=3.0, weight=15),
                log_density_map(calls.cell, shape, reach=3.0),
            ],
            axis=1,
        ).astype(np.float32),
        "premises_keys": premises,
        "premises_pumps": premises_pumps,
        "group_place_keys": places,
        "group_place_pumps": places_pumps,
    }


def _design(distance: Floats, later: NDArray[np.bool_], same: NDArray[np.bool_]) -> Floats:
    near = np.minimum(distance, STEP * STEPS) / 1_000
    bends = [np.maximum(near - knot / 1_000, 0.0) for knot in _KNOTS]
    two, own = later.astype(np.float64), same.astype(np.float64)
    return np.column_stack([np.ones(len(distance)), near, *bends, two, own, two * own, two * np.minimum(near, 6.0)])


def _curve(line: Floats) -> Floats:
    """The fitted line at the middle of every step, for each pump order and own ground or not."""
    middle = (np.arange(STEPS, dtype=np.float64) + 0.5) * STEP
    parts = [
        _design(middle, np.full(STEPS, later), np.full(STEPS, same)) @ line
        for later in (False, True)
        for same in (False, True)
    ]
    return np.concatenate(parts)


def ground_of_cells(calls: EncodedRequests, where: SpatialIndex) -> Ints:
    """The ground of each square: that of most incidents in it, else the nearest own station's.

    Args:
        calls: n encoded requests.
        where: stations and squares.

    Returns:
        Numbers of stations (cells,), int64.
    """
    easting, northing = cell_centres(where)
    open_until = np.where(where.own, np.inf, -np.inf)
    always = np.full(where.stations, -np.inf)
    grounds = nearest_open_station(easting, northing, where, np.zeros(len(easting)), (always, open_until))
    known = calls.ground >= 0
    keys, counts = np.unique(calls.cell[known] * where.stations + calls.ground[known], return_counts=True)
    rising = np.argsort(counts, kind="stable")
    grounds[keys[rising] // where.stations] = keys[rising] % where.stations
    return grounds


def cell_near(where: SpatialIndex) -> Floats:
    """Distance from the middle of each square to the three nearest of the brigade's stations.

    Args:
        where: stations and squares.

    Returns:
        Sorted distances (cells, 3), float64, metres; NaN where the brigade has fewer stations.
    """
    easting, northing = cell_centres(where)
    own_easting, own_northing = where.easting[where.own], where.northing[where.own]
    near = np.full((len(easting), max(3, len(own_easting))), np.inf)
    across, along = easting[:, None] - own_easting, northing[:, None] - own_northing
    near[:, : len(own_easting)] = across * across + along * along
    nearest = np.sqrt(np.sort(np.partition(near, 2, axis=1)[:, :3], axis=1))
    return np.where(np.isfinite(nearest), nearest, np.nan)
