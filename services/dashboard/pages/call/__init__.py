"""The page Call: the request form with its map, and the answer; two variants can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.contract.use_case import UseCase
from services.dashboard import drafts
from services.dashboard.api import predictions
from services.dashboard.api.client import ApiError
from services.dashboard.components import maps
from services.dashboard.components.confidence import show_active_withdrawals
from services.dashboard.components.feedback import empty_state, error_boundary, notice, show_error
from services.dashboard.components.use_cases import fields_of, title_of, validate_request
from services.dashboard.pages.call import answer_view, batch
from services.dashboard.pages.call import answer_view as drivers
from services.dashboard.pages.call import form as forms
from services.dashboard.session import Session

_CHOSEN = "call-use-case"
_MODE = "call-mode"
_DEGREES = ("latitude", "longitude")
"""Alternative to grid coordinates: the same location in degrees."""


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_call"))
    use_cases = {use_case.name: use_case for use_case in session.use_cases()}
    if not use_cases:
        empty_state(words("shell.no_use_case"), words("shell.no_use_case_text"))
        return
    left, right = st.columns([3, 2])
    with left:
        use_case = use_cases[choose_served_use_case(session, use_cases)]
    with right:
        mode = st.segmented_control(
            words("call.what"), ["one", "many"], default="one", key=drafts.kept(_MODE), label_visibility="hidden",
            format_func=lambda name: words(f"call.{name}"), required=True, wrap=True,
        )  # fmt: skip
    show_active_withdrawals(session, use_case)
    if mode == "many":
        with error_boundary(words, key="batch"):
            batch.batch_form(session, use_case)
        return
    _one(session, use_case)


def choose_served_use_case(session: Session, use_cases: Mapping[str, UseCase], key: str = _CHOSEN) -> str:
    """Select a use case; the choice is stored in the address, so that it survives a reload."""
    names = list(use_cases)
    wanted = st.query_params.get("use_case", "")
    if wanted not in names or key in st.session_state:  # an address that names one comes first
        drafts.kept(key, names)
    chosen = st.selectbox(
        session.words("terms.use_case"),
        names,
        index=names.index(wanted) if wanted in names else 0,
        format_func=lambda name: session.words.of(use_cases[name].presentation.title),
        key=key,
    )
    if chosen != wanted:
        st.query_params["use_case"] = chosen
    return chosen


def _one(session: Session, use_case: UseCase) -> None:
    words = session.words
    known: dict[str, Any] = {}
    places: dict[str, tuple[float, float]] = {}
    with error_boundary(words, key="served"):
        served = session.served(use_case.name)
        known = served.get("inputs") or {}
        places = {name: (x, y) for name, (x, y) in (served.get("places") or {}).items()}
    if use_case.presentation.map is not None:
        places = {**use_case.presentation.map.points, **places}
    form, answer = st.columns([6, 5], gap="large")
    memory = f"call-{use_case.name}-faults"
    with form:
        payload = _form(session, use_case, known, places, st.session_state.get(memory, {}))
        incident = st.text_input(
            words("call.incident"), key=drafts.kept(f"call-{use_case.name}-incident"), max_chars=64,
            help=words("call.incident_help"),
        )  # fmt: skip
        result = validate_request(use_case.serving.request, payload, words, session.formats)
        # A field with a value shows its error; missing fields are reported at the button.
        shown = {name: fault for name, fault in result.faults.items() if payload.get(name) is not None}
        if shown != st.session_state.get(memory, {}):
            st.session_state[memory] = shown
            st.rerun()
        variant = _variant(session, use_case, known)
        pressed = st.button(words("call.ask"), type="primary", width="stretch", key=f"call-{use_case.name}-ask")
        if result.faults:
            notice("info", words("call.fix_first"), "", _fault_lines(session, use_case, result.faults))
    with answer:
        kept = f"call-{use_case.name}-answers"
        if pressed and not result.faults:
            asked = [payload] if variant is None else [payload, {**payload, variant[0]: variant[1]}]
            _predict(session, use_case, asked, incident=incident.strip(), kept=kept, variant=variant)
        two = len((st.session_state.get(kept) or {"answers": []})["answers"]) > 1
        if not two:
            _answers(session, use_case, kept, result.payload)
    if two:  # side by side they need the full width
        _answers(session, use_case, kept, result.payload)


def _form(
    session: Session,
    use_case: UseCase,
    known: Mapping[str, Any],
    places: Mapping[str, tuple[float, float]],
    faults: Mapping[str, str],
) -> dict[str, Any]:
    """Show the fields; those of the location are next to their map."""
    words, place = session.words, use_case.presentation.map
    fields = fields_of(use_case.serving.request)
    beside = [] if place is None else [name for name in (place.x, place.y) if name in fields]
    also = [name for name in _DEGREES if beside and name in fields and name not in beside]
    payload: dict[str, Any] = forms.request_form(session, use_case, known, faults, leave_out=[*beside, *also])
    if place is None:
        return payload
    st.subheader(words("call.where"))
    st.caption(words("call.map_help" if beside else "call.map_help_named"))
    drawing = st.container()  # filled last, because it depends on the fields below it
    if beside and places:
        pick = f"call-{use_case.name}-known-place"
        st.selectbox(
            words("call.no_place"), sorted(places), index=None, key=drafts.kept(pick, places),
            placeholder=words("call.choose"), on_change=_apply_known_place, args=(use_case, pick, dict(places)),
        )  # fmt: skip
    coordinates = [fields[name] for name in beside]
    payload |= forms.field_grid(session, use_case, coordinates, known, faults)
    if also:
        with st.expander(words("call.degrees"), expanded=any(name in faults for name in also)):
            payload |= forms.field_grid(session, use_case, [fields[name] for name in also], known, faults)
    with drawing:
        at = _chosen_place(use_case, payload, places)
        key = f"call-{use_case.name}-map"
        maps.clickable_map(session, use_case, places, at, key=key, on_click=lambda: _apply_click(use_case, key))
    return {name: payload[name] for name in fields}


def _chosen_place(
    use_case: UseCase, payload: Mapping[str, Any], places: Mapping[str, tuple[float, float]]
) -> tuple[float, float] | None:
    place = use_case.presentation.map
    assert place is not None
    x, y = payload.get(place.x), payload.get(place.y)
    if x is not None and y is not None:
        return float(x), float(y)
    named = payload.get(place.name_field or "")
    return places.get(str(named)) if place.x not in payload and named else None


def _apply_click(use_case: UseCase, key: str) -> None:
    point, place = maps.clicked_point(key), use_case.presentation.map
    if point is None or place is None:
        return
    if place.x in use_case.serving.request.model_fields:
        _set_field(use_case, place.x, float(point["x"]))
        _set_field(use_case, place.y, float(point["y"]))
        st.session_state[f"call-{use_case.name}-known-place"] = None
    elif place.name_field is not None and point.get("name"):
        _set_field(use_case, place.name_field, str(point["name"]))


def _apply_known_place(use_case: UseCase, key: str, places: Mapping[str, tuple[float, float]]) -> None:
    place, name = use_case.presentation.map, str(st.session_state.get(key) or "")
    if place is not None and name in places:
        _set_field(use_case, place.x, float(places[name][0]))
        _set_field(use_case, place.y, float(places[name][1]))


def _set_field(use_case: UseCase, field: str, value: Any) -> None:
    st.session_state[forms.widget_key(use_case, field)] = value


def _variant(session: Session, use_case: UseCase, known: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Selector of the one field, and its value, in which the second variant differs."""
    words, fields = session.words, fields_of(use_case.serving.request)
    key = f"call-{use_case.name}-compare"
    if not st.toggle(words("call.compare"), key=drafts.kept(key)):
        return None
    names = [field.name for field in fields.values() if field.kind in {"text", "category", "number", "flag"}]
    named = use_case.presentation.map.name_field if use_case.presentation.map is not None else None
    left, right = st.columns(2)
    with left:
        name = st.selectbox(
            words("call.compare_field"), names, index=names.index(named) if named in names else 0,
            format_func=lambda field: title_of(use_case, field, words), key=drafts.kept(f"{key}-field", names),
        )  # fmt: skip
    with right:
        st.caption(words("call.compare_other", field=title_of(use_case, name, words)))
        value = forms.field_widget(
            session, fields[name], f"{key}-{name}", known.get(name, {}), zone=use_case.data.timezone, empty=True
        )
    return name, value


def _predict(
    session: Session,
    use_case: UseCase,
    payloads: list[dict[str, Any]],
    *,
    incident: str,
    kept: str,
    variant: tuple[str, Any] | None,
) -> None:
    """Predict and store the answers until the next ones. The second variant is the same call and is sent without
    incident id: otherwise it would supersede the first."""
    words = session.words
    found = []
    with st.spinner(words("call.asking"), show_time=False):
        for number, payload in enumerate(payloads):
            result = validate_request(use_case.serving.request, payload, words, session.formats)
            if result.faults:
                notice("warn", words("call.fix_first"), "", _fault_lines(session, use_case, result.faults))
                return
            sent = {**result.payload, **({"incident_id": incident} if incident and number == 0 else {})}
            try:
                answer = predictions.predict(session, use_case.name, sent)
            except ApiError as error:
                show_error(words, error, key=f"ask-{number}")
                return
            found.append({"payload": result.payload, "values": result.values, "answer": answer})
    st.session_state[kept] = {"answers": found, "variant": variant[0] if variant else None, "explained": None}


def _answers(session: Session, use_case: UseCase, kept: str, payload: Mapping[str, Any]) -> None:
    words, state = session.words, st.session_state.get(kept)
    if state is None:
        empty_state(words("call.nothing_yet"), words("call.nothing_yet_text"))
        return
    answers = state["answers"]
    asked = answers[0]["payload"]
    if {**payload, **{name: asked.get(name) for name in forms.times_of_now(use_case)}} != asked:
        notice("info", words("call.changed"))
    if len(answers) == 1:
        answer_view.show_answer(session, use_case, answers[0]["answer"], answers[0]["values"])
    else:
        _side_by_side(session, use_case, answers, state["variant"])
    first = answers[0]["answer"]
    if state["explained"] is None:
        state["explained"] = predictions.explain(session, use_case.name, answers[0]["payload"]) or {}
    if state["explained"]:
        drivers.show_explanation(session, use_case, state["explained"], answers[0]["payload"])
    else:
        st.caption(words("call.explain_away"))
    st.caption(words("call.request_id", id=first["request_id"], model=first["model_version"]))


def _side_by_side(session: Session, use_case: UseCase, answers: list[dict[str, Any]], name: str) -> None:
    words = session.words
    ends = answer_view.scale_ends(use_case, [each["answer"] for each in answers])
    titles = []
    for letter, each in zip("AB", answers, strict=True):
        value = each["payload"].get(name)
        titles.append(words("call.variant", letter=letter, value=words("terms.not_given") if value is None else value))
    notice("info", _difference(session, use_case, [each["answer"]["predictions"] or {} for each in answers], titles))
    for column, title, each in zip(st.columns(2), titles, answers, strict=True):
        with column:
            answer_view.show_answer(session, use_case, each["answer"], each["values"], ends=ends, heading=title)


def _difference(session: Session, use_case: UseCase, both: list[Mapping[str, Any]], titles: list[str]) -> str:
    """Compare the variants by the first number: lower is better for a quantity; for a probability the difference."""
    words, formats = session.words, session.formats
    for kind in ("quantity", "probability"):
        for target in use_case.modelling.targets:
            first, second = (predictions.get(target.name) for predictions in both)
            if first is None or second is None or first["kind"] != kind:
                continue
            title, gap = words.of(target.title), first["value"] - second["value"]
            if round(gap, 1 if kind == "quantity" else 3) == 0:
                return words("call.equal", target=title)
            if kind == "probability":
                return f"{title}: {formats.percent(first['value'], 1)} / {formats.percent(second['value'], 1)}"
            difference = formats.quantity(abs(gap), first["unit"])
            return words("call.faster", better=titles[gap > 0], difference=difference, target=title)
    return " / ".join(titles)


def _fault_lines(session: Session, use_case: UseCase, faults: Mapping[str, str]) -> list[str]:
    return [f"{title_of(use_case, name, session.words)}: {fault}" if name else fault for name, fault in faults.items()]
