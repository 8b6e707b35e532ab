"""One answer: warnings first, a card per target, its source, further fields and the contribution of each field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import streamlit as st
from pydantic import BaseModel

from services.core.contract.use_case import BinaryClassification, MultiClass, Regression, Target, Text, UseCase
from services.dashboard import drafts
from services.dashboard.api.predictions import class_name
from services.dashboard.components import data_display
from services.dashboard.components.confidence import missing_fields, reasons_against, source_badges, withdrawal_notices
from services.dashboard.components.data_display import Bar, IntervalBar
from services.dashboard.components.feedback import badge, notice
from services.dashboard.components.use_cases import title_of
from services.dashboard.session import Session

_SHOWN_CLASSES = 5
FRENCH_SUFFIX = "_fr"
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
) -> None:
    """Show an answer. ``ends``: target -> end of its scale, so that two answers side by side share it."""
    words = session.words
    if heading:
        st.markdown(f"### {heading}")
    stops = [warning["withdrawal"] for warning in answer["warnings"] if warning.get("withdrawal")]
    withdrawal_notices(session, use_case, stops)
    against = reasons_against(session, use_case, answer, values)
    if against:
        notice("warn", words("call.not_to_rely_on"), words("call.you_decide"), against)
    cards = [
        target_card(session, target, (answer["predictions"] or {}).get(target.name), (ends or {}).get(target.name))
        for kind in (Regression, BinaryClassification, MultiClass)
        for target in use_case.modelling.targets
        if isinstance(target.output, kind)
    ]
    st.html(f"<div class='v-row' role='group'>{''.join(cards)}</div>")
    st.html(source_badges(session, answer))
    objectives = [
        target.output.objective for target in use_case.modelling.targets if isinstance(target.output, Regression)
    ]
    extra = [
        leaf for leaf in extra_fields(use_case.serving.answer, answer["answer"] or {}) if leaf.value not in objectives
    ]
    if extra:
        st.html(_extra_cards(session, extra))
    without = missing_fields(session, use_case, answer)
    if without:
        st.caption(words("call.surer_with", fields=", ".join(without)))


def target_card(session: Session, target: Target, predicted: Mapping[str, Any] | None, end: float | None = None) -> str:
    """HTML card of one target's typed prediction; one that is withdrawn says so, and may have no figures."""
    mark = badge("bad", session.words("terms.withdrawn"), large=True)
    if predicted is None:
        return f"<div class='v-card'><h3>{escape(session.words.of(target.title))}</h3>{mark}</div>"
    card = _card(session, target, predicted, end)
    return card.replace("</h3>", f"</h3>{mark}", 1) if predicted.get("withdrawn") else card


def _card(session: Session, target: Target, predicted: Mapping[str, Any], end: float | None) -> str:
    if isinstance(target.output, Regression):
        return _regression_card(session, target, target.output.objective, predicted, end)
    card = _binary_card if predicted["kind"] == "probability" else _multi_class_card
    return card(session, target, predicted)


def _regression_card(
    session: Session, target: Target, objective: float | None, predicted: Mapping[str, Any], end: float | None
) -> str:
    words, formats, unit, number = session.words, session.formats, predicted["unit"], predicted["value"]
    value, low, high = (formats.quantity(predicted[name], unit) for name in ("value", "lower", "upper"))
    beside, mark = "", None
    if objective is not None:
        said = formats.quantity(objective, unit)
        key = "call.objective_kept" if number <= objective else "call.objective_missed"
        beside = escape(words(key, objective=said))
        mark = words("call.objective_mark", objective=said)
    if unit == "s" and number >= 60:
        beside = f"{formats.minutes(number)}" + (f" · {beside}" if beside else "")
    picture = data_display.interval_html(
        IntervalBar(number, predicted["lower"], predicted["upper"], (low, high), mark=objective, mark_text=mark or ""),
        label=f"{words.of(target.title)}: {value}, {low} – {high}. {mark or ''}",
        end=end,
    )
    return (
        f"<div class='v-card wide'><h3>{escape(words.of(target.title))}</h3><div class='v-big'>{value}</div>"
        f"<div>{beside}</div>{picture}"
        f"<div class='v-quiet'>{escape(words('call.assured', low=low, high=high))}</div></div>"
    )


def _binary_card(session: Session, target: Target, predicted: Mapping[str, Any]) -> str:
    words, formats = session.words, session.formats
    said = words("call.decision_yes" if predicted["decision"] else "call.decision_no")
    tone = "bad" if predicted["decision"] else "good"
    after = words("call.from_threshold", threshold=formats.percent(predicted["threshold"]))
    return (
        f"<div class='v-card'><h3>{escape(words.of(target.title))}</h3>"
        f"<div class='v-big'>{formats.percent(predicted['value'])}</div>"
        f"<div class='v-mid2'>{escape(probability_in_words(session, predicted['value']))}</div>"
        f"<div><span class='v-tag {tone}'>{escape(said)}</span> <span class='v-quiet'>{escape(after)}</span></div>"
        "</div>"
    )


def _multi_class_card(session: Session, target: Target, predicted: Mapping[str, Any]) -> str:
    words, formats, likeliest = session.words, session.formats, predicted["value"]
    shares = predicted["probabilities"]
    ranked = set(sorted(shares, key=lambda label: -shares[label])[:_SHOWN_CLASSES])
    bars = data_display.bars_html(
        [
            Bar(class_name(predicted, label), share, formats.percent(share), strong=label == likeliest)
            for label, share in shares.items()
            if label in ranked
        ],
        label=words.of(target.title),
        largest=1.0,
    )
    return (
        f"<div class='v-card'><h3>{escape(words.of(target.title))}</h3>"
        f"<div class='v-big'>{escape(class_name(predicted, likeliest))}</div>{bars}</div>"
    )


def probability_in_words(session: Session, probability: float) -> str:
    return session.words("call.p_" + next(word for below, word in _PROBABILITY_LEVELS if probability < below))


def scale_ends(use_case: UseCase, answers: list[Mapping[str, Any]]) -> dict[str, float]:
    """Target -> upper end of a scale that covers all answers."""
    ends: dict[str, float] = {}
    for target in use_case.modelling.targets:
        if isinstance(target.output, Regression):
            for answer in answers:
                found = (answer["predictions"] or {}).get(target.name)
                if found is None:
                    continue
                item = IntervalBar(
                    found["value"], found["lower"], found["upper"], ("", ""), mark=target.output.objective
                )
                ends[target.name] = max(ends.get(target.name, 0.0), data_display.scale_end(item))
    return ends


@dataclass(frozen=True, slots=True)
class ExtraField:
    """A field of the answer that belongs to no target. A text field with a second one named ``…_fr`` next to it is
    bilingual."""

    title: Text
    unit: str
    value: Any
    group: Text | None


def extra_fields(model: type[BaseModel], answer: Mapping[str, Any], group: Text | None = None) -> Iterator[ExtraField]:
    """Fields that the answer model declares with ``response_field``: results of business rules and facts."""
    for name, info in model.model_fields.items():
        value, extra = answer.get(name), info.json_schema_extra
        french = f"{name}{FRENCH_SUFFIX}"
        if value is None or info.title is None or not isinstance(extra, dict):
            continue
        if name.endswith(FRENCH_SUFFIX) and name.removesuffix(FRENCH_SUFFIX) in answer:
            continue
        if isinstance(value, str) and french in answer:
            value = Text(value, str(answer[french]))
        title = Text(info.title, str(extra.get("x-title-fr", info.title)))
        if isinstance(value, Mapping):
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
                yield from extra_fields(info.annotation, value, title)
        elif not isinstance(value, list) or all(isinstance(item, str) for item in value):
            yield ExtraField(title, str(extra.get("x-unit", "")), value, group)


def _extra_cards(session: Session, leaves: list[ExtraField]) -> str:
    """Cards of the business rules' results, by group; raised flags are highlighted."""
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
"""Contributions below this share of the largest are summarised in one line."""


def show_explanation(
    session: Session, use_case: UseCase, explained: Mapping[str, Any], payload: Mapping[str, Any]
) -> None:
    """Show attributions. ``explained`` is the ``explain`` response: outputs, base and contributions per target."""
    words = session.words
    st.subheader(words("call.drivers"))
    targets = {target.name: target for target in use_case.modelling.targets if target.name in explained["targets"]}
    name = next(iter(targets))
    if len(targets) > 1:
        chosen = st.segmented_control(
            words("call.of_target"),
            list(targets),
            default=name,
            format_func=lambda key: words.of(targets[key].title),
            key=drafts.kept(f"drivers-{use_case.name}", targets),
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
    """Bars of the contributions, largest first; small ones are summarised."""
    ranked = sorted(contributions.items(), key=lambda pair: -abs(pair[1]))
    least = _MIN_SHARE_OF_LARGEST * abs(ranked[0][1])
    shown = [(field, share) for field, share in ranked[:_SHOWN_FIELDS] if abs(share) >= least]
    rest = sum(share for field, share in ranked if field not in dict(shown))
    found = []
    for field, share in shown:
        title = title_of(use_case, field, session.words)
        given = payload.get(field)
        known = isinstance(given, str | int | float) and not isinstance(given, bool) and len(str(given)) <= 24
        text = f"{title}: {given}" if known and field != use_case.serving.time_field else title
        found.append(Bar(text, share, said(share, signed=True)))
    if abs(rest) >= least:
        found.append(Bar(session.words("call.others"), rest, said(rest, signed=True)))
    return found
