"""One answer at a glance: what not to rely on first, then each target in its own way, its source, and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from services.core.usecases.contract import Text, UseCase
from services.dashboard import charts
from services.dashboard.answers import ClassesRead, Leaf, ProbabilityRead, QuantityRead, Read
from services.dashboard.answers import read as read_answer
from services.dashboard.charts import Bar, Span
from services.dashboard.session import Session
from services.dashboard.states import notice
from services.dashboard.trust import doubts, missing, source_tags

_SHOWN_CLASSES = 5
_LEVELS = (
    (0.01, "never"), (0.10, "very_unlikely"), (0.35, "unlikely"), (0.65, "even"), (0.90, "likely"),
    (0.99, "very_likely"), (1.01, "certain"),
)  # fmt: skip


def draw(
    session: Session,
    use_case: UseCase,
    answer: Mapping[str, Any],
    values: Mapping[str, Any] | None,
    *,
    ends: Mapping[str, float] | None = None,
    heading: str = "",
) -> Read:
    """``ends``: target -> end of its scale, so that two answers side by side share one. Returns what was read."""
    words = session.words
    read = read_answer(use_case, answer["answer"])
    if heading:
        st.markdown(f"### {heading}")
    against = doubts(session, use_case, answer, read, values)
    if against:
        notice("warn", words("call.not_to_rely_on"), words("call.you_decide"), against)
    parts = [quantity_card(session, found, (ends or {}).get(found.target.name)) for found in read.quantities]
    parts += [probability_card(session, found) for found in read.probabilities]
    parts += [classes_card(session, found) for found in read.classes]
    st.html(f"<div class='v-row' role='group'>{''.join(parts)}</div>")
    st.html(source_tags(session, answer))
    if read.leaves:
        st.html(_leaves(session, read.leaves))
    without = missing(session, use_case, answer)
    if without:
        st.caption(words("call.surer_with", fields=", ".join(without)))
    return read


def quantity_card(session: Session, found: QuantityRead, end: float | None = None) -> str:
    words, formats, unit = session.words, session.formats, found.output.unit
    value, low, high = (formats.quantity(number, unit) for number in (found.value, found.lower, found.upper))
    objective = found.output.objective
    beside, mark = "", None
    if objective is not None:
        said = formats.quantity(objective, unit)
        key = "call.objective_kept" if found.value <= objective else "call.objective_missed"
        beside = escape(words(key, objective=said))
        mark = words("call.objective_mark", objective=said)
    if unit == "s" and found.value >= 60:
        beside = f"{formats.minutes(found.value)}" + (f" · {beside}" if beside else "")
    picture = charts.span(
        Span(found.value, found.lower, found.upper, (low, high), mark=objective, mark_text=mark or ""),
        label=f"{words.of(found.target.title)}: {value}, {low} – {high}. {mark or ''}",
        end=end,
    )
    return (
        f"<div class='v-card wide'><h3>{escape(words.of(found.target.title))}</h3><div class='v-big'>{value}</div>"
        f"<div>{beside}</div>{picture}"
        f"<div class='v-quiet'>{escape(words('call.assured', low=low, high=high))}</div></div>"
    )


def probability_card(session: Session, found: ProbabilityRead) -> str:
    words, formats = session.words, session.formats
    decision = ""
    if found.decision is not None:
        said = words("call.decision_yes" if found.decision else "call.decision_no")
        tone = "bad" if found.decision else "good"
        threshold = formats.percent(found.threshold) if found.threshold is not None else None
        after = f" <span class='v-quiet'>{escape(words('call.from_threshold', threshold=threshold))}</span>"
        decision = f"<div><span class='v-tag {tone}'>{escape(said)}</span>{after if threshold else ''}</div>"
    return (
        f"<div class='v-card'><h3>{escape(words.of(found.target.title))}</h3>"
        f"<div class='v-big'>{formats.percent(found.probability)}</div>"
        f"<div class='v-mid2'>{escape(in_words(session, found.probability))}</div>{decision}</div>"
    )


def classes_card(session: Session, found: ClassesRead) -> str:
    words, formats = session.words, session.formats
    ranked = sorted(found.shares.items(), key=lambda pair: -pair[1])[:_SHOWN_CLASSES]
    shown = [(name, share) for name, share in found.shares.items() if (name, share) in ranked]
    bars = charts.bars(
        [
            Bar(_name(found, name), share, formats.percent(share), strong=name == found.most_likely)
            for name, share in shown
        ],
        label=words.of(found.target.title),
        largest=1.0,
    )
    return (
        f"<div class='v-card'><h3>{escape(words.of(found.target.title))}</h3>"
        f"<div class='v-big'>{escape(_name(found, found.most_likely))}</div>{bars}</div>"
    )


def in_words(session: Session, probability: float) -> str:
    return session.words("call.p_" + next(word for below, word in _LEVELS if probability < below))


def scale_ends(use_case: UseCase, answers: list[Mapping[str, Any]]) -> dict[str, float]:
    """Target -> an end of the scale that shows all of the answers."""
    ends: dict[str, float] = {}
    for answer in answers:
        for found in read_answer(use_case, answer["answer"]).quantities:
            item = Span(found.value, found.lower, found.upper, ("", ""), mark=found.output.objective)
            ends[found.target.name] = max(ends.get(found.target.name, 0.0), charts.scale_end(item))
    return ends


def _name(found: ClassesRead, label: str) -> str:
    return found.names.get(label) or label


def _leaves(session: Session, leaves: list[Leaf]) -> str:
    """What the business rules add, in groups: a flag that is raised stands out."""
    words = session.words
    groups: dict[Text | None, list[Leaf]] = {}
    for leaf in leaves:
        groups.setdefault(leaf.group, []).append(leaf)
    cards = []
    for group, items in groups.items():
        raised = (
            group is not None
            and any(leaf.value is True for leaf in items)
            and any(isinstance(leaf.value, str | Text) and len(_text(session, leaf.value)) > 30 for leaf in items)
        )
        lines = "".join(_line(session, leaf) for leaf in items)
        title = words.of(group) if group is not None else words("call.also")
        cards.append(f"<div class='v-card{' raised' if raised else ''}'><h3>{escape(title)}</h3>{lines}</div>")
    return f"<div class='v-row small'>{''.join(cards)}</div>"


def _line(session: Session, leaf: Leaf) -> str:
    words, formats, value = session.words, session.formats, leaf.value
    title = escape(words.of(leaf.title))
    if isinstance(value, bool):
        text = words("terms.yes" if value else "terms.no")
    elif isinstance(value, list):
        text = ", ".join(map(str, value)) or "–"
    elif isinstance(value, int | float):
        text = (
            formats.percent(value)
            if leaf.unit == "share"
            else formats.quantity(value, leaf.unit, 0 if float(value).is_integer() else None)
        )
    else:
        text = _text(session, value)
    return f"<div><span class='v-quiet'>{title}:</span> <b>{escape(text)}</b></div>"


def _text(session: Session, value: str | Text) -> str:
    return session.words.of(value) if isinstance(value, Text) else value
