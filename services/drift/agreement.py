"""Whether reported outcomes can be believed: a centre whose reports do not agree with anything is held back.

Two ways in which reports go wrong while the world stays as it was. They lose all connection with the calls (labels
mixed up on the way), or all of a centre's times are off by the same amount (a clock, a changed definition). A real
change looks otherwise: it comes with the place or the kind of call, and a slower road costs a long way more than a
short one. Both are compared with the frozen test rows, with the centre's own reports before, and with those of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from services.core.usecases.contract import Text
from services.drift.french import french

Floats = NDArray[np.float64]
ENOUGH = 60
"""Reports of one centre below which nothing is said about them."""
SURE = 6.0
"""Standard errors: many centres are looked at, every day."""
LOST = 0.4
"""Share of the usual connection between answers and outcomes below which it counts as lost."""
USUAL_CONNECTION = 0.25
"""A target whose frozen rows have less of it says nothing here."""
SHIFT = 0.4
"""Shift of the residuals' median, in their own interquartile range, that is looked into."""
ALIKE = (0.5, 2.0)
"""A constant shift is as large on short calls as on long ones: the ratio of both lies between these."""


@dataclass(frozen=True, slots=True)
class Reports:
    """One target's answers and outcomes of live calls, in the order in which the outcomes arrived, and of the frozen
    test rows. ``answer`` is one number per row."""

    target: str
    unit: str
    """Of quantities; "" for probabilities and classes."""
    centre: NDArray[Any]
    received: Floats
    answer: Floats
    label: Floats
    frozen_answer: Floats
    frozen_label: Floats
    quantity: bool


@dataclass(frozen=True, slots=True)
class Doubt:
    """From the report that arrived at ``since`` on, a centre's outcomes are not believed."""

    centre: str
    code: str
    since: float
    """Seconds since 1970, of arrival."""
    value: float
    reason: Text


def doubts(reports: list[Reports]) -> list[Doubt]:
    """At most one for each centre: the plainest."""
    found: dict[str, Doubt] = {}
    for item in reports:
        for centre in sorted(set(item.centre.tolist())):
            rows = np.flatnonzero(item.centre == centre)
            if centre in found or len(rows) < ENOUGH:
                continue
            doubt = _unconnected(item, centre, rows) or (_shifted(item, centre, rows) if item.quantity else None)
            if doubt is not None:
                found[centre] = doubt
    return list(found.values())


def _unconnected(item: Reports, centre: str, rows: NDArray[np.int64]) -> Doubt | None:
    usual = _connection(item.frozen_answer, item.frozen_label)
    if not usual > USUAL_CONNECTION:
        return None
    answer, label = _ranks(item.answer[rows]), _ranks(item.label[rows])
    product = answer * label
    start = _drop(product)
    tail = rows[start:]
    if len(tail) < ENOUGH:
        return None
    now = _connection(item.answer[tail], item.label[tail])
    # Even at the upper end of what chance allows, it is far from the usual one.
    if not now + 3 / np.sqrt(len(tail)) < (1 + LOST) / 2 * usual or now > LOST * usual:
        return None
    since = float(item.received[tail[0]])
    return Doubt(
        centre,
        "unconnected",
        since,
        now,
        Text(
            f"Outcomes of {centre} no longer go with the calls: the rank correlation of {item.target} with what was "
            f"answered is {now:.2f}, usually {usual:.2f}. They look mixed up, and are not learned from.",
            f"Les retours de {centre} ne correspondent plus aux appels : la corrélation de rang de {item.target} avec "
            f"les réponses est de {french(f'{now:.2f}')}, d'ordinaire {french(f'{usual:.2f}')}. Ils semblent "
            "mélangés et ne servent plus à l'apprentissage.",
        ),
    )


def _shifted(item: Reports, centre: str, rows: NDArray[np.int64]) -> Doubt | None:
    frozen = item.frozen_label - item.frozen_answer
    spread = float(np.subtract(*np.percentile(frozen, [75, 25])))
    usual = float(np.median(frozen))
    residual = item.label[rows] - item.answer[rows]
    start = _jump(residual, spread)
    tail = residual[start:]
    if len(tail) < ENOUGH or spread <= 0:
        return None
    before = float(np.median(residual[:start])) if start >= ENOUGH else usual
    shift = float(np.median(tail)) - before
    error = 1.2533 * spread / 1.349 / np.sqrt(len(tail))
    if abs(shift) < max(SHIFT * spread, SURE * error):
        return None
    others = np.flatnonzero(item.centre != centre)
    others = others[item.received[others] >= item.received[rows[start]]]
    if len(others) >= ENOUGH:
        theirs = float(np.median(item.label[others] - item.answer[others])) - usual
        if abs(theirs) > abs(shift) / 3 and theirs * shift > 0:
            return None  # it is the same everywhere: the world has changed, not this centre's clock
    answered = item.answer[rows[start:]]
    short = answered <= np.median(answered)
    near, far = float(np.median(tail[short])) - before, float(np.median(tail[~short])) - before
    if near * far <= 0 or not ALIKE[0] <= far / near <= ALIKE[1]:
        return None  # it grows with the way: slower roads, a station farther off
    if not _whole(tail, before, shift, spread):
        return None
    return Doubt(
        centre,
        "shifted",
        float(item.received[rows[start]]),
        shift,
        Text(
            f"All outcomes of {centre} are off by the same amount: {item.target} is {abs(shift):.0f} {item.unit} "
            f"{'longer' if shift > 0 else 'shorter'} than what was answered, on short and long calls alike, and other "
            "centres' are not. It looks like a clock or a definition, and they are not learned from.",
            f"Tous les retours de {centre} sont décalés d'autant : {item.target} est "
            f"{'plus long' if shift > 0 else 'plus court'} de {abs(shift):.0f} {item.unit} que la réponse, sur les "
            "appels courts comme sur les longs, et pas dans les autres centres. Cela ressemble à une horloge ou à une "
            "définition ; ils ne servent plus à l'apprentissage.",
        ),
    )


def _whole(tail: Floats, before: float, shift: float, spread: float) -> bool:
    """Whether the whole distribution moved, and not some of the calls: its quartiles moved alike."""
    low, high = np.percentile(tail, [25, 75])
    width = float(high - low)
    middle = float(low + high) / 2 - before
    return width < 1.5 * spread and 0.5 < middle / shift < 1.5


def _connection(answer: Floats, label: Floats) -> float:
    """Rank correlation; 0 where either is constant."""
    if len(answer) < 3 or np.ptp(answer) == 0 or np.ptp(label) == 0:
        return 0.0
    return float(stats.spearmanr(answer, label).statistic)


def _ranks(values: Floats) -> Floats:
    ranks = stats.rankdata(values)
    return np.asarray((ranks - ranks.mean()) / max(float(ranks.std()), 1e-12))


def _drop(values: Floats) -> int:
    """Where the mean falls for good; 0 where it is one level."""
    return _cut(-values)


def _jump(values: Floats, spread: float) -> int:
    """Where the level moves for good, up or down; 0 where it is one level."""
    capped = np.clip(values, np.median(values) - 2 * spread, np.median(values) + 2 * spread)
    up, down = _cut(capped), _cut(-capped)
    return up if _strength(capped, up) >= _strength(-capped, down) else down


def _cut(values: Floats) -> int:
    """The start of the tail whose mean is most surely above that of what comes before."""
    count = len(values)
    if count < 2 * ENOUGH:
        return 0
    places = np.arange(ENOUGH, count - ENOUGH + 1)
    sums = np.cumsum(values)
    before, after = sums[places - 1] / places, (sums[-1] - sums[places - 1]) / (count - places)
    error = float(values.std()) * np.sqrt(1 / places + 1 / (count - places))
    strengths = np.divide(after - before, error, out=np.zeros(len(places)), where=error > 0)
    best = int(strengths.argmax())
    return int(places[best]) if strengths[best] > SURE else 0


def _strength(values: Floats, place: int) -> float:
    if place <= 0 or place >= len(values):
        return 0.0
    before, after = values[:place], values[place:]
    error = values.std() * np.sqrt(1 / len(before) + 1 / len(after))
    return float((after.mean() - before.mean()) / error) if error > 0 else 0.0
