"""Confidence in an answer and its source (champion, cached, baseline), as texts and badges."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import structlog

from services.core.contract.use_case import RegressionPrediction, UseCase
from services.dashboard.components.feedback import Tone, badge
from services.dashboard.components.use_cases import title_of
from services.dashboard.session import Session

log = structlog.get_logger(__name__)
SOURCE_TONES: dict[str, Tone] = {"champion": "good", "cached": "warn", "baseline": "bad"}


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
    if values is not None and answer["source"] != "baseline" and "model_failed" not in codes:
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
            and predicted["upper"] - predicted["lower"] >= known.upper - known.lower
        ):
            wide.append(target.title)
    return wide
