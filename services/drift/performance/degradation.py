"""Finds where the live error exceeds its limit: over all calls, and in which segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from services.core.params import Monitoring
from services.drift.statistics import Segment, holm, is_informative

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SHRINKAGE_ROWS = 20.0
"""So many rows' worth of the overall reference go into each segment's own: a few frozen rows are no limit."""
BIAS_SHRINKAGE_ROWS = 200.0
"""The same where a bias is judged: probabilities are calibrated over all rows, so groups differ less."""
MAX_SEGMENTS = 5
RECENT_SHARES = (1.0, 0.7, 0.5, 0.35, 0.25)
"""Latest shares of the window that segments are judged on: what began two days ago drowns in two weeks, and days from
before a change make the days after it look like chance."""
_MIN_CLUSTERED_DAYS = 5
_CLUSTER_INFLATION = 1.5
"""Days are clusters where they make the error of the mean so many times as large; below it is their noise."""


@dataclass(frozen=True, slots=True)
class LossSample:
    """One target's losses on n labelled live calls, and on the k held-out rows of the version that answered.

    ``loss``, ``day`` (days since 1970), ``seconds`` and ``groups`` are (n,); ``reference_loss`` and
    ``reference_groups`` are (k,). Losses are float64, in the loss's unit. ``scale`` multiplies the held-out losses
    where the model has learned from those rows.
    """

    target: str
    loss: Floats
    day: NDArray[np.int64]
    seconds: Floats
    """The calls' own times, in which they are ordered."""
    groups: Mapping[str, NDArray[Any]]
    reference_loss: Floats
    reference_groups: Mapping[str, NDArray[Any]]
    scale: float = 1.0
    answer: Floats | None = None
    """Of a bias: the probabilities that were answered."""
    under: bool = True
    """Of a bias: whether ``loss`` is what happened less what was answered, or the other way round."""

    @property
    def bias(self) -> bool:
        """Whether ``loss`` is signed: the outcome less the probability, or the reverse, with a limit of its own."""
        return self.answer is not None

    @property
    def shrinkage_rows(self) -> float:
        """Rows' worth of the overall reference that go into a segment's own (empirical Bayes)."""
        return BIAS_SHRINKAGE_ROWS if self.bias else SHRINKAGE_ROWS

    def exceeds_limit(self, value: float, reference: float, params: Monitoring, *, overall: bool) -> bool:
        """Whether a mean loss exceeds the reference by more than the limit, of all calls or of a segment."""
        if self.bias:
            return value - reference > params.bias_limit / (2 if overall else 1)
        return value > reference * (1 + (params.error_limit if overall else params.segment_limit))


@dataclass(frozen=True, slots=True)
class Degradation:
    """A mean loss (``value``) significantly above its ``reference``. ``segment`` None stands for all calls."""

    target: str
    segment: Segment | None
    value: float
    reference: float
    count: int
    p_value: float
    since: float | None = None
    """Seconds since 1970 from which on the calls err more, by their own time."""
    share: float = 1.0
    """Of the target's judged calls."""
    bias: bool = False
    predicted: float = 0.0
    """Of a bias: the mean probability that was answered."""
    under: bool = True
    """Of a bias: whether too little was answered."""

    @property
    def rise(self) -> float:
        """Relative rise of the loss (0.1 is 10 %); of a bias the difference of probabilities."""
        return self.value - self.reference if self.bias else self.value / self.reference - 1


@dataclass
class Degradations:
    """Findings of all targets, over all calls and by segment."""

    overall: list[Degradation] = field(default_factory=list)
    segments: list[Degradation] = field(default_factory=list)
    localised: bool = True
    """Whether the segments explain the overall error: without their calls it is within its limit."""

    @property
    def breached(self) -> bool:
        """Whether there is any finding."""
        return bool(self.overall or self.segments)


def find_degradations(judged: list[LossSample], params: Monitoring) -> Degradations:
    """Find the targets and segments whose live error exceeds its limit.

    After the most certain segment its calls are set aside; what still exceeds its limit without them is named next.

    Args:
        judged: one sample for each target, and two for the bias of a probability.
        params: limits, significance and least numbers of rows.

    Returns:
        The findings, segments in the order of their corrected p-values.
    """
    found = Degradations()
    for item in map(_without_absurd, judged):
        if len(item.loss) < params.minimum_outcomes:
            continue
        everything = np.ones(len(item.loss), dtype=np.bool_)
        overall = _overall_degradation(item, everything, params)
        left = everything.copy()
        segments: list[Degradation] = []
        while len(segments) < MAX_SEGMENTS and (worst := _most_certain_segment(item, left, params)) is not None:
            assert worst.segment is not None
            segments.append(worst)
            left &= item.groups[worst.segment.column] != worst.segment.value
        if overall is not None:
            found.overall.append(overall)
            enough = left.sum() >= params.minimum_outcomes / 2
            if not segments or not enough or _overall_degradation(item, left, params) is not None:
                found.localised = False
        found.segments += segments
    found.segments.sort(key=lambda breach: breach.p_value)
    return found


def loss_cap(usual: Floats, live: Floats) -> float:
    """The loss from which on an outcome counts as absurd: beyond what is usual, and beyond what is common now.

    One such outcome among hundreds neither makes calls look worse nor hides that all of them are, by its spread. What a
    probability can be off at most, 1, is never absurd.

    Args:
        usual: losses of held-out rows (k,), float64.
        live: losses of live calls (n,), float64.
    """
    return max(1.0, float(np.quantile(usual, 0.995)), 3 * float(np.quantile(live, 0.75)))


def _without_absurd(item: LossSample) -> LossSample:
    if item.bias or not len(item.loss):
        return item
    cap = loss_cap(item.reference_loss * item.scale, item.loss)
    usual = np.minimum(item.reference_loss * item.scale, cap)
    return replace(item, loss=np.minimum(item.loss, cap), reference_loss=usual, scale=1.0)


def change_point(loss: Floats, seconds: Floats, usual: float) -> float | None:
    """From when on the losses lie above ``usual``: the best cut into before and after.

    Args:
        loss: losses (n,). They are capped, so that a single one is no turning point.
        seconds: the calls' own times (n,), seconds since 1970.
        usual: the reference's mean loss.

    Returns:
        Seconds since 1970; None where they lie above it from the beginning.

    Source: E. S. Page, Continuous inspection schemes, Biometrika 41 (1954) 100-115.
    """
    order = np.argsort(seconds, kind="stable")
    capped = np.minimum(loss[order], usual + 3 * max(float(np.median(np.abs(loss - usual))), abs(usual) * 0.5, 1e-9))
    middle = (usual + capped[len(capped) // 2 :].mean()) / 2
    # The largest fall of the sum of deviations ends where the higher level begins (Page's CUSUM, backwards).
    tail = np.cumsum((capped - middle)[::-1])[::-1]
    start = int(np.argmax(tail))
    return None if start == 0 else float(seconds[order][start])


def _overall_degradation(item: LossSample, rows: Bools, params: Monitoring) -> Degradation | None:
    reference = float(item.reference_loss.mean()) * item.scale
    error = float(item.reference_loss.std()) * item.scale / np.sqrt(len(item.reference_loss))
    measured = _excess_with_p_value(item, rows, reference, error)
    if measured is None:
        return None
    value, chance = measured
    if chance >= params.significance or not _exceeds_without_worst_day(item, rows, reference, params, overall=True):
        return None
    since = change_point(item.loss[rows], item.seconds[rows], reference)
    found = Degradation(item.target, None, value, reference, int(rows.sum()), chance, since)
    return replace(found, **_bias_fields(item, rows))


def _exceeds_without_worst_day(
    item: LossSample, rows: Bools, reference: float, params: Monitoring, *, overall: bool
) -> bool:
    """Whether the mean loss exceeds its limit even without the worst day: one storm is no concept drift."""
    days, code = np.unique(item.day[rows], return_inverse=True)
    worst = int(np.argmax(np.bincount(code, weights=item.loss[rows] - reference)))
    rest = item.loss[rows][code != worst]
    return len(days) > 1 and item.exceeds_limit(float(rest.mean()), reference, params, overall=overall)


def _bias_fields(item: LossSample, rows: Bools) -> dict[str, Any]:
    """Fields of a finding about bias, of these rows."""
    if item.answer is None:
        return {}
    return {"bias": True, "predicted": float(item.answer[rows].mean()), "under": item.under}


def _most_certain_segment(item: LossSample, left: Bools, params: Monitoring) -> Degradation | None:
    """The segment whose error is most surely above its limit among the rows ``left`` (n,), by Holm's method."""
    overall = float(item.reference_loss.mean()) * item.scale
    spread = float(item.reference_loss.std()) * item.scale
    newest, oldest = float(item.seconds.max()), float(item.seconds.min())
    recent = [item.seconds >= newest - span * (newest - oldest) for span in RECENT_SHARES]
    candidates: list[Degradation] = []
    spans: list[Bools] = []
    chances: list[float] = []
    for column, words in item.groups.items():
        frozen = item.reference_groups.get(column)
        for word in sorted(set(words[left].tolist())):
            whole = left & (words == word)
            if whole.sum() < params.segment_rows or not is_informative(word) or whole.sum() > 0.9 * left.sum():
                continue
            own = item.reference_loss[frozen == word] * item.scale if frozen is not None else np.empty(0)
            reference = float((own.sum() + item.shrinkage_rows * overall) / (len(own) + item.shrinkage_rows))
            for late in recent:
                rows = whole & late
                measured = None
                if rows.sum() >= params.segment_rows:
                    error = spread / np.sqrt(len(own) + item.shrinkage_rows)
                    measured = _excess_with_p_value(item, rows, reference, error)
                if measured is None:
                    continue
                value, chance = measured
                chances.append(chance)
                segment, count = Segment(column, word), int(rows.sum())
                share = float(whole.sum() / len(item.loss))
                breach = Degradation(item.target, segment, value, reference, count, chance, share=share)
                candidates.append(replace(breach, **_bias_fields(item, rows)))
                spans.append(rows)
    if not candidates:
        return None
    corrected = holm(np.array(chances))
    beyond = [
        (chance, -breach.rise, number)
        for number, (breach, chance) in enumerate(zip(candidates, corrected, strict=True))
        if chance < params.significance
        and _exceeds_without_worst_day(item, spans[number], breach.reference, params, overall=False)
    ]
    if not beyond:
        return None
    number = min(beyond, key=lambda item_: (chances[item_[2]], item_[1]))[2]
    chosen = candidates[number]
    assert chosen.segment is not None
    rows = left & (item.groups[chosen.segment.column] == chosen.segment.value)
    since = change_point(item.loss[rows], item.seconds[rows], chosen.reference)
    return replace(chosen, p_value=float(corrected[number]), since=since)


def _excess_with_p_value(item: LossSample, rows: Bools, reference: float, error: float) -> tuple[float, float] | None:
    """The mean loss, and the one-sided p-value of one as far above the reference; days are clusters (storms).

    Source: K.-Y. Liang, S. L. Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73 (1986)
    13-22.
    """
    loss, day = item.loss[rows], item.day[rows]
    count = len(loss)
    if count < 2:
        return None
    value = float(loss.mean())
    variance = float(loss.var(ddof=1))
    if item.answer is not None:
        # Where it never happened, those calls alone would say that chance plays no part.
        variance = max(variance, float((item.answer[rows] * (1 - item.answer[rows])).mean()))
    own = np.sqrt(variance / count)
    _, code = np.unique(day, return_inverse=True)
    days = int(code.max()) + 1
    degrees = count - 1
    if days >= _MIN_CLUSTERED_DAYS:
        sums = np.bincount(code, weights=loss - value)
        clustered = float(np.sqrt((sums**2).sum() * days / (days - 1)) / count)
        if clustered > _CLUSTER_INFLATION * own:
            own, degrees = clustered, days - 1
    total = float(np.hypot(own, error))
    if total == 0:
        return value, 1.0
    return value, float(stats.t.sf((value - reference) / total, max(degrees, 4)))
