"""Feature function of ``fire_response``, the same for a single call and for a million examples.

Two matrices: ``pump`` for one pump's attendance, ``incident`` for how many pumps are needed. The second has nothing
about the pump: its order would reveal the answer. Everything learned is in tables and is looked up, so that a call
costs a few dozen NumPy operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import Columns, Features
from services.core.weather.hourly import WEATHER_VARIABLES, weather_at
from services.use_cases.fire_response.brigade import LONDON
from services.use_cases.fire_response.encoding import (
    EncodedRequests,
    encode_requests,
    nearest_open_station,
    station_distances,
)
from services.use_cases.fire_response.fit import CLOCK, GROUP_SLOTS, KINDS, curve_index, fit
from services.use_cases.fire_response.fitted_tables import FittedTables, post_training_checks, prepare

__all__ = ["FEATURE_INPUTS", "FEATURE_NAMES", "features", "fit", "post_training_checks", "prepare"]

_PLACE = ("easting", "northing")
_GROUND = ("station_ground", *_PLACE)
_STATION = ("deployed_from_station", "call_time", *_PLACE)
_KIND = ("property_type", "incident_group")

_COMMON = {
    "easting": _PLACE,
    "northing": _PLACE,
    "hour": ("call_time",),
    "weekday": ("call_time",),
    "year": ("call_time",),
    "holiday": ("call_time",),
    "group": ("incident_group",),
    "category": ("property_category",),
    "to_nearest_station": _PLACE,
    "to_second_station": _PLACE,
    "to_third_station": _PLACE,
    "incidents_around": _PLACE,
}
_PUMP = {
    "around_delay": _PLACE,
    "wide_delay": _PLACE,
    "place_delay": _PLACE,
    "pump_order": ("pump_order",),
    "distance": _STATION,
    "across": _STATION,
    "along": _STATION,
    "beyond_nearest": _STATION,
    "beyond_second": _STATION,
    "station_easting": _STATION,
    "station_northing": _STATION,
    "station_delay": _STATION,
    "station_assumed": ("deployed_from_station",),
    "own_ground": (*_STATION, "station_ground"),
    "hour_delay": ("call_time",),
    "pair_delay": (*_STATION, "station_ground"),
    "kind_delay": _KIND,
    "congestion": ("call_time", *_GROUND),
    "expected": (*_STATION, "station_ground", "pump_order", *_KIND),
    "pair_late": (*_STATION, "station_ground", "pump_order"),
    "near_seconds": (*_PLACE, "pump_order"),
    "wide_seconds": (*_PLACE, "pump_order"),
    "near_late": (*_PLACE, "pump_order"),
    "wide_late": (*_PLACE, "pump_order"),
}
_WEATHER: dict[str, tuple[str, ...]] = dict.fromkeys(WEATHER_VARIABLES, ())
_INCIDENT = {
    "near_pumps": _PLACE,
    "wide_pumps": _PLACE,
    "kind_pumps": _KIND,
    "kind_two": _KIND,
    "kind_three": _KIND,
    "kind_five": _KIND,
    "ground_pumps": (*_GROUND, "incident_group"),
    "premises_pumps": (*_PLACE, "property_type"),
    "place_pumps": (*_PLACE, "incident_group"),
}
_USED = _WEATHER if LONDON.weather else {}
FEATURE_NAMES = {"pump": (*_COMMON, *_PUMP, *_USED), "incident": (*_COMMON, *_INCIDENT)}
FEATURE_INPUTS = {**_COMMON, **_PUMP, **_USED, **_INCIDENT}

_MANY, _DRY = len(_COMMON), len(_COMMON) + len(_PUMP)
_CATEGORY = {
    "Outdoor Structure": 0.0,
    "Outdoor": 1.0,
    "Road Vehicle": 2.0,
    "Dwelling": 3.0,
    "Boat": 4.0,
    "Rail Vehicle": 5.0,
    "Other Residential": 6.0,
    "Non Residential": 7.0,
    "Aircraft": 8.0,
}
_INTERVAL_GROUP = np.array([1, 11, 2, 12])
_GROUP_CODE = np.array([0.0, 1.0, 2.0, np.nan], dtype=np.float32)


class _Places(NamedTuple):
    """Arrays (n,) and (n, 8): lookups by place and kind that both matrices use."""

    square: NDArray[np.float32]
    ground: NDArray[np.int64]
    kind: NDArray[np.int64]
    slot: NDArray[np.int64]


class _Pumps(NamedTuple):
    """Arrays (n,): where the pump comes from."""

    station: NDArray[np.int64]
    assumed: NDArray[np.bool_]
    order: NDArray[np.float64]
    later: NDArray[np.bool_]
    distance: NDArray[np.float64]
    across: NDArray[np.float64]
    along: NDArray[np.float64]


def features(columns: Columns, fitted: FittedTables, context: Mapping[str, Any]) -> Features:
    """Compute the feature matrices ``pump`` and ``incident`` of n requests.

    Args:
        columns: request field -> (n,): metres and seconds since 1970 UTC as float64, words as str.
        fitted: lookup tables.
        context: hourly weather, see ``training_context``.

    Returns:
        Matrices (n, p), float32, in the order of ``FEATURE_NAMES``. Facts (n,): ``interval_group`` (pump order, 1 or 2,
        plus 10 where the station is assumed), ``station``, ``station_assumed``, ``distance_m`` (metres),
        ``risk_reason`` and ``risk_reason_fr``.
    """
    calls = encode_requests(columns, fitted.atlas)
    places = _places(calls, columns, fitted)
    pumps = _pumps(calls, columns, fitted)
    common = np.empty((len(calls.easting), _MANY), dtype=np.float32)
    common[:, 0] = calls.easting
    common[:, 1] = calls.northing
    common[:, 2] = calls.hour
    common[:, 3:6] = calls.calendar
    common[:, 6] = _GROUP_CODE[calls.group]
    common[:, 7] = [_CATEGORY.get(word, np.nan) for word in columns["property_category"]]
    common[:, 8:12] = places.square[:, :4]
    risk = np.maximum(fitted.risk_station[pumps.station], fitted.risk_ground[places.ground])
    facts = {
        "interval_group": _INTERVAL_GROUP[pumps.later * 2 + pumps.assumed],
        "station": fitted.names[pumps.station],
        "station_assumed": pumps.assumed,
        "distance_m": pumps.distance,
        "risk_reason": fitted.risk_reasons[risk],
        "risk_reason_fr": fitted.risk_reasons_fr[risk],
    }
    pump = _pump_matrix(calls, places, pumps, fitted, common)
    if len(FEATURE_NAMES["pump"]) > _DRY:
        pump[:, _DRY:] = weather_at(context, columns["call_time"])
    return Features({"pump": pump, "incident": _incident_matrix(calls, places, fitted, common)}, facts)


def _places(calls: EncodedRequests, columns: Columns, fitted: FittedTables) -> _Places:
    kinds, unknown = fitted.kinds, len(fitted.kinds)
    kind = np.array([kinds.get(word, unknown) for word in columns["property_type"]], dtype=np.int64)
    ground = calls.ground
    open_ground = ground < 0
    if np.count_nonzero(open_ground):
        ground = np.where(open_ground, fitted.cell_ground[calls.cell], ground)
    return _Places(
        square=fitted.cells[calls.cell],
        ground=ground,
        kind=kind,
        slot=kind * GROUP_SLOTS + calls.group,
    )


def _pumps(calls: EncodedRequests, columns: Columns, fitted: FittedTables) -> _Pumps:
    station = calls.station
    assumed = station < 0
    if np.count_nonzero(assumed):
        station = station.copy()
        station[assumed] = nearest_open_station(
            calls.easting[assumed],
            calls.northing[assumed],
            fitted.atlas,
            columns["call_time"][assumed],
            (fitted.opened, fitted.closed),
        )
    order = columns["pump_order"]
    distance, across, along = station_distances(calls.easting, calls.northing, station, fitted.atlas)
    return _Pumps(station, assumed, order, order >= 2, distance, across, along)


def _pump_matrix(
    calls: EncodedRequests, places: _Places, pumps: _Pumps, fitted: FittedTables, common: NDArray[np.float32]
) -> NDArray[np.float32]:
    station, ground, distance = pumps.station, places.ground, pumps.distance
    same = station == ground
    pair = station * fitted.atlas.stations + ground
    by_kind = fitted.kind_delay[places.slot]
    congestion = fitted.congestion[ground * CLOCK + calls.clock]
    expected = fitted.curve[curve_index(distance, pumps.later, same)] + fitted.pair_level[pair]
    expected += fitted.station_hours[station * CLOCK + calls.clock]
    expected += fitted.around[calls.cell]
    expected += by_kind
    expected += congestion
    pump = np.empty((len(distance), len(FEATURE_NAMES["pump"])), dtype=np.float32)
    pump[:, :_MANY] = common
    pump[:, 12:14] = places.square[:, 4:6]
    pump[:, 14] = [fitted.places.get(key, 0.0) for key in calls.place.tolist()]
    pump[:, 15] = pumps.order
    pump[:, 16] = distance
    pump[:, 17] = pumps.across
    pump[:, 18] = pumps.along
    pump[:, 19] = distance - places.square[:, 0]
    pump[:, 20] = distance - places.square[:, 1]
    pump[:, 21:24] = fitted.stations[station]
    pump[:, 24] = pumps.assumed
    pump[:, 25] = same
    pump[:, 26] = fitted.hours[calls.clock]
    pump[:, 27] = fitted.pairs[pair]
    pump[:, 28] = by_kind
    pump[:, 29] = congestion
    pump[:, 30] = expected
    pump[:, 31] = fitted.pair_late[pair * 2 + pumps.later]
    pump[:, 32:36] = fitted.local[calls.cell + fitted.atlas.cells * pumps.later]
    return pump


def _incident_matrix(
    calls: EncodedRequests, places: _Places, fitted: FittedTables, common: NDArray[np.float32]
) -> NDArray[np.float32]:
    incident = np.empty((len(common), len(FEATURE_NAMES["incident"])), dtype=np.float32)
    incident[:, :_MANY] = common
    incident[:, 12:14] = places.square[:, 6:8]
    incident[:, 14:18] = fitted.kind_pumps[places.slot]
    incident[:, 18] = fitted.ground_pumps[places.ground * GROUP_SLOTS + calls.group]
    premises = (calls.place * KINDS + places.kind).tolist()
    incident[:, 19] = [fitted.premises.get(key, 0.0) for key in premises]
    group_places = (calls.place * GROUP_SLOTS + calls.group).tolist()
    incident[:, 20] = [fitted.group_places.get(key, 0.0) for key in group_places]
    return incident


def map_points(fitted: FittedTables) -> dict[str, tuple[float, float]]:
    """Station -> easting and northing, metres; for maps."""
    return {
        str(name): (round(float(easting)), round(float(northing)))
        for name, (easting, northing) in zip(fitted.names, fitted.stations[:, :2].tolist(), strict=False)
    }
