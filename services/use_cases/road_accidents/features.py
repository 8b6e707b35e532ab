"""Feature function of ``road_accidents``, the same for one call and a million rows.

Every column of the matrix is a list that is made row by row with the same Python arithmetic, so that results agree bit
for bit. Nothing here depends on the calendar's date: a model of spring predicts in autumn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import Arrays, Columns, Features
from services.use_cases.road_accidents import encodings
from services.use_cases.road_accidents import encodings as keys
from services.use_cases.road_accidents import encodings as surroundings
from services.use_cases.road_accidents.code_labels import VEHICLE_GROUPS, VEHICLE_KINDS
from services.use_cases.road_accidents.encodings import Shares
from services.use_cases.road_accidents.geography import local_seconds
from services.use_cases.road_accidents.request import OPTIONAL_WORDS

_NAN = float("nan")
_WORDS = ("road_category", "collision", *OPTIONAL_WORDS)
_PLAIN = ("urban", "pedestrians", "people", "speed_limit", "latitude", "longitude")
_SHARES = tuple(f"share_{level.name}" for level in keys.GROUP_LEVELS)
_WEIGHTS = tuple(f"weight_{level.name}" for level in keys.GROUP_LEVELS if level.name in keys.COUNTED_LEVELS)

_NEAR = tuple(f"near_{scale}" for scale in surroundings.CELL_HEIGHTS)
_SHARES_NEAR = tuple(f"share_{scale}" for scale in surroundings.CELL_HEIGHTS)

NAMES = (
    "hour",
    "weekday",
    *_PLAIN,
    *VEHICLE_KINDS,
    "vehicles",
    *VEHICLE_GROUPS,
    "passengers",
    *_WORDS,
    *_SHARES,
    *_WEIGHTS,
    *_NEAR,
    *_SHARES_NEAR,
)
FEATURE_NAMES: Mapping[str, tuple[str, ...]] = {"accident": NAMES}
_PLACE = ("department", "commune")
FEATURE_INPUTS: Mapping[str, tuple[str, ...]] = {
    "hour": ("occurred_at",),
    "weekday": ("occurred_at",),
    **{name: (name,) for name in (*_PLAIN, *VEHICLE_KINDS, *_WORDS)},
    "vehicles": tuple(VEHICLE_KINDS),
    **VEHICLE_GROUPS,
    "passengers": ("people", "pedestrians", *VEHICLE_KINDS),
    **{f"share_{name}": fields for name, fields in keys.KEY_FIELDS.items()},
    **{f"weight_{name}": keys.KEY_FIELDS[name] for name in keys.COUNTED_LEVELS},
    **dict.fromkeys(_NEAR, ("latitude", "longitude")),
    **dict.fromkeys(_SHARES_NEAR, ("latitude", "longitude", "department", "commune")),
}


@dataclass(frozen=True, slots=True)
class FittedTables:
    """Fitted encodings, laid out for lookup."""

    shares: Shares
    cells: surroundings.DensityTables
    base: float
    words: Mapping[str, Mapping[str, float]]
    """Field -> word -> share of severe accidents; NaN for a word that training never saw."""


def fit(
    columns: Columns,
    labels: Mapping[str, NDArray[np.float64]],
    reference: Mapping[str, NDArray[Any]],
    context: Mapping[str, Any],
) -> Arrays:
    """Learn shares of severe accidents by place, by kind of accident and by each word of the request.

    Args:
        columns: request field -> (n,): degrees, counts and seconds since 1970 UTC as float64, words as str.
        labels: ``priority`` (n,), float64, 0 or 1, NaN where unknown.
        reference: not used.
        context: not used.

    Returns:
        Named arrays (k,): shares 0 to 1 (float64), counts per cell (int32), packed keys (uint8).
    """
    grave = labels["priority"]
    arrays = encodings.fit_shares(keys.GROUP_LEVELS, keys.group_keys(columns), grave)
    around = surroundings.fit_density(columns["latitude"], columns["longitude"], grave)
    arrays |= {f"around/{key}": value for key, value in around.items()}
    for name in _WORDS:
        words = columns[name].tolist()
        arrays |= {
            f"{name}/{key}": value
            for key, value in encodings.fit_shares(
                (encodings.GroupLevel("word", None, 20.0),), {"word": words}, grave
            ).items()
        }
    return arrays


def prepare(arrays: Mapping[str, NDArray[Any]]) -> FittedTables:
    """Load the encodings from the arrays (k,) that ``fit`` returned: float64 shares 0 to 1, int32 counts, keys."""
    shares, base = encodings.load_shares(keys.GROUP_LEVELS, arrays)
    around = {key.removeprefix("around/"): value for key, value in arrays.items() if key.startswith("around/")}
    words = {}
    for name in _WORDS:
        found = encodings.unpack_names(arrays[f"{name}/word:keys"])
        words[name] = dict(zip(found, arrays[f"{name}/word:shares"].tolist(), strict=True))
    return FittedTables(shares, surroundings.load_density(around), base, words)


def features(columns: Columns, fitted: FittedTables, context: Mapping[str, Any]) -> Features:
    """Compute the feature matrix ``accident`` of n requests.

    Args:
        columns: request field -> (n,): degrees, counts and seconds since 1970 UTC as float64, words as str.
        fitted: encodings.
        context: not used.

    Returns:
        The matrix (n, p), float32, in the order of ``NAMES``: local hours, degrees, counts and shares. No facts: the
        response needs none.
    """
    lists = {name: values.tolist() for name, values in columns.items()}
    north, east = lists["latitude"], lists["longitude"]  # half a place is none
    lists["latitude"] = [_NAN if isnan(other) else half for half, other in zip(north, east, strict=True)]
    lists["longitude"] = [_NAN if isnan(other) else half for half, other in zip(east, north, strict=True)]
    made = keys.group_keys_of_lists(lists)
    local = local_seconds(lists["occurred_at"], made["department"])
    rows: list[list[float]] = [
        [second % 86_400.0 / 3_600.0 for second in local],
        [(second // 86_400.0 + 3.0) % 7.0 for second in local],
        *(lists[name] for name in _PLAIN),
        *_vehicles(lists),
    ]
    for name in _WORDS:
        found = fitted.words[name].get
        rows.append([found(word, _NAN) for word in lists[name]])
    shares, weights = encodings.lookup_shares(keys.GROUP_LEVELS, keys.COUNTED_LEVELS, made, fitted.shares, fitted.base)
    around = surroundings.lookup_density(lists["latitude"], lists["longitude"], shares["department"], fitted.cells)
    rows.extend(shares.values())
    rows.extend(weights.values())
    rows.extend(around.near.values())
    rows.extend(around.share.values())
    return Features({"accident": np.ascontiguousarray(np.array(rows, dtype=np.float32).T)}, {})


def _vehicles(lists: Mapping[str, list[Any]]) -> list[list[float]]:
    """Counts by kind, in all and by group, and the people who are neither driver nor pedestrian.

    NaN throughout where the caller named no vehicle.
    """
    counts = {kind: lists[kind] for kind in VEHICLE_KINDS}
    total = [sum(row) for row in zip(*counts.values(), strict=True)]
    if 0.0 in total:
        counts = {
            kind: [value if whole else _NAN for value, whole in zip(values, total, strict=True)]
            for kind, values in counts.items()
        }
        total = [whole or _NAN for whole in total]
    groups = [
        [sum(row) for row in zip(*[counts[kind] for kind in kinds], strict=True)] for kinds in VEHICLE_GROUPS.values()
    ]
    passengers = [
        people - walking - driven
        for people, walking, driven in zip(lists["people"], lists["pedestrians"], total, strict=True)
    ]
    return [*counts.values(), total, *groups, passengers]
