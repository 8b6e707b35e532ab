"""Calls as numbers: what ``fit`` and ``features`` both need to know about a row before anything is
learned or looked up. NumPy alone; every formula is element by element, so that one row and a million
agree to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.contract import Columns
from services.core.usecases.fire_response.brigade import LONDON
from services.core.usecases.local_time import local_day

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GROUPS = {"Fire": 0, "False Alarm": 1, "Special Service": 2}
NO_GROUP = len(GROUPS)
OFFICIAL = 100.0
"""Side of the squares that official places are rounded to, metres."""
_MARGIN = 4_000.0
_CHUNK = 4_096
_DAYS = 47_482
"""Until the end of 2099."""


@dataclass(frozen=True, slots=True)
class Atlas:
    """Stations, squares and holidays: what is known before learning."""

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
        return len(self.names)

    @property
    def cells(self) -> int:
        return self.columns * self.rows


def atlas(reference: Mapping[str, NDArray[Any]]) -> Atlas:
    """The atlas of ``raw.reference``'s arrays, which the bundle keeps too."""
    easting, northing = reference["station_easting"], reference["station_northing"]
    names = reference["station_names"]
    side = LONDON.cell
    first_column, first_row = float(easting.min()) - _MARGIN, float(northing.min()) - _MARGIN
    columns = int((float(easting.max()) + _MARGIN - first_column) // side) + 1
    rows = int((float(northing.max()) + _MARGIN - first_row) // side) + 1
    day = np.arange(_DAYS)
    bank, school = (np.isin(day, reference[name]) for name in ("bank_holidays", "school_holidays"))
    weekday = (day + 3) % 7
    return Atlas(
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


class Calls(NamedTuple):
    """Arrays (n,). Numbers of stations and grounds are those of the atlas, -1 for none or unknown."""

    easting: Floats
    northing: Floats
    place: Ints
    """The official 100-metre square as one number."""
    cell: Ints
    hour: Floats
    calendar: NDArray[np.float32]
    """(n, 3), see ``Atlas``."""
    clock: Ints
    """The whole hour on working days, 24 more on quiet ones: weekends and bank holidays."""
    station: Ints
    ground: Ints
    group: Ints


def read_calls(columns: Columns, atlas: Atlas) -> Calls:
    """Place, time and words of the calls as numbers."""
    easting, northing = columns["easting"], columns["northing"]
    place, cell = squares(easting, northing, atlas)
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
    return Calls(
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


def squares(easting: Floats, northing: Floats, atlas: Atlas) -> tuple[Ints, Ints]:
    """The official square of each place, and its square in the atlas: places outside belong to the
    nearest one at the edge."""
    place = np.array((easting, northing))
    official = np.floor(place / OFFICIAL)
    within = np.maximum(np.minimum((place - atlas.corner) / LONDON.cell, atlas.last), 0).astype(np.int64)
    key: Ints = (official[0] * 100_000 + official[1]).astype(np.int64)
    return key, within[0] * atlas.rows + within[1]


def cell_middles(atlas: Atlas) -> tuple[Floats, Floats]:
    """Easting and northing of the middle of every square."""
    column = atlas.corner[0] + (np.arange(atlas.columns) + 0.5) * LONDON.cell
    row = atlas.corner[1] + (np.arange(atlas.rows) + 0.5) * LONDON.cell
    return np.repeat(column, atlas.rows), np.tile(row, atlas.columns)


def nearest_open(easting: Floats, northing: Floats, atlas: Atlas, time: Floats, spans: tuple[Floats, Floats]) -> Ints:
    """The nearest of the stations that were open at ``time`` (n,), seconds since 1970 UTC; ``spans``
    says from when and until when each was (see ``openings``)."""
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


def distances(easting: Floats, northing: Floats, station: Ints, atlas: Atlas) -> tuple[Floats, Floats, Floats]:
    """Metres to the station: straight, eastwards and northwards."""
    across = easting - atlas.easting[station]
    along = northing - atlas.northing[station]
    return np.sqrt(across * across + along * along), across, along
