"""Finds centres whose reported outcomes (labels) are suspect: uncorrelated with the predictions, or shifted.

A real change looks otherwise: it comes with the place or the kind of call, and a slower road costs a long way more than
a short one. Reports are compared with the held-out test rows, with the centre's own reports before, and with those of
other centres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from services.core.contract.use_case import MultiClass, Regression, TargetPrediction, UseCase
from services.core.messages import Message
from services.drift.models import HoldoutReference
from services.drift.statistics import point_prediction

Floats = NDArray[np.float64]
MIN_REPORTS = 60
"""Reports of one centre below which they are not tested."""
MIN_Z_SCORE = 6.0
"""Standard errors; high because many centres are tested every day."""
LOST_CORRELATION = 0.4
"""Share of the usual connection between answers and outcomes below which it counts as lost."""
MIN_USUAL_CORRELATION = 0.25
"""Rank correlation on held-out rows below which a target is not tested."""
MIN_SHIFT = 0.4
"""Shift of the median residual, in interquartile ranges of the residuals, from which on it counts."""
CONSTANT_SHIFT_RATIO = (0.5, 2.0)
"""A constant shift is as large on short calls as on long ones: the ratio of both lies between these."""


@dataclass(frozen=True, slots=True)
class LabelSample:
    """One target's predictions and labels of n live calls, in the order of the labels' arrival, and of k held-out rows.

    Attributes:
        target: name of the target.
        unit: of regressions, such as ``s``; "" for probabilities and classes.
        centre: names of the reporting centres (n,), str.
        received: when the labels arrived (n,), float64, seconds since 1970 UTC.
        answer: predictions (n,), float64, in the target's unit or as probabilities 0 to 1.
        label: outcomes (n,), float64, without NaN.
        frozen_answer: predictions of the held-out rows (k,), float64.
        frozen_label: outcomes of the held-out rows (k,), float64, without NaN.
        quantity: whether the target is a regression.
    """

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
class SuspectLabels:
    """Outcomes of one centre that are excluded from training and metrics, from the report that arrived at ``since`` on.

    Attributes:
        centre: name of the centre.
        code: ``unconnected`` (no correlation with the predictions is left) or ``shifted`` (by a constant).
        since: arrival of the first suspect report, seconds since 1970 UTC.
        value: the rank correlation, or the shift in the target's unit.
        reason: message for people.
    """

    centre: str
    code: str
    since: float
    """Seconds since 1970, of arrival."""
    value: float
    reason: Message


def find_suspect_labels(reports: list[LabelSample]) -> list[SuspectLabels]:
    """Test each centre's labels for lost correlation and for a constant shift.

    Args:
        reports: one sample for each target.

    Returns:
        At most one finding for each centre, of the first target that has one.
    """
    found: dict[str, SuspectLabels] = {}
    for item in reports:
        for centre in sorted(set(item.centre.tolist())):
            rows = np.flatnonzero(item.centre == centre)
            if centre in found or len(rows) < MIN_REPORTS:
                continue
            doubt = _uncorrelated(item, centre, rows) or (_shifted(item, centre, rows) if item.quantity else None)
            if doubt is not None:
                found[centre] = doubt
    return list(found.values())


def _uncorrelated(item: LabelSample, centre: str, rows: NDArray[np.int64]) -> SuspectLabels | None:
    """Whether the newest reports ``rows`` (indices of one centre) are no longer rank-correlated with the predictions.

    Source: C. Spearman, The proof and measurement of association between two things, Am. J. Psychol. 15 (1904) 72-101.
    """
    usual = _rank_correlation(item.frozen_answer, item.frozen_label)
    if not usual > MIN_USUAL_CORRELATION:
        return None
    answer, label = _standardised_ranks(item.answer[rows]), _standardised_ranks(item.label[rows])
    product = answer * label
    start = _mean_drop(product)
    tail = rows[start:]
    if len(tail) < MIN_REPORTS:
        return None
    now = _rank_correlation(item.answer[tail], item.label[tail])
    # Even at the upper end of what chance allows, it is far from the usual one.
    if not now + 3 / np.sqrt(len(tail)) < (1 + LOST_CORRELATION) / 2 * usual or now > LOST_CORRELATION * usual:
        return None
    since = float(item.received[tail[0]])
    return SuspectLabels(
        centre,
        "unconnected",
        since,
        now,
        Message("monitoring.labels_unconnected", {"centre": centre, "target": item.target, "now": now, "usual": usual}),
    )


def _shifted(item: LabelSample, centre: str, rows: NDArray[np.int64]) -> SuspectLabels | None:
    """Whether the median residual of the newest reports ``rows`` (indices of one centre) moved by a constant.

    Residuals are in the target's unit; their interquartile range on held-out rows is the scale, and the standard error
    of a median is 1.2533 standard deviations over the root of the count, as for normal ones.
    """
    frozen = item.frozen_label - item.frozen_answer
    spread = float(np.subtract(*np.percentile(frozen, [75, 25])))
    usual = float(np.median(frozen))
    residual = item.label[rows] - item.answer[rows]
    start = _level_change(residual, spread)
    tail = residual[start:]
    if len(tail) < MIN_REPORTS or spread <= 0:
        return None
    before = float(np.median(residual[:start])) if start >= MIN_REPORTS else usual
    shift = float(np.median(tail)) - before
    error = 1.2533 * spread / 1.349 / np.sqrt(len(tail))
    if abs(shift) < max(MIN_SHIFT * spread, MIN_Z_SCORE * error):
        return None
    others = np.flatnonzero(item.centre != centre)
    others = others[item.received[others] >= item.received[rows[start]]]
    if len(others) >= MIN_REPORTS:
        theirs = float(np.median(item.label[others] - item.answer[others])) - usual
        if abs(theirs) > abs(shift) / 3 and theirs * shift > 0:
            return None  # it is the same everywhere: the world has changed, not this centre's clock
    answered = item.answer[rows[start:]]
    short = answered <= np.median(answered)
    near, far = float(np.median(tail[short])) - before, float(np.median(tail[~short])) - before
    if near * far <= 0 or not CONSTANT_SHIFT_RATIO[0] <= far / near <= CONSTANT_SHIFT_RATIO[1]:
        return None  # it grows with the way: slower roads, a station farther off
    if not _whole_distribution_moved(tail, before, shift, spread):
        return None
    return SuspectLabels(
        centre,
        "shifted",
        float(item.received[rows[start]]),
        shift,
        Message(
            "monitoring.labels_shifted",
            {
                "centre": centre,
                "target": item.target,
                "shift": abs(shift),
                "unit": item.unit,
                "direction": Message("monitoring.longer" if shift > 0 else "monitoring.shorter"),
            },
        ),
    )


def _whole_distribution_moved(tail: Floats, before: float, shift: float, spread: float) -> bool:
    """Whether the whole distribution moved, and not some of the calls: its quartiles moved alike."""
    low, high = np.percentile(tail, [25, 75])
    width = float(high - low)
    middle = float(low + high) / 2 - before
    return width < 1.5 * spread and 0.5 < middle / shift < 1.5


def _rank_correlation(answer: Floats, label: Floats) -> float:
    """Rank correlation; 0 where either is constant."""
    if len(answer) < 3 or np.ptp(answer) == 0 or np.ptp(label) == 0:
        return 0.0
    return float(stats.spearmanr(answer, label).statistic)


def _standardised_ranks(values: Floats) -> Floats:
    """Ranks of ``values`` (n,) with mean 0 and standard deviation 1, (n,) float64."""
    ranks = stats.rankdata(values)
    return np.asarray((ranks - ranks.mean()) / max(float(ranks.std()), 1e-12))


def _mean_drop(values: Floats) -> int:
    """Where the mean falls for good; 0 where it is one level."""
    return _change_point(-values)


def _level_change(values: Floats, spread: float) -> int:
    """Where the level moves for good, up or down; 0 where it is one level."""
    capped = np.clip(values, np.median(values) - 2 * spread, np.median(values) + 2 * spread)
    up, down = _change_point(capped), _change_point(-capped)
    return up if _z_score(capped, up) >= _z_score(-capped, down) else down


def _change_point(values: Floats) -> int:
    """The start of the tail whose mean is most surely above that of what comes before; 0 where there is none.

    Source: A. Sen, M. S. Srivastava, On tests for detecting change in mean, Ann. Statist. 3 (1975) 98-108.
    """
    count = len(values)
    if count < 2 * MIN_REPORTS:
        return 0
    places = np.arange(MIN_REPORTS, count - MIN_REPORTS + 1)
    sums = np.cumsum(values)
    before, after = sums[places - 1] / places, (sums[-1] - sums[places - 1]) / (count - places)
    error = float(values.std()) * np.sqrt(1 / places + 1 / (count - places))
    strengths = np.divide(after - before, error, out=np.zeros(len(places)), where=error > 0)
    best = int(strengths.argmax())
    return int(places[best]) if strengths[best] > MIN_Z_SCORE else 0


def _z_score(values: Floats, place: int) -> float:
    """Rise of the mean of ``values`` (n,) at ``place``, in standard errors."""
    if place <= 0 or place >= len(values):
        return 0.0
    before, after = values[:place], values[place:]
    error = values.std() * np.sqrt(1 / len(before) + 1 / len(after))
    return float((after.mean() - before.mean()) / error) if error > 0 else 0.0


def find_suspect_sources(
    use_case: UseCase, window: pd.DataFrame, values: Mapping[str, TargetPrediction], frozen: HoldoutReference
) -> list[SuspectLabels]:
    """Find the centres whose reported labels in the window are suspect.

    Args:
        use_case: declares the targets. Multi-class targets are skipped: the order of classes means nothing.
        window: n calls with label columns, ``call_centre`` and ``call_reported_at`` (UTC), see ``read_window``.
        values: target -> the champion's predictions of the n calls.
        frozen: the champion's predictions on its held-out test rows.

    Returns:
        At most one finding for each centre.
    """
    made = []
    for target in use_case.modelling.targets:
        output = target.output
        if isinstance(output, MultiClass):
            continue  # the order of classes means nothing
        label = window[target.label].to_numpy(dtype=np.float64)
        rows = np.flatnonzero(~np.isnan(label))
        rows = rows[np.argsort(window["call_reported_at"].to_numpy(dtype="datetime64[us]")[rows], kind="stable")]
        before = frozen.frame[target.label].to_numpy(dtype=np.float64)
        known = np.flatnonzero(~np.isnan(before))
        if not len(rows) or not len(known):
            continue
        received = window["call_reported_at"].to_numpy(dtype="datetime64[us]").astype(np.int64)[rows] / 1e6
        made.append(
            LabelSample(
                target=target.name,
                unit=output.unit if isinstance(output, Regression) else "",
                centre=window["call_centre"].to_numpy(dtype=object)[rows],
                received=received,
                answer=point_prediction(values[target.name])[rows],
                label=label[rows],
                frozen_answer=point_prediction(frozen.values[target.name])[known],
                frozen_label=before[known],
                quantity=isinstance(output, Regression),
            )
        )
    return find_suspect_labels(made)
