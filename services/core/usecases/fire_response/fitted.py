"""What was learned, laid out for looking things up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.fire_response.calls import Atlas, atlas
from services.core.usecases.fire_response.fitting import BLOCK_OF_CLOCK, BLOCKS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Tables are flat; ``fitting`` says how their keys are made."""

    atlas: Atlas
    opened: Floats
    closed: Floats
    names: NDArray[np.object_]
    kinds: dict[str, int]
    cell_ground: NDArray[np.int64]
    cells: NDArray[np.float32]
    """Per square (cells, 8): metres to the three nearest stations, incidents around, the two place
    delays, the two place pumps."""
    local: NDArray[np.float32]
    """Per pump order and square (2 cells, 4): how long pumps took around it and how many were late."""
    around: NDArray[np.float32]
    curve: Floats
    hours: Floats
    stations: NDArray[np.float32]
    """Per station (n, 3): easting, northing and its delay."""
    pairs: NDArray[np.float32]
    """Per station and ground: what the two together add."""
    pair_level: Floats
    """The same with the delays of the station and the ground themselves."""
    pair_late: Floats
    """Per station, ground and pump order: how much more often than usual a pump was late."""
    kind_delay: Floats
    congestion: Floats
    """Per ground and hour of the clock."""
    station_hours: Floats
    """Per station and hour of the clock: the hour's delay and what the station adds to it."""
    places: dict[int, float]
    kind_pumps: NDArray[np.float32]
    """Per kind and group (n, 4)."""
    ground_pumps: Floats
    premises: dict[int, float]
    group_places: dict[int, float]
    risk_station: NDArray[np.int64]
    """Per station the number of its finding in ``risk_reasons``; 0 is none."""
    risk_ground: NDArray[np.int64]
    risk_reasons: NDArray[np.object_]
    risk_reasons_fr: NDArray[np.object_]


def load(arrays: Mapping[str, NDArray[Any]]) -> Fitted:
    """The tables of ``fit``'s arrays, and of ``audit``'s where they are there already."""
    where = atlas(arrays)
    nothing = np.zeros(where.stations, dtype=np.int64)
    return Fitted(
        atlas=where,
        opened=arrays["station_opened"],
        closed=arrays["station_closed"],
        names=arrays["station_names"].astype(object),
        kinds={str(kind): number for number, kind in enumerate(arrays["kinds"].tolist())},
        cell_ground=arrays["cell_ground"],
        cells=np.column_stack(
            [
                arrays["cell_near"],
                arrays["cell_pumps"][:, 2],
                arrays["cell_delay"],
                arrays["cell_pumps"][:, :2],
            ]
        ).astype(np.float32),
        local=arrays["cell_local"],
        around=np.ascontiguousarray(arrays["cell_delay"][:, 0]),
        curve=arrays["curve"],
        hours=arrays["hours"],
        stations=np.column_stack(
            [arrays["station_easting"], arrays["station_northing"], arrays["stations"]],
        ).astype(np.float32),
        pairs=arrays["pairs"].astype(np.float32),
        pair_level=arrays["pairs"] + (arrays["stations"][:, None] + arrays["grounds"]).ravel(),
        pair_late=arrays["pair_late"],
        kind_delay=arrays["kind_delay"],
        congestion=_by_hour(arrays["congestion"]).ravel(),
        station_hours=(_by_hour(arrays["station_blocks"]) + arrays["hours"]).ravel(),
        places=_table(arrays, "place_keys", "place_delay"),
        kind_pumps=arrays["kind_pumps"].astype(np.float32),
        ground_pumps=arrays["ground_pumps"],
        premises=_table(arrays, "premises_keys", "premises_pumps"),
        group_places=_table(arrays, "group_place_keys", "group_place_pumps"),
        risk_station=arrays.get("risk_station", nothing),
        risk_ground=arrays.get("risk_ground", nothing),
        risk_reasons=arrays.get("risk_reasons", np.array([""])).astype(object),
        risk_reasons_fr=arrays.get("risk_reasons_fr", np.array([""])).astype(object),
    )


def _by_hour(blocks: Floats) -> Floats:
    """Blocks of hours (n * BLOCKS,) spread over the clock (n, CLOCK)."""
    return blocks.reshape(-1, BLOCKS)[:, BLOCK_OF_CLOCK]


def _table(arrays: Mapping[str, NDArray[Any]], keys: str, values: str) -> dict[int, float]:
    return dict(zip(arrays[keys].tolist(), arrays[values].tolist(), strict=True))
