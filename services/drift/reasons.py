"""Reasons of a verdict: codes with their values, which ``services.core.messages`` renders as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.core.contract.use_case import Regression, Target, Text, UseCase
from services.core.messages import Message
from services.drift.column_drift import ColumnDrift
from services.drift.performance.degradation import Degradation
from services.drift.statistics import CENTRE, HOUR, Segment, loss_name
from services.drift.window import UnmatchedReports

OUTPUT_PREFIX, DRIFT_FEATURE_PREFIX = "prediction.", "watched."
_MIN_UNMATCHED, _MIN_UNMATCHED_SHARE = 3, 0.02
"""From so many reports without a call on, and from such a share of the centre's reports, people are told: a few slips
are no news."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a verdict.

    Attributes:
        code: kind of reason, such as ``error_segment``.
        message: code and values of the sentence.
        column: the column concerned.
        area: the place or kind of call concerned.
        value: drift distance, rise of the error (0.1 is 10 %) or shift.
        since: start of the change (UTC).
    """

    code: str
    message: Message
    column: str | None = None
    area: str | None = None
    value: float | None = None
    since: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry of the run's summary, without absent fields."""
        optional = {
            "column": self.column,
            "area": self.area,
            "value": None if self.value is None else round(self.value, 4),
            "since": None if self.since is None else self.since.isoformat(timespec="seconds"),
        }
        present = {name: value for name, value in optional.items() if value is not None}
        return {"code": self.code, "message": self.message.as_json()} | present


def column_title(use_case: UseCase, column: str) -> Text | Message:
    """Title of a column, prediction or derived feature for people, in English and French."""
    if column.startswith(OUTPUT_PREFIX):
        target = use_case.target(column.removeprefix(OUTPUT_PREFIX))
        return Message("monitoring.answer", {"title": target.title})
    watched = use_case.serving.drift_features.get(column.removeprefix(DRIFT_FEATURE_PREFIX))
    if watched is not None:
        return Text(watched.en, watched.fr)
    for subgroup in use_case.modelling.subgroups:
        if subgroup.column == column:
            return subgroup.title
    info = use_case.serving.request.model_fields.get(column)
    if info is not None:
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        return Text(info.title or column, str(extra.get("x-title-fr") or info.title or column))
    known = {CENTRE: Text("Centre", "Centre"), HOUR: Text("Hour", "Heure"), "station": Text("Station", "Caserne")}
    return known.get(column, Text(column.replace("_", " "), column.replace("_", " ")))


def error_reason(use_case: UseCase, breach: Degradation, *, lasting: bool) -> Reason:
    """The live error of a target exceeds its limit, over all calls or in a segment.

    Args:
        use_case: declares the targets.
        breach: the finding.
        lasting: whether it has lasted long enough to act on.

    Returns:
        A reason of code ``error_overall`` or ``error_segment``, its value the relative rise (0.1 is 10 %).
    """
    target, segment = use_case.target(breach.target), breach.segment
    since = None if breach.since is None else datetime.fromtimestamp(breach.since, UTC)
    when = Message("monitoring.whole_window") if since is None else Message("monitoring.since_moment", {"since": since})
    values: dict[str, Any] = {
        "where": Message("monitoring.all_calls")
        if segment is None
        else Message("monitoring.segment", {"title": column_title(use_case, segment.column), "value": segment.value}),
        "target": target.title,
        "count": breach.count,
        "when": when if lasting else Message("monitoring.not_lasting", {"when": when}),
    }
    if breach.bias:
        values |= {"predicted": breach.predicted, "observed": _observed_rate(breach)}
    else:
        values |= {
            "loss": loss_title(loss_name(target)),
            "value": _with_unit(target, breach.value),
            "reference": _with_unit(target, breach.reference),
            "rise": breach.rise,
        }
    return Reason(
        "error_overall" if segment is None else "error_segment",
        Message("monitoring.bias" if breach.bias else "monitoring.error", values),
        column=None if segment is None else segment.column,
        area=_area(segment),
        value=breach.rise,
        since=since,
    )


def loss_title(metric: str) -> Message:
    """Title of a loss: ``mae``, ``brier`` or ``log_loss``."""
    return Message(f"monitoring.loss_{metric}")


def _observed_rate(breach: Degradation) -> float:
    """Observed rate: the mean probability and the bias, whose sign is lost where it is too high."""
    return abs(breach.predicted + breach.value if breach.under else breach.predicted - breach.value)


def column_reason(use_case: UseCase, drift: ColumnDrift, since: datetime | None, effect: Message) -> Reason:
    """A column has drifted: missing more often, with values never seen in training, or of another distribution.

    Args:
        use_case: gives the column's title.
        drift: of the column.
        since: end of the window in which it was first seen (UTC); None where it is new.
        effect: what is known of the effect on the error, see ``effect_on_error``.

    Returns:
        A reason whose value is the distance.
    """
    values: dict[str, Any] = {
        "column": column_title(use_case, drift.name),
        "since": Message("monitoring.no_day") if since is None else Message("monitoring.since_day", {"since": since}),
        "effect": effect,
    }
    code = drift.code if drift.code in {"missing", "unseen"} else "distribution"
    values |= {
        "missing": {"current": drift.missing_current, "usual": drift.missing_reference},
        "unseen": {"current": drift.unseen},
        "distribution": {"distance": drift.value, "threshold": drift.threshold},
    }[code]
    kind = "output" if drift.name.startswith(OUTPUT_PREFIX) else "input"
    message = Message(f"monitoring.{code}", values)
    return Reason(f"{kind}_{drift.code}", message, column=drift.name, value=drift.value, since=since)


def effect_on_error(judged: bool, breached: bool) -> Message:
    """Effect of drifted inputs on the error: unknown unless ``judged``, else whether its limit is ``breached``."""
    if not judged:
        return Message("monitoring.effect_unknown")
    return Message("monitoring.effect_error_grew" if breached else "monitoring.effect_within_limits")


def volume_reason(recent: float, usual: float) -> Reason:
    """The last day's number of calls (``recent``) is far from the ``usual`` number a day."""
    message = Message("monitoring.volume", {"recent": recent, "usual": usual})
    return Reason("volume", message, value=recent / usual if usual else None)


def unmatched_reasons(found: Sequence[UnmatchedReports]) -> list[Reason]:
    """Centres of whose reports many belong to no call: their ids are written otherwise there than in calls."""
    return [
        Reason(
            "outcomes_unmatched",
            Message(
                "monitoring.outcomes_unmatched",
                {"centre": entry.centre, "count": entry.unmatched, "reports": entry.reports},
            ),
            area=entry.centre,
            value=entry.unmatched / entry.reports,
        )
        for entry in found
        if entry.unmatched >= max(_MIN_UNMATCHED, _MIN_UNMATCHED_SHARE * entry.reports)
    ]


def estimate_reason(use_case: UseCase, target: str, value: float, reference: float) -> Reason:
    """The estimated error of a target is above its reference, both in the loss's unit."""
    rise = value / reference - 1
    message = Message("monitoring.error_estimated", {"target": use_case.target(target).title, "rise": rise})
    return Reason("error_estimated", message, value=rise)


def _area(segment: Segment | None) -> str | None:
    return segment.value if segment is not None and segment.is_place_or_kind else None


def _with_unit(target: Target, value: float) -> Message:
    if isinstance(target.output, Regression):
        return Message("monitoring.quantity", {"value": value, "unit": target.output.unit})
    return Message("monitoring.score", {"value": value})
