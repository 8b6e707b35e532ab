"""Smoothed shares of severe accidents by group key and by local density. NumPy alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, isnan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import Arrays, Columns
from services.use_cases.road_accidents.code_labels import VEHICLE_KINDS
from services.use_cases.road_accidents.geography import department_of

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class GroupLevel:
    """One level of a hierarchical target encoding; a rare key is shrunk towards the share of the ``parent`` level.

    ``strength`` is the number of accidents that the parent's share is worth.
    """

    name: str
    parent: str | None
    strength: float


class Shares(NamedTuple):
    """Target encodings: level -> key -> value."""

    share: Mapping[str, Mapping[str, float]]
    weight: Mapping[str, Mapping[str, float]]
    """Accidents behind a share per 10,000 of all, so that it does not depend on how many there are."""


def fit_shares(levels: Sequence[GroupLevel], keys: Mapping[str, list[str]], hits: NDArray[np.float64]) -> Arrays:
    """Fit a hierarchical target encoding: smoothed share of ``hits`` per key and level.

    Args:
        levels: parents before their children.
        keys: level -> key of each of n rows. The empty key means unknown and is not learned.
        hits: (n,), float64, 0 or 1; rows of NaN are ignored.

    Returns:
        ``base``, and for each level its packed ``keys``, ``shares`` (k,), float64, 0 to 1, and ``weights`` (k,),
        float64, accidents per 10,000 of all.
    """
    known = ~np.isnan(hits)
    total = int(known.sum())
    base = float(hits[known].mean()) if total else 0.0
    arrays: Arrays = {"base": np.array(base)}
    of_rows: dict[str, NDArray[np.float64]] = {}
    for level in levels:
        found: dict[str, int] = {}
        index = np.array([found.setdefault(key, len(found)) for key in keys[level.name]], dtype=np.int64)
        count = np.bincount(index[known], minlength=len(found)).astype(np.float64)
        lean = np.full(len(index), base) if level.parent is None else of_rows[level.parent]
        prior = np.bincount(index[known], weights=lean[known], minlength=len(found))
        hit = np.bincount(index[known], weights=hits[known], minlength=len(found))
        share = (hit + level.strength * prior / np.maximum(count, 1.0)) / (count + level.strength)
        if "" in found:
            count[found[""]] = 0.0
        kept = np.nonzero(count > 0)[0]
        of_rows[level.name] = np.where(count[index] > 0, share[index], lean)
        names = list(found)
        arrays[f"{level.name}:keys"] = pack_names([names[place] for place in kept.tolist()])
        arrays[f"{level.name}:shares"] = share[kept]
        arrays[f"{level.name}:weights"] = count[kept] * (10_000.0 / max(total, 1))
    return arrays


def load_shares(levels: Sequence[GroupLevel], arrays: Mapping[str, NDArray[Any]]) -> tuple[Shares, float]:
    """Load a target encoding from the arrays that ``fit_shares`` made: keys, shares and weights (k,) of each level.

    Returns:
        Shares (0 to 1) and weights (accidents per 10,000 of all) by level and key, and the share of all.
    """
    share, weight = {}, {}
    for level in levels:
        names = unpack_names(arrays[f"{level.name}:keys"])
        share[level.name] = dict(zip(names, arrays[f"{level.name}:shares"].tolist(), strict=True))
        weight[level.name] = dict(zip(names, arrays[f"{level.name}:weights"].tolist(), strict=True))
    return Shares(share, weight), float(arrays["base"])


def lookup_shares(
    levels: Sequence[GroupLevel], weighed: Sequence[str], keys: Mapping[str, list[str]], learned: Shares, base: float
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Look up the share of each row by level, and the weights behind the levels that are ``weighed``.

    Args:
        levels: as for ``fit_shares``.
        weighed: levels whose weights are returned too.
        keys: level -> key of each of n rows.
        learned: the encoding.
        base: the share of all.

    Returns:
        Level -> n shares, and level -> n weights: 0 for a key that was never seen, NaN for the empty key.
    """
    shares: dict[str, list[float]] = {}
    for level in levels:
        known = learned.share[level.name]
        leans = shares[level.parent] if level.parent is not None else itertools.repeat(base)
        shares[level.name] = [known.get(key, lean) for key, lean in zip(keys[level.name], leans, strict=False)]
    weights = {}
    for name in weighed:
        count = learned.weight[name].get
        weights[name] = [count(key, 0.0) if key else _NAN for key in keys[name]]
    return shares, weights


def pack_names(names: Sequence[str]) -> NDArray[np.uint8]:
    """Pack texts without line breaks into bytes (n,), uint8: many times smaller than NumPy's strings of equal width."""
    return np.frombuffer("\n".join(names).encode(), dtype=np.uint8)


def unpack_names(array: NDArray[np.uint8]) -> list[str]:
    """Unpack the texts that ``pack_names`` made of bytes (n,), uint8."""
    text = array.tobytes().decode()
    return text.split("\n") if text else []


GROUP_LEVELS: tuple[GroupLevel, ...] = (
    GroupLevel("department", None, 50.0),
    GroupLevel("commune", "department", 10.0),
    GroupLevel("road", "department", 5.0),
    GroupLevel("street", "commune", 3.0),
    GroupLevel("who", None, 20.0),
    GroupLevel("scene", "who", 20.0),
)
COUNTED_LEVELS: tuple[str, ...] = ("department", "commune", "road", "street")
"""Levels whose number of accidents is a feature too."""
_PLACE = ("department", "commune")
KEY_FIELDS: Mapping[str, tuple[str, ...]] = {
    "department": _PLACE,
    "commune": _PLACE,
    "road": ("road", *_PLACE),
    "street": ("road", *_PLACE),
    "who": (*VEHICLE_KINDS, "pedestrians", "urban"),
    "scene": (*VEHICLE_KINDS, "pedestrians", "urban", "collision", "obstacle"),
}


def group_keys(columns: Columns) -> dict[str, list[str]]:
    """Keys of each row for the target encodings.

    Args:
        columns: request field -> (n,): words as str, counts as float64.

    Returns:
        Level -> n keys; the empty key where it is not known.
    """
    return group_keys_of_lists({name: values.tolist() for name, values in columns.items()})


def group_keys_of_lists(lists: Mapping[str, list[Any]]) -> dict[str, list[str]]:
    """Keys of each row for the target encodings, from lists instead of arrays."""
    communes, roads = lists["commune"], lists["road"]
    departments = [
        department or (department_of(commune) if commune else "")
        for department, commune in zip(lists["department"], communes, strict=True)
    ]
    who = _collision_parties(lists)
    return {
        "department": departments,
        "commune": communes,
        "road": [f"{d} {r}" if d and r else "" for d, r in zip(departments, roads, strict=True)],
        "street": [f"{c} {r}" if c and r else "" for c, r in zip(communes, roads, strict=True)],
        "who": who,
        "scene": [
            f"{w} {c} {o}" if w else "" for w, c, o in zip(who, lists["collision"], lists["obstacle"], strict=True)
        ],
    }


def _collision_parties(lists: Mapping[str, list[Any]]) -> list[str]:
    """In a built-up area or not, and for each kind of vehicle and pedestrians: none, one or several."""
    counts = zip(*(lists[name] for name in (*VEHICLE_KINDS, "pedestrians")), strict=True)
    return [
        ("u" if urban else "r") + "".join(["0" if not c else "1" if c == 1.0 else "2" for c in row]) if any(row) else ""
        for urban, row in zip(lists["urban"], counts, strict=True)
    ]


CELL_HEIGHTS: Mapping[str, float] = {"10_km": 0.1, "3_km": 0.03, "1_km": 0.01, "300_m": 0.003}
"""Name of a scale, the coarsest first -> height of a cell in degrees of latitude. Cells are about as wide as
high at 45 degrees."""
SMOOTHING_STRENGTH = 4.0
"""How many accidents the share of the next coarser scale is worth."""
_WIDER = 1.0 / 0.7
_ROW = 10_000_000
_WINDOW = tuple(
    (north * _ROW + east, (1.0, 0.6, 0.36)[abs(north) + abs(east)]) for north in (-1, 0, 1) for east in (-1, 0, 1)
)

Cells = Mapping[int, tuple[float, float]]
"""Cell -> accidents and severe accidents, per 10,000 of all accidents."""


class LocalDensity(NamedTuple):
    """Accident density around each row, by scale.

    ``near`` is the weighted number of accidents in the window per 10,000 of all (NaN without a place), ``share`` the
    smoothed share of severe ones.
    """

    near: dict[str, list[float]]
    share: dict[str, list[float]]


def fit_density(latitude: NDArray[np.float64], longitude: NDArray[np.float64], hits: NDArray[np.float64]) -> Arrays:
    """Count accidents and severe accidents per grid cell, at each scale.

    Args:
        latitude: (n,), float64, degrees, NaN where unknown.
        longitude: (n,), float64, degrees, NaN where unknown.
        hits: (n,), float64, 1 for a severe accident, else 0; rows without a place or of NaN are ignored.

    Returns:
        For each scale ``cells`` (k,), int64, ``count`` and ``hits`` (k,), int32, accidents; ``per`` scales them to
        10,000.
    """
    known = ~np.isnan(latitude) & ~np.isnan(longitude) & ~np.isnan(hits)
    north, east, hit = latitude[known], longitude[known], hits[known]
    total = max(int((~np.isnan(hits)).sum()), 1)
    arrays: Arrays = {"per": np.array(10_000.0 / total)}
    for scale, height in CELL_HEIGHTS.items():
        cell = np.floor(north / height).astype(np.int64) * _ROW + np.floor(east / (height * _WIDER)).astype(np.int64)
        cells, index = np.unique(cell, return_inverse=True)
        arrays[f"{scale}:cells"] = cells
        arrays[f"{scale}:count"] = np.bincount(index, minlength=len(cells)).astype(np.int32)
        arrays[f"{scale}:hits"] = np.bincount(index, weights=hit, minlength=len(cells)).astype(np.int32)
    return arrays


class DensityTables(NamedTuple):
    """Accident counts by scale and cell."""

    cells: Mapping[str, Cells]
    strength: float
    """``STRENGTH`` in the cells' unit."""


def load_density(arrays: Mapping[str, NDArray[Any]]) -> DensityTables:
    """Load accident counts from the arrays that ``fit_density`` made: (k,) per scale, int64 cells and int32 counts."""
    per = float(arrays["per"])
    cells = {
        scale: {
            cell: (count * per, hits * per)
            for cell, count, hits in zip(
                arrays[f"{scale}:cells"].tolist(),
                arrays[f"{scale}:count"].tolist(),
                arrays[f"{scale}:hits"].tolist(),
                strict=True,
            )
        }
        for scale in CELL_HEIGHTS
    }
    return DensityTables(cells, SMOOTHING_STRENGTH * per)


def lookup_density(
    latitudes: list[float], longitudes: list[float], priors: list[float], learned: DensityTables
) -> LocalDensity:
    """Look up the accident density around n points in degrees (NaN where unknown), from the coarsest scale on.

    ``priors`` are the n shares that the coarsest scale is shrunk towards.
    """
    near: dict[str, list[float]] = {}
    shares: dict[str, list[float]] = {}
    strength = learned.strength
    for scale, height in CELL_HEIGHTS.items():
        cells = learned.cells[scale]
        width = height * _WIDER
        count_of, share_of = [], []
        for north, east, prior in zip(latitudes, longitudes, priors, strict=True):
            if isnan(north + east):
                count_of.append(_NAN)
                share_of.append(prior)
                continue
            centre = floor(north / height) * _ROW + floor(east / width)
            count = hits = 0.0
            for step, weight in _WINDOW:
                if centre + step in cells:
                    found = cells[centre + step]
                    count += weight * found[0]
                    hits += weight * found[1]
            count_of.append(count)
            share_of.append((hits + strength * prior) / (count + strength))
        near[scale], shares[scale] = count_of, share_of
        priors = share_of
    return LocalDensity(near, shares)
