"""Whether an answer is to be relied on, and where it comes from, in a word and a colour that cannot be missed."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import structlog

from services.core.usecases.contract import QuantityValue, UseCase
from services.dashboard.answers import Read
from services.dashboard.fields import title_of
from services.dashboard.session import Session
from services.dashboard.states import Tone, tag

log = structlog.get_logger(__name__)
SOURCES: dict[str, Tone] = {"champion": "good", "cached": "warn", "baseline": "bad"}


def doubts(
    session: Session, use_case: UseCase, answer: Mapping[str, Any], read: Read, values: Mapping[str, Any] | None
) -> list[str]:
    """Why the answer is not to be relied on; empty where nothing speaks against it. ``values`` are the validated
    fields: an interval as wide as the published averages' says no more than they do."""
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
    if "context_missing" in codes:
        found.append(words("call.why_context"))
    if values is not None and answer["source"] != "baseline" and "model_failed" not in codes:
        found += [words("call.why_wide", target=words.of(title)) for title in _wide(use_case, read, values)]
    return found


def missing(session: Session, use_case: UseCase, answer: Mapping[str, Any]) -> list[str]:
    """Titles of the fields that would have made the answer surer."""
    names = [warning["field"] for warning in answer["warnings"] if warning["code"] == "missing_field"]
    return [title_of(use_case, name, session.words) for name in names]


def source_tags(session: Session, answer: Mapping[str, Any]) -> str:
    """HTML: the source, and what else has to be known of it."""
    words, source = session.words, answer["source"]
    said = f"{words(f'terms.{source}_text')}, {words('terms.version', version=answer['model_version'])}"
    word = tag(SOURCES.get(source, "warn"), words(f"terms.{source}"), large=True)
    parts = [f"<div>{word} <span class='v-quiet'>{escape(said)}</span></div>"]
    if answer.get("simulated"):
        parts.append(
            f"<div>{tag('warn', words('terms.simulated'), large=True)} "
            f"<span class='v-quiet'>{escape(words('terms.simulated_text'))}</span></div>"
        )
    if answer.get("kind") == "exercise":
        parts.append(f"<div>{tag('exercise', words('shell.exercise_on'), large=True)}</div>")
    return f"<div class='v-sources'>{''.join(parts)}</div>"


def _wide(use_case: UseCase, read: Read, values: Mapping[str, Any]) -> list[Any]:
    try:
        usual = use_case.baseline(values)[0]
    except Exception:  # the baseline is another's code, and nothing of the answer hangs on it
        log.exception("a baseline failed", use_case=use_case.name)
        return []
    wide = []
    for found in read.quantities:
        known = usual.get(found.target.name)
        if isinstance(known, QuantityValue) and found.upper - found.lower >= known.upper - known.lower:
            wide.append(found.target.title)
    return wide
