"""One answer: warnings first, a card for each target, its source and further fields; and the contribution of each
field to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from services.core.contract.use_case import Regression, Text, UseCase
from services.dashboard.api.answer_reader import BinaryPart, ExtraField, MultiClassPart, ParsedAnswer, RegressionPart
from services.dashboard.api.answer_reader import parse_answer as read_answer
from services.dashboard.components import data_display
from services.dashboard.components.confidence import missing_fields, reasons_against, source_badges
from services.dashboard.components.data_display import Bar, IntervalBar
from services.dashboard.components.feedback import notice
from services.dashboard.components.use_cases import title_of
from services.dashboard.session import Session

_SHOWN_CLASSES = 5
_PROBABILITY_LEVELS = (
    (0.01, "never"), (0.10, "very_unlikely"), (0.35, "unlikely"), (0.65, "even"), (0.90, "likely"),
    (0.99, "very_likely"), (1.01, "certain"),
)  # fmt: skip


def show_answer(
    session: Session,
    use_case: UseCase,
    answer: Mapping[str, Any],
    values: Mapping[str, Any] | None,
    *,
    ends: Mapping[str, float] | None = None,
    heading: str = "",
) -> ParsedAnswer:
    """``ends``: target -> end of its scale, so that two answers side by side share one. Returns what was read."""
    words = session.words
    read = read_answer(use_case, answer["answer"])
    if heading:
        st.markdown(f"### {heading}")
    against = reasons_against(session, use_case, answer, read, values)
    if against:
        notice("warn", words("call.not_to_rely_on"), words("call.you_decide"), against)
    parts = [regression_card(session, found, (ends or {}).get(found.target.name)) for found in read.quantities]
    parts += [binary_card(session, found) for found in read.probabilities]
    parts += [multi_class_card(session, found) for found in read.classes]
    st.html(f"<div class='v-row' role='group'>{''.join(parts)}</div>")
    st.html(source_badges(session, answer))
    if read.leaves:
        st.html(_extra_cards(session, read.leaves))
    without = missing_fields(session, use_case, answer)
    if without:
        st.caption(words("call.surer_with", fields=", ".join(without)))
    return read


def regression_card(session: Session, found: RegressionPart, end: float | None = None) -> str:
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
    picture = data_display.interval_html(
        IntervalBar(found.value, found.lower, found.upper, (low, high), mark=objective, mark_text=mark or ""),
        label=f"{words.of(found.target.title)}: {value}, {low} – {high}. {mark or ''}",
        end=end,
    )
    return (
        f"<div class='v-card wide'><h3>{escape(words.of(found.target.title))}</h3><div class='v-big'>{value}</div>"
        f"<div>{beside}</div>{picture}"
        f"<div class='v-quiet'>{escape(words('call.assured', low=low, high=high))}</div></div>"
    )


def binary_card(session: Session, found: BinaryPart) -> str:
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
        f"<div class='v-mid2'>{escape(probability_in_words(session, found.probability))}</div>{decision}</div>"
    )


def multi_class_card(session: Session, found: MultiClassPart) -> str:
    words, formats = session.words, session.formats
    ranked = sorted(found.shares.items(), key=lambda pair: -pair[1])[:_SHOWN_CLASSES]
    shown = [(name, share) for name, share in found.shares.items() if (name, share) in ranked]
    bars = data_display.bars_html(
        [
            Bar(_class_name(found, name), share, formats.percent(share), strong=name == found.most_likely)
            for name, share in shown
        ],
        label=words.of(found.target.title),
        largest=1.0,
    )
    return (
        f"<div class='v-card'><h3>{escape(words.of(found.target.title))}</h3>"
        f"<div class='v-big'>{escape(_class_name(found, found.most_likely))}</div>{bars}</div>"
    )


def probability_in_words(session: Session, probability: float) -> str:
    return session.words("call.p_" + next(word for below, word in _PROBABILITY_LEVELS if probability < below))


def scale_ends(use_case: UseCase, answers: list[Mapping[str, Any]]) -> dict[str, float]:
    """Target -> an end of the scale that shows all of the answers."""
    ends: dict[str, float] = {}
    for answer in answers:
        for found in read_answer(use_case, answer["answer"]).quantities:
            item = IntervalBar(found.value, found.lower, found.upper, ("", ""), mark=found.output.objective)
            ends[found.target.name] = max(ends.get(found.target.name, 0.0), data_display.scale_end(item))
    return ends


def _class_name(found: MultiClassPart, label: str) -> str:
    return found.names.get(label) or label


def _extra_cards(session: Session, leaves: list[ExtraField]) -> str:
    """What the business rules add, in groups: a flag that is raised stands out."""
    words = session.words
    groups: dict[Text | None, list[ExtraField]] = {}
    for leaf in leaves:
        groups.setdefault(leaf.group, []).append(leaf)
    cards = []
    for group, items in groups.items():
        raised = (
            group is not None
            and any(leaf.value is True for leaf in items)
            and any(isinstance(leaf.value, str | Text) and len(_text(session, leaf.value)) > 30 for leaf in items)
        )
        lines = "".join(_extra_line(session, leaf) for leaf in items)
        title = words.of(group) if group is not None else words("call.also")
        cards.append(f"<div class='v-card{' raised' if raised else ''}'><h3>{escape(title)}</h3>{lines}</div>")
    return f"<div class='v-row small'>{''.join(cards)}</div>"


def _extra_line(session: Session, leaf: ExtraField) -> str:
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


_SHOWN_FIELDS = 7
_MIN_SHARE_OF_LARGEST = 0.015
"""Share of the largest contribution below which one is not worth a line."""


def show_explanation(
    session: Session, use_case: UseCase, explained: Mapping[str, Any], payload: Mapping[str, Any]
) -> None:
    """``explained`` is the answer of ``explain``: for each target its outputs, base and contributions."""
    words = session.words
    st.subheader(words("call.drivers"))
    targets = {target.name: target for target in use_case.targets if target.name in explained["targets"]}
    name = next(iter(targets))
    if len(targets) > 1:
        chosen = st.segmented_control(
            words("call.of_target"),
            list(targets),
            default=name,
            format_func=lambda key: words.of(targets[key].title),
            key=f"drivers-{use_case.name}",
            wrap=True,
        )
        name = chosen or name
    outputs = explained["targets"][name]["outputs"]
    output = max(outputs, key=lambda one: one["output"]) if len(outputs) > 1 else outputs[0]
    contributions = {field: share for field, share in output["contributions"].items() if share}
    if not contributions:
        st.markdown(words("call.drivers_none"))
        return
    kind = targets[name].output
    unit = kind.unit if isinstance(kind, Regression) else None

    def said(value: float, *, signed: bool) -> str:
        sign = ("+" if value > 0 else "−") if signed else ""
        size = abs(value) if signed else value
        return sign + (session.formats.percent(size, 1) if unit is None else session.formats.quantity(size, unit))

    head = words("call.drivers_text", base=said(output["base"], signed=False))
    label = f"{output['label']}: " if output["label"] is not None else ""
    st.html(f"<div class='v-quiet'>{escape(label + head)}</div>")
    st.html(
        data_display.bars_html(
            _contribution_bars(session, use_case, contributions, payload, said), label=words("call.drivers")
        )
    )


def _contribution_bars(
    session: Session, use_case: UseCase, contributions: Mapping[str, float], payload: Mapping[str, Any], said: Any
) -> list[Bar]:
    """The largest first; small ones are one line together."""
    ranked = sorted(contributions.items(), key=lambda pair: -abs(pair[1]))
    least = _MIN_SHARE_OF_LARGEST * abs(ranked[0][1])
    shown = [(field, share) for field, share in ranked[:_SHOWN_FIELDS] if abs(share) >= least]
    rest = sum(share for field, share in ranked if field not in dict(shown))
    found = []
    for field, share in shown:
        title = title_of(use_case, field, session.words)
        given = payload.get(field)
        known = isinstance(given, str | int | float) and not isinstance(given, bool) and len(str(given)) <= 24
        text = f"{title}: {given}" if known and field != use_case.time_field else title
        found.append(Bar(text, share, said(share, signed=True)))
    if abs(rest) >= least:
        found.append(Bar(session.words("call.others"), rest, said(rest, signed=True)))
    return found
