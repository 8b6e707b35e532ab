"""Confidence in an answer and its source (champion, cached, baseline, withdrawn), as texts and badges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import structlog

from services.core.contract.use_case import RegressionPrediction, UseCase
from services.dashboard.api.client import Service
from services.dashboard.components.feedback import Tone, badge, error_boundary, notice
from services.dashboard.components.use_cases import title_of
from services.dashboard.session import Session

log = structlog.get_logger(__name__)
SOURCE_TONES: dict[str, Tone] = {"champion": "good", "cached": "warn", "baseline": "bad", "withdrawn": "bad"}


def active_withdrawals(session: Session, use_case: UseCase) -> list[dict[str, Any]]:
    """The use case's emergency stops in force, at most a second old."""
    served = session.remembered("withdrawn", 1, lambda: session.client.get(Service.PREDICTION, "/v1/use-cases"))
    return next((line.get("withdrawn", []) for line in served if line["name"] == use_case.name), [])


def show_active_withdrawals(session: Session, use_case: UseCase) -> None:
    with error_boundary(session.words, key="withdrawn"):
        withdrawal_notices(session, use_case, active_withdrawals(session, use_case))


def withdrawal_extent(session: Session, use_case: UseCase, entry: Mapping[str, Any]) -> str:
    """What is withdrawn, in words."""
    titles = {target.name: session.words.of(target.title) for target in use_case.modelling.targets}
    parts = [] if entry["target"] is None else [titles.get(entry["target"], entry["target"])]
    if entry["version"] is not None:
        parts.append(session.words("models.version_n", number=entry["version"]))
    return ", ".join(parts) or session.words("models.stop_all")


def withdrawal_notices(session: Session, use_case: UseCase, entries: Iterable[Mapping[str, Any]]) -> None:
    """Show in red what is withdrawn, by whom, when and why."""
    for entry in entries:
        said = {"by": entry["by"], "at": session.formats.moment(entry["at"]), "reason": entry["reason"]}
        title = session.words("call.withdrawn", what=withdrawal_extent(session, use_case, entry))
        notice("bad", title, session.words("call.withdrawn_by", **said))


def reasons_against(
    session: Session, use_case: UseCase, answer: Mapping[str, Any], values: Mapping[str, Any] | None
) -> list[str]:
    """Reasons why the answer is unreliable; empty if there are none. ``values`` are the validated fields: an interval
    as wide as the baseline's carries no more information than the baseline."""
    words, found = session.words, []
    warnings = answer["warnings"]
    codes = {warning["code"] for warning in warnings}
    if "model_failed" in codes:
        found.append(words("call.why_failed"))
    elif answer["source"] == "baseline":
        found.append(words("call.why_baseline"))
    if "withdrawn" in codes:
        found.append(words("call.why_withdrawn"))
    if answer.get("simulated"):
        found.append(words("call.why_simulated"))
    for warning in warnings:
        if warning["code"] in {"outside_training_range", "unseen_value"}:
            key = "call.why_outside" if warning["code"] == "outside_training_range" else "call.why_unseen"
            found.append(words(key, field=title_of(use_case, warning["field"], words)))
        elif warning["code"] in {"implausible_time", "contradiction"}:
            key = "call.why_clock" if warning["code"] == "implausible_time" else "call.why_contradiction"
            found.append(words(key, field=title_of(use_case, warning["field"], words)))
    if "context_missing" in codes:
        found.append(words("call.why_context"))
    if values is not None and answer["source"] not in {"baseline", "withdrawn"} and "model_failed" not in codes:
        found += [
            words("call.why_wide", target=words.of(title))
            for title in _targets_with_wide_interval(use_case, answer["predictions"], values)
        ]
    return found


def missing_fields(session: Session, use_case: UseCase, answer: Mapping[str, Any]) -> list[str]:
    """Titles of missing fields that would have made the answer more certain."""
    names = [warning["field"] for warning in answer["warnings"] if warning["code"] == "missing_field"]
    return [title_of(use_case, name, session.words) for name in names]


def source_badges(session: Session, answer: Mapping[str, Any]) -> str:
    """HTML badges: the answer's source and its restrictions."""
    words, source = session.words, answer["source"]
    said = f"{words(f'terms.{source}_text')}, {words('terms.version', version=answer['model_version'])}"
    word = badge(SOURCE_TONES.get(source, "warn"), words(f"terms.{source}"), large=True)
    parts = [f"<div>{word} <span class='v-quiet'>{escape(said)}</span></div>"]
    if answer.get("simulated"):
        parts.append(
            f"<div>{badge('warn', words('terms.simulated'), large=True)} "
            f"<span class='v-quiet'>{escape(words('terms.simulated_text'))}</span></div>"
        )
    if answer.get("kind") == "exercise":
        parts.append(f"<div>{badge('exercise', words('shell.exercise_on'), large=True)}</div>")
    return f"<div class='v-sources'>{''.join(parts)}</div>"


def _targets_with_wide_interval(
    use_case: UseCase, predictions: Mapping[str, Any], values: Mapping[str, Any]
) -> list[Any]:
    try:
        usual = use_case.serving.fallback_prediction(values)[0]
    except Exception:  # the baseline is use-case code, and the answer does not depend on it
        log.exception("a baseline failed", use_case=use_case.name)
        return []
    wide = []
    for target in use_case.modelling.targets:
        known, predicted = usual.get(target.name), predictions[target.name]
        if (
            isinstance(known, RegressionPrediction)
            and predicted is not None
            and not predicted.get("withdrawn")
            and predicted["upper"] - predicted["lower"] >= known.upper - known.lower
        ):
            wide.append(target.title)
    return wide
