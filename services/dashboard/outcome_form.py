"""Recording what happened with a call, and why the centre decided otherwise, in the call's own row."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.core.calls.kinds import EXERCISE
from services.core.headers import CALL_KIND_HEADER
from services.core.usecases.contract import Classes, Probability, Quantity, Target, UseCase
from services.dashboard.calls import Call, labels
from services.dashboard.client import Service, Trouble
from services.dashboard.session import Session
from services.dashboard.states import notice, trouble


def draw(session: Session, use_case: UseCase, call: Call) -> bool:
    """The form; True once something was recorded."""
    words, key = session.words, f"outcome-{call['id']}"
    reported = call["outcome"] or {}
    with st.form(key, border=True):
        st.markdown(f"**{words('board.what_happened')}** · {words('board.what_happened_text')}")
        columns = st.columns(max(2, len(labels(use_case))))
        given = {}
        for (label, target), column in zip(labels(use_case).items(), columns, strict=False):
            with column:
                given[label] = _widget(session, target, reported.get(label), f"{key}-{label}")
        reason = st.text_input(
            words("board.override"), value=call["override"] or "", key=f"{key}-override", max_chars=500,
            help=words("board.override_help"),
        )  # fmt: skip
        saved = st.form_submit_button(words("board.save"), type="primary")
    if not saved:
        return False
    # What was reported and is empty now is taken back; what was never reported is left out.
    changed = {
        label: value
        for label, value in given.items()
        if value != reported.get(label) and (value is not None or label in reported)
    }
    body: dict[str, Any] = {"prediction_id": call["id"], "labels": changed}
    if reason.strip() and reason.strip() != (call["override"] or ""):
        body["override"] = reason.strip()
    if not changed and "override" not in body:
        notice("warn", words("board.nothing_given"))
        return False
    headers = {CALL_KIND_HEADER: EXERCISE} if call["kind"] == EXERCISE or session.exercise else {}
    try:
        session.client.post(Service.PREDICTION, f"/v1/{use_case.name}/outcomes", body, headers=headers)
    except Trouble as error:
        trouble(words, error, key=key)
        return False
    return True


def _widget(session: Session, target: Target, value: Any, key: str) -> Any:
    words, output = session.words, target.output
    title = words.of(target.title)
    if isinstance(output, Quantity):
        number = st.number_input(f"{title} ({output.unit})", value=value, min_value=output.minimum, key=key)
        return None if number is None else float(number)
    if isinstance(output, Probability):
        answers = {"yes": True, "no": False}
        start = None if value is None else "yes" if value else "no"
        chosen = st.segmented_control(
            title, list(answers), default=start, format_func=lambda a: words(f"terms.{a}"), key=key
        )
        return answers.get(chosen) if chosen else None
    assert isinstance(output, Classes)
    options = list(output.labels)
    return st.selectbox(
        title,
        options,
        index=options.index(value) if value in options else None,
        key=key,
        placeholder=words("call.choose"),
        accept_new_options=output.learned,
    )
