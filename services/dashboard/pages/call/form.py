"""The request form, generated from the request model: a widget per field type, with validation errors below it."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from services.core.contract.fields import in_zone
from services.core.contract.use_case import UseCase
from services.dashboard import drafts
from services.dashboard.components.use_cases import Field, fields_of
from services.dashboard.session import Session

COLUMNS = 2
OPTIONAL_SHOWN = 12
"""Number of optional fields shown at once; further ones are in an expander."""


def widget_key(use_case: UseCase, field: str, form: str = "call") -> str:
    return f"{form}-{use_case.name}-{field}"


def request_form(
    session: Session,
    use_case: UseCase,
    known: Mapping[str, Mapping[str, Any]],
    faults: Mapping[str, str],
    *,
    leave_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Show all fields except ``leave_out``. ``known`` are the values in the training data, for suggestions; ``faults``
    are the previous run's errors by field.

    Returns:
        Field -> value as JSON; None if empty.
    """
    fields = [field for field in fields_of(use_case.serving.request).values() if field.name not in leave_out]
    first = [field for field in fields if field.required or field.default is not None]
    optional = [field for field in fields if field not in first]
    shown = [field for field in fields if field in first or field in optional[:OPTIONAL_SHOWN]]
    rest = [field for field in fields if field not in shown]
    found = field_grid(session, use_case, shown, known, faults)
    if rest:
        with st.expander(session.words("call.more", count=len(rest)), expanded=any(f.name in faults for f in rest)):
            found |= field_grid(session, use_case, rest, known, faults)
    return {name: found[name] for name in (field.name for field in fields)}


def field_grid(
    session: Session,
    use_case: UseCase,
    fields: Sequence[Field],
    known: Mapping[str, Mapping[str, Any]],
    faults: Mapping[str, str],
) -> dict[str, Any]:
    """Show fields in two columns, each with its error."""
    found: dict[str, Any] = {}
    for line in _lines(fields):
        columns = st.columns(len(line)) if len(line) == 1 else st.columns(COLUMNS)
        for field, column in zip(line, columns, strict=False):
            if field is None:
                continue
            with column:
                found[field.name] = field_widget(
                    session,
                    field,
                    widget_key(use_case, field.name),
                    known.get(field.name, {}),
                    zone=use_case.data.timezone,
                )
                if field.name in faults:
                    st.html(f"<div class='v-fault' role='alert'>{escape(faults[field.name])}</div>")
    return found


def _lines(fields: Sequence[Field]) -> list[list[Field | None]]:
    """Fields by line; times and images take a full line."""
    lines: list[list[Field | None]] = []
    for field in fields:
        if field.kind in {"time", "image"} or field.free_text:
            lines.append([field])
        elif lines and len(lines[-1]) == COLUMNS and lines[-1][-1] is None:
            lines[-1][-1] = field
        else:
            lines.append([field, None])
    return lines


def field_widget(  # noqa: PLR0911 - one branch for each kind of field
    session: Session, field: Field, key: str, known: Mapping[str, Any], *, zone: str | None, empty: bool = False
) -> Any:
    """Show a field's widget; returns its value as JSON. ``empty``: without a default value."""
    words = session.words
    label = field.label(words) + (" *" if field.required else "")
    help = words.of(field.help)  # noqa: A001
    match field.kind:
        case "time":
            return _moment(session, field, key, label, help=help, zone=zone)
        case "date":
            day = st.date_input(
                label, value="today" if field.required else None, key=drafts.kept(key), help=help,
                format=_day_format(session),
            )  # fmt: skip
            return day.isoformat() if isinstance(day, dt.date) else None
        case "flag":
            answers = {"yes": True, "no": False}
            start = None if empty or field.default is None else "yes" if field.default else "no"
            chosen = st.segmented_control(
                label, list(answers), default=start, format_func=lambda a: words(f"terms.{a}"),
                key=drafts.kept(key, answers), help=help,
            )  # fmt: skip
            return answers.get(chosen) if chosen else None
        case "category":
            options = list(field.words)
            at = options.index(field.default) if field.default in options and not empty else None
            return st.selectbox(
                label, options, index=at, key=drafts.kept(key, options), help=help, placeholder=words("call.choose"),
                format_func=_option_text,
            )  # fmt: skip
        case "number":
            value = None if empty or field.default is None else field.default
            number = st.number_input(
                label,
                value=int(value) if value is not None and field.whole else value,
                step=1 if field.whole else None,
                format=None if field.whole else "%.6g",
                key=drafts.kept(key),
                help=help,
                placeholder=field.bounds(session.formats),
            )
            return None if number is None else int(number) if float(number).is_integer() else float(number)
        case "image":
            return _image(session, field, key, label, help)
        case _:
            suggestions = known.get("words") or []
            if suggestions and not field.free_text:
                return st.selectbox(
                    label, suggestions, index=None, key=drafts.kept(key), help=help, accept_new_options=True,
                    placeholder=words("call.choose_or_type"),
                )  # fmt: skip
            if (field.longest or 0) > 500 or field.free_text:
                return st.text_area(label, key=drafts.kept(key), help=help, height=100, max_chars=field.longest) or None
            return st.text_input(label, key=drafts.kept(key), help=help, max_chars=field.longest) or None


def _moment(session: Session, field: Field, key: str, label: str, *, help: str, zone: str | None) -> str | None:
    """Date and time inputs side by side; a required time that nobody chose is now."""
    day_key, clock_key = _moment_keys(key)
    if field.required:
        now = dt.datetime.now(ZoneInfo(zone or "UTC")).replace(second=0, microsecond=0)
        drafts.follow_clock({day_key: now.date(), clock_key: now.time()})
    else:
        drafts.kept(day_key)
        drafts.kept(clock_key)
    left, right = st.columns([3, 2])
    with left:
        day = st.date_input(label, value=None, key=day_key, help=help, format=_day_format(session))
    with right:
        clock = st.time_input(session.words("call.clock"), value=None, key=clock_key, step=60)
    if not isinstance(day, dt.date) or clock is None:
        return None
    return as_meant(dt.datetime.combine(day, clock), zone or "UTC", dt.datetime.now(dt.UTC))


def as_meant(shown: dt.datetime, zone: str, now: dt.datetime) -> str:
    """What a clock shows, as it is sent: without a zone, but for an hour that it shows twice, of which the later one
    is meant that has begun."""
    first, again = in_zone(shown, zone), in_zone(shown, zone, again=True)
    if first == again:
        return shown.isoformat()
    meant = again if again <= now + dt.timedelta(minutes=1) else first
    return meant.astimezone(ZoneInfo(zone)).isoformat()


def times_of_now(use_case: UseCase) -> list[str]:
    """Required times that nobody chose: they follow the clock."""
    return [
        field.name
        for field in fields_of(use_case.serving.request).values()
        if field.kind == "time" and field.required
        if drafts.follows_clock(_moment_keys(widget_key(use_case, field.name)))
    ]


def _moment_keys(key: str) -> tuple[str, str]:
    return f"{key}-day", f"{key}-clock"


def _image(session: Session, field: Field, key: str, label: str, help: str) -> str | None:
    assert field.image is not None
    file = st.file_uploader(label, type=["jpg", "jpeg", "png", "webp"], key=key, help=help)
    if file is None:
        return None
    content = file.getvalue()
    if len(content) > field.image.max_bytes:
        st.html(f"<div class='v-fault' role='alert'>{session.words('call.image_large')}</div>")
        return None
    st.image(content, width=160, caption=session.words("call.image_preview"))
    return base64.b64encode(content).decode()


def _day_format(session: Session) -> Any:
    return "DD/MM/YYYY" if session.language == "fr" else "YYYY-MM-DD"


def _option_text(word: Any) -> str:
    return str(word)
