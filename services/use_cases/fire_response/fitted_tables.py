"""Fitted encodings laid out for lookup, and the check for stations and areas whose times the model underestimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, fsum, lgamma, log, log1p
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.contract.use_case import Arrays, Columns, RegressionPrediction, TargetPrediction
from services.use_cases.fire_response.encoding import SpatialIndex, build_spatial_index, encode_requests
from services.use_cases.fire_response.fit import BLOCK_OF_CLOCK, BLOCKS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FittedTables:
    """Fitted encodings as flat tables; ``fit`` shows how their keys are made."""

    atlas: SpatialIndex
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


def prepare(arrays: Mapping[str, NDArray[Any]]) -> FittedTables:
    """Lay out the fitted arrays for lookup, once for each loaded bundle.

    Args:
        arrays: what ``fit`` and, where they have run, ``post_training_checks`` returned: tables (k,) and maps (cells,
            p), float64 or float32, in seconds, metres, pumps or shares.
    """
    where = build_spatial_index(arrays)
    nothing = np.zeros(where.stations, dtype=np.int64)
    return FittedTables(
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


MIN_ROWS = 20
FALSE_DISCOVERY_RATE = 0.10
"""Share of the findings that may be chance."""
MIN_DELAY_SECONDS = 10.0
"""Seconds at the median below which a proven underestimation is not worth a word."""


class BiasFinding(NamedTuple):
    """Result of one sign test: a station or ground whose times exceed the prediction, ``delay`` in seconds."""

    kind: str
    number: int
    rows: int
    above: int
    delay: float
    p_value: float


def post_training_checks(
    columns: Columns,
    labels: Mapping[str, NDArray[np.float64]],
    values: Mapping[str, TargetPrediction],
    fitted: FittedTables,
) -> Arrays:
    """Find stations and grounds whose attendance times the model underestimates, on n held-out rows.

    A one-sided sign test per station that pumps came from, and per ground for first pumps: were more of its times above
    the prediction than of all times, or than half of them where that is less? Ties are dropped.

    Args:
        columns: request field -> (n,), as for ``features``.
        labels: ``attendance_seconds`` (n,), float64, seconds, NaN where unknown.
        values: predictions of the n rows, seconds.
        fitted: lookup tables.

    Returns:
        ``risk_station`` and ``risk_ground`` (stations,), int64: number of a finding in ``risk_reasons`` and
        ``risk_reasons_fr`` (k,), str.

    Source: Y. Benjamini, Y. Hochberg, Controlling the false discovery rate, J. R. Statist. Soc. B 57 (1995) 289-300.
    """
    seconds, predicted = labels["attendance_seconds"], values["attendance_seconds"]
    assert isinstance(predicted, RegressionPrediction)
    rest = seconds - np.asarray(predicted.value)
    calls = encode_requests(columns, fitted.atlas)
    first = columns["pump_order"] < 2
    ground = np.where(calls.ground >= 0, calls.ground, fitted.cell_ground[calls.cell])
    usable = ~np.isnan(rest) & (rest != 0)
    usual = min(0.5, float((rest[usable] > 0).mean())) if usable.any() else 0.5
    tested = [
        *_sign_tests("station", calls.station, rest, usable & (calls.station >= 0), usual),
        *_sign_tests("ground", ground, rest, usable & first, usual),
    ]
    kept = [
        tested[i]
        for i in benjamini_hochberg([finding.p_value for finding in tested], FALSE_DISCOVERY_RATE)
        if tested[i].delay >= MIN_DELAY_SECONDS
    ]
    numbers = {kind: np.zeros(fitted.atlas.stations, dtype=np.int64) for kind in ("station", "ground")}
    reasons, reasons_fr = [""], [""]
    for finding in kept:
        numbers[finding.kind][finding.number] = len(reasons)
        reasons.append(_reason(finding, str(fitted.names[finding.number])))
        reasons_fr.append(_reason_fr(finding, str(fitted.names[finding.number])))
    return {
        "risk_station": numbers["station"],
        "risk_ground": numbers["ground"],
        "risk_reasons": np.array(reasons, dtype=str),
        "risk_reasons_fr": np.array(reasons_fr, dtype=str),
    }


def _sign_tests(
    kind: str, number: NDArray[np.int64], rest: NDArray[np.float64], usable: NDArray[np.bool_], usual: float
) -> list[BiasFinding]:
    found = []
    for value in np.unique(number[usable]).tolist():
        own = rest[usable & (number == value)]
        if len(own) >= MIN_ROWS:
            above = int((own > 0).sum())
            chance = binomial_tail(above, len(own), usual)
            found.append(BiasFinding(kind, value, len(own), above, float(np.median(own)), chance))
    return found


def binomial_tail(above: int, rows: int, share: float) -> float:
    """The probability of ``above`` or more successes in ``rows`` tries that succeed with ``share``."""
    if above <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    win, lose = log(share), log1p(-share)
    total = lgamma(rows + 1)
    terms = [
        total - lgamma(hits + 1) - lgamma(rows - hits + 1) + hits * win + (rows - hits) * lose
        for hits in range(above, rows + 1)
    ]
    return min(1.0, fsum(exp(term) for term in terms))


def benjamini_hochberg(chances: list[float], rate: float) -> list[int]:
    """Positions of the tests that Benjamini and Hochberg's procedure rejects at this rate, most certain first."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    last = 0
    for rank, position in enumerate(order, start=1):
        if chances[position] <= rate * rank / len(chances):
            last = rank
    return order[:last]


def _reason(finding: BiasFinding, name: str) -> str:
    subject = f"pumps from {name}" if finding.kind == "station" else f"first pumps on the ground of {name}"
    return (
        f"On data that the model had not learned from, {finding.above} of {finding.rows} {subject} took longer than "
        f"predicted, at the median by {finding.delay:.0f} s."
    )


def _reason_fr(finding: BiasFinding, name: str) -> str:
    subject = f"engins partis de {name}" if finding.kind == "station" else f"premiers engins sur le secteur de {name}"
    return (
        f"Sur des données que le modèle n'avait pas apprises, {finding.above} des {finding.rows} {subject} ont mis "
        f"plus de temps que prévu, de {finding.delay:.0f} s en médiane."
    )
