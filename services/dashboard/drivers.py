"""What drove an answer: each field's contribution as a bar, in the target's own unit and the page's language."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from services.core.usecases.contract import Quantity, UseCase
from services.dashboard import charts
from services.dashboard.charts import Bar
from services.dashboard.fields import title_of
from services.dashboard.session import Session

_SHOWN = 7
_LEAST = 0.015
"""Share of the largest contribution below which one is not worth a line."""


def draw(session: Session, use_case: UseCase, explained: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
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
    unit = kind.unit if isinstance(kind, Quantity) else None

    def said(value: float, *, signed: bool) -> str:
        sign = ("+" if value > 0 else "−") if signed else ""
        size = abs(value) if signed else value
        return sign + (session.formats.percent(size, 1) if unit is None else session.formats.quantity(size, unit))

    head = words("call.drivers_text", base=said(output["base"], signed=False))
    label = f"{output['label']}: " if output["label"] is not None else ""
    st.html(f"<div class='v-quiet'>{escape(label + head)}</div>")
    st.html(charts.bars(_bars(session, use_case, contributions, payload, said), label=words("call.drivers")))


def _bars(
    session: Session, use_case: UseCase, contributions: Mapping[str, float], payload: Mapping[str, Any], said: Any
) -> list[Bar]:
    """The largest first; small ones are one line together."""
    ranked = sorted(contributions.items(), key=lambda pair: -abs(pair[1]))
    least = _LEAST * abs(ranked[0][1])
    shown = [(field, share) for field, share in ranked[:_SHOWN] if abs(share) >= least]
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
