"""Where the finished model has been too optimistic: stations and areas whose times it underestimated
on rows that it did not learn from, told apart from chance."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, fsum, lgamma, log, log1p
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.contract import Arrays, Columns, QuantityValue, Value
from services.core.usecases.fire_response.calls import read_calls
from services.core.usecases.fire_response.fitted import Fitted

FEWEST_ROWS = 20
FALSE_DISCOVERIES = 0.10
"""Share of the findings that may be chance."""
SMALLEST_DELAY = 10.0
"""Seconds at the median below which a proven underestimation is not worth a word."""


class Finding(NamedTuple):
    kind: str
    number: int
    rows: int
    above: int
    delay: float
    chance: float


def audit(
    columns: Columns,
    labels: Mapping[str, NDArray[np.float64]],
    values: Mapping[str, Value],
    fitted: Fitted,
) -> Arrays:
    """``risk_station`` and ``risk_ground`` (stations,): the number of a finding in ``risk_reasons`` and
    ``risk_reasons_fr``.

    A one-sided sign test per station that pumps came from, and per ground for first pumps: were more
    of its times above the prediction than of all times, or than half of them where that is less?
    Ties are left out. Benjamini and Hochberg (1995) hold the false discoveries among all tests
    together."""
    seconds, predicted = labels["attendance_seconds"], values["attendance_seconds"]
    assert isinstance(predicted, QuantityValue)
    rest = seconds - np.asarray(predicted.value)
    calls = read_calls(columns, fitted.atlas)
    first = columns["pump_order"] < 2
    ground = np.where(calls.ground >= 0, calls.ground, fitted.cell_ground[calls.cell])
    usable = ~np.isnan(rest) & (rest != 0)
    usual = min(0.5, float((rest[usable] > 0).mean())) if usable.any() else 0.5
    tested = [
        *_tests("station", calls.station, rest, usable & (calls.station >= 0), usual),
        *_tests("ground", ground, rest, usable & first, usual),
    ]
    kept = [
        tested[i]
        for i in discoveries([finding.chance for finding in tested], FALSE_DISCOVERIES)
        if tested[i].delay >= SMALLEST_DELAY
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


def _tests(
    kind: str, number: NDArray[np.int64], rest: NDArray[np.float64], usable: NDArray[np.bool_], usual: float
) -> list[Finding]:
    found = []
    for value in np.unique(number[usable]).tolist():
        own = rest[usable & (number == value)]
        if len(own) >= FEWEST_ROWS:
            above = int((own > 0).sum())
            chance = at_least(above, len(own), usual)
            found.append(Finding(kind, value, len(own), above, float(np.median(own)), chance))
    return found


def at_least(above: int, rows: int, share: float) -> float:
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


def discoveries(chances: list[float], rate: float) -> list[int]:
    """Positions of the tests that Benjamini and Hochberg's procedure keeps, most certain first."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    last = 0
    for rank, position in enumerate(order, start=1):
        if chances[position] <= rate * rank / len(chances):
            last = rank
    return order[:last]


def _reason(finding: Finding, name: str) -> str:
    subject = f"pumps from {name}" if finding.kind == "station" else f"first pumps on the ground of {name}"
    return (
        f"On data that the model had not learned from, {finding.above} of {finding.rows} {subject} took longer than "
        f"predicted, at the median by {finding.delay:.0f} s."
    )


def _reason_fr(finding: Finding, name: str) -> str:
    subject = f"engins partis de {name}" if finding.kind == "station" else f"premiers engins sur le secteur de {name}"
    return (
        f"Sur des données que le modèle n'avait pas apprises, {finding.above} des {finding.rows} {subject} ont mis "
        f"plus de temps que prévu, de {finding.delay:.0f} s en médiane."
    )
