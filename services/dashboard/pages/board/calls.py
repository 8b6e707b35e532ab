"""Logged calls on the board: queries; request, answer and outcome as one line each; map position; and the form that
records an outcome or an override.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from services.core.contract.use_case import BinaryClassification, MapSpec, MultiClass, Regression, Target, UseCase
from services.core.headers import CALL_KIND_HEADER, EXERCISE
from services.dashboard import drafts
from services.dashboard.api.client import ApiError, Service
from services.dashboard.api.predictions import class_name, flatten
from services.dashboard.components.feedback import notice, show_error
from services.dashboard.components.maps import map_extent
from services.dashboard.components.use_cases import fields_of
from services.dashboard.session import Session

PERIODS: dict[str, timedelta | None] = {
    "hour": timedelta(hours=1),
    "shift": timedelta(hours=12),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "ever": None,
}
_PAGE = 500
"""Answers asked for at a time."""
COUNTS = ("calls", "at_risk", "without_outcome", "overridden")
AREAS = ("nw", "n", "ne", "w", "c", "e", "sw", "s", "se")
Call = Mapping[str, Any]


def recent_calls(session: Session, use_case: UseCase, limit: int, **filters: Any) -> list[dict[str, Any]]:
    """Up to ``limit`` of the newest answers that this user may see. ``since`` and ``until`` are moments."""
    path, parameters = f"/v1/{use_case.name}/predictions", _parameters(filters)
    calls: list[dict[str, Any]] = []
    cursor = None
    while len(calls) < limit:
        page = min(limit - len(calls), _PAGE)
        found = session.client.get(Service.PREDICTION, path, limit=page, cursor=cursor, **parameters)
        calls += found["predictions"]
        cursor = found["next"]
        if cursor is None:
            break
    return calls


def count_calls(session: Session, use_case: UseCase, **filters: Any) -> dict[str, Any]:
    """How many calls match, however many are listed."""
    path = f"/v1/{use_case.name}/predictions/counts"
    found: dict[str, Any] = session.client.get(Service.PREDICTION, path, **_parameters(filters))
    return found


def _parameters(filters: dict[str, Any]) -> dict[str, Any]:
    named = {"from": filters.pop("since", None), "to": filters.pop("until", None)}
    moments = {name: moment.isoformat() for name, moment in named.items() if moment is not None}
    return {**moments, **filters}


def newest_of_each(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Calls in the order of ``calls`` (newest first): what was asked again under one incident number is one call with
    its newest answer, and with what was reported about any of them."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for call in calls:
        same = (call["incident_id"],) if call["incident_id"] else (call["request_id"], call["row_index"])
        newest = found.setdefault((call["centre"], call["kind"], *same), dict(call))
        newest["outcome"] = newest["outcome"] or call["outcome"]
        newest["override"] = newest["override"] or call["override"]
    return list(found.values())


def counts_of(calls: Sequence[Call], *, more: bool) -> dict[str, Any]:
    """The same counts of listed calls."""
    each = newest_of_each(calls)
    return {
        "calls": len(each),
        "at_risk": sum(call["risk"] is True for call in each),
        "without_outcome": sum(not call["outcome"] for call in each),
        "overridden": sum(bool(call["override"]) for call in each),
        "more": more,
    }


def period_start(period: str) -> datetime | None:
    length = PERIODS[period]
    return None if length is None else datetime.now(UTC) - length


def timezone_of(use_case: UseCase) -> str:
    """The use case's time zone, otherwise the browser's."""
    return use_case.data.timezone or st.context.timezone or "UTC"


def request_text(session: Session, use_case: UseCase, call: Call) -> str:
    """Summary of a request: up to four of its categories and short texts."""
    found = []
    for name, field in fields_of(use_case.serving.request).items():
        value = call["request"].get(name)
        if field.kind in {"category", "text"} and value and len(str(value)) <= 60 and not field.free_text:
            found.append(str(value))
        elif field.free_text and value:
            found.append(str(value)[:60])
    return " · ".join(found[:4]) or session.words("terms.not_given")


def answer_text(session: Session, use_case: UseCase, call: Call) -> str:
    """Summary of each target; for calls of release 0.1.0 the answer's fields."""
    formats, words, predictions = session.formats, session.words, call["predictions"]
    if predictions is None and not call["answer"]:
        return words("terms.withdrawn_text")
    if predictions is None:
        return " · ".join(f"{name}: {value}" for name, value in flatten(call["answer"]).items())
    parts = []
    for target in use_case.modelling.targets:
        predicted, title = predictions[target.name], words.of(target.title)
        if predicted is None:
            parts.append(f"{title}: {words('terms.withdrawn')}")
        elif predicted["kind"] == "quantity":
            unit = predicted["unit"]
            digits = 0 if unit in {"s", "m"} else 1
            low, high = (formats.number(predicted[end], digits) for end in ("lower", "upper"))
            parts.append(f"{formats.quantity(predicted['value'], unit)} ({low}–{high})")
        elif predicted["kind"] == "probability":
            parts.append(f"{title}: {formats.percent(predicted['value'])}")
        else:
            parts.append(f"{title}: {class_name(predicted, predicted['value'])}")
    return " · ".join(parts)


def outcome_text(session: Session, use_case: UseCase, call: Call) -> str:
    """Summary of the reported outcome; empty if there is none."""
    reported = call["outcome"] or {}
    parts = []
    for label, target in reportable_targets(use_case).items():
        if label in reported:
            title = session.words.of(target.title)
            parts.append(f"{title}: {label_text(session, target, reported[label])}")
    return " · ".join(parts)


def label_text(session: Session, target: Target, value: Any) -> str:
    if isinstance(target.output, Regression):
        return session.formats.quantity(value, target.output.unit)
    if isinstance(target.output, BinaryClassification):
        return session.words("terms.yes" if value else "terms.no")
    assert isinstance(target.output, MultiClass)
    return str(value)


def reportable_targets(use_case: UseCase) -> dict[str, Target]:
    """Label -> first target that uses it."""
    found: dict[str, Target] = {}
    for target in use_case.modelling.targets:
        found.setdefault(target.label, target)
    return found


def risk_text(session: Session, call: Call) -> str:
    key = {True: "risk_yes", False: "risk_no", None: "risk_none"}[call["risk"]]
    return session.words(f"board.{key}")


def position(use_case: UseCase, call: Call, places: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    """The call's position on the use case's map."""
    place, request = use_case.presentation.map, call["request"]
    if place is None:
        return None
    x, y = request.get(place.x), request.get(place.y)
    if isinstance(x, int | float) and isinstance(y, int | float):
        return float(x), float(y)
    return places.get(str(request.get(place.name_field or "")))


def area_of(place: MapSpec, at: tuple[float, float]) -> str:
    """Compass direction of a position: the map in nine areas."""
    (west, east), (south, north) = map_extent(place)
    column = min(2, max(0, int(3 * (at[0] - west) / (east - west))))
    row = min(2, max(0, int(3 * (north - at[1]) / (north - south))))
    return AREAS[3 * row + column]


def outcome_form(session: Session, use_case: UseCase, call: Call) -> bool:
    """Show the outcome form; True once an outcome was recorded. No Streamlit form, whose fields the server knows only
    once it is sent: what was typed stays when somebody looks at another page, and Enter sends nothing."""
    words, key = session.words, f"outcome-{call['id']}"
    reported = call["outcome"] or {}
    with st.container(border=True, key=key):
        st.markdown(f"**{words('board.what_happened')}** · {words('board.what_happened_text')}")
        columns = st.columns(max(2, len(reportable_targets(use_case))))
        given = {}
        for (label, target), column in zip(reportable_targets(use_case).items(), columns, strict=False):
            with column:
                given[label] = _label_widget(session, target, reported.get(label), f"{key}-{label}")
        reason = st.text_input(
            words("board.override"), value=call["override"] or "", max_chars=500, help=words("board.override_help"),
            key=drafts.kept(f"{key}-override", default=call["override"] or ""),
        )  # fmt: skip
        saved = st.button(words("board.save"), type="primary", key=f"{key}-save")
    if not saved:
        return False
    # A reported label that is now empty is retracted; one that was never reported is omitted.
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
    except ApiError as error:
        show_error(words, error, key=key)
        return False
    for name in (*given, "override"):
        drafts.drop(f"{key}-{name}")
    return True


def _label_widget(session: Session, target: Target, value: Any, key: str) -> Any:
    words, output = session.words, target.output
    title = words.of(target.title)
    if isinstance(output, Regression):
        drafts.kept(key, default=value)
        number = st.number_input(
            f"{title} ({output.unit})", value=value, min_value=output.minimum, format="%.6g", key=key
        )
        return None if number is None else float(number)
    if isinstance(output, BinaryClassification):
        answers = {"yes": True, "no": False}
        start = None if value is None else "yes" if value else "no"
        chosen = st.segmented_control(
            title, list(answers), default=start, format_func=lambda a: words(f"terms.{a}"),
            key=drafts.kept(key, default=start),
        )  # fmt: skip
        return answers.get(chosen) if chosen else None
    assert isinstance(output, MultiClass)
    options = list(output.labels)
    return st.selectbox(
        title,
        options,
        index=options.index(value) if value in options else None,
        key=drafts.kept(key, default=value),
        placeholder=words("call.choose"),
        accept_new_options=output.learned,
    )
