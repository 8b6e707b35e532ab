"""The page Board: the centre's latest calls with their outcomes, filters, map, and the handover sheet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from services.core.auth.principal import Role
from services.core.contract.fields import in_zone
from services.core.contract.use_case import UseCase
from services.dashboard import drafts
from services.dashboard.api.client import ApiError
from services.dashboard.components import frontend, maps
from services.dashboard.components.confidence import SOURCE_TONES, show_active_withdrawals
from services.dashboard.components.feedback import badge, empty_state, error_boundary, notice, open_alerts, show_error
from services.dashboard.pages.board import calls as outcome_form
from services.dashboard.pages.board import calls as shown
from services.dashboard.pages.board import handover
from services.dashboard.pages.call import choose_served_use_case
from services.dashboard.session import Session

_OPEN_CALL, _RESULT, _ROWS = "board-open", "board-said", "board-rows"
_FETCH_LIMIT = 200
_AREA_LIMIT = 1_000
_COUNT_SECONDS = 20
_FIRST_ROWS = 15
_REFRESH_SECONDS = 8
_SHEET_LIMIT = 2_000
_SHEET_SECONDS = 20
_KINDS = ("live", "exercise", "simulated")


def render(session: Session) -> None:
    words = session.words
    st.title(words("shell.page_board"))
    use_cases = {use_case.name: use_case for use_case in session.use_cases()}
    if not use_cases:
        empty_state(words("shell.no_use_case"), words("shell.no_use_case_text"))
        return
    left, right = st.columns([3, 2])
    with left:
        use_case = use_cases[choose_served_use_case(session, use_cases, key="board-use-case")]
    with right:
        view = st.segmented_control(
            words("board.view"), ["live", "handover"], default="live", key=drafts.kept("board-view"), required=True,
            wrap=True, format_func=lambda name: words(f"board.{name}"), label_visibility="hidden",
        )  # fmt: skip
    places = _places(session, use_case)
    if view == "handover":
        show_active_withdrawals(session, use_case)
        _handover(session, use_case)
        return
    filters = _filters(session, use_case)
    refresh = st.toggle(words("board.refresh"), value=True, key=drafts.kept("board-refresh"))
    # Do not refresh while a form is open: it would discard what is being typed.
    waiting = st.session_state.get(_OPEN_CALL) is not None
    part = st.fragment(_live, run_every=_REFRESH_SECONDS if refresh and not waiting else None)
    part(session, use_case, filters, places)


def _places(session: Session, use_case: UseCase) -> dict[str, tuple[float, float]]:
    if use_case.presentation.map is None:
        return {}
    try:
        known = session.served(use_case.name).get("places") or {}
    except ApiError:  # the board works without location names
        known = {}
    return {**use_case.presentation.map.points, **{name: (x, y) for name, (x, y) in known.items()}}


def _filters(session: Session, use_case: UseCase) -> dict[str, Any]:
    words = session.words
    columns = st.columns(5)
    with columns[0]:
        period = st.selectbox(
            words("board.period"), list(shown.PERIODS), index=1, format_func=lambda name: words(f"board.{name}"),
            key=drafts.kept("board-period"),
        )  # fmt: skip
    with columns[1]:
        area = st.selectbox(
            words("board.area"), ["area_all", *shown.AREAS], format_func=lambda name: words(f"board.{name}"),
            key=drafts.kept("board-area"), disabled=use_case.presentation.map is None,
        )  # fmt: skip
    with columns[2]:
        risks = {"risk_all": None, "risk_yes": True, "risk_no": False}
        risk = st.selectbox(
            words("board.risk"), list(risks), format_func=lambda name: words(f"board.{name}"),
            key=drafts.kept("board-risk"),
        )  # fmt: skip
    with columns[3]:
        seen = st.session_state.setdefault("board-callers", {})
        callers = {"": words("board.caller_all"), session.user.id: words("board.caller_me"), **seen}
        caller = st.selectbox(
            words("board.caller"), list(callers), format_func=callers.__getitem__,
            key=drafts.kept("board-caller", callers),
        )  # fmt: skip
    with columns[4]:
        start = _KINDS.index("exercise" if session.exercise else "live")
        kind = st.selectbox(
            words("board.kind"), [*_KINDS, "all"], index=start, format_func=lambda name: words(f"board.kind_{name}"),
            key=drafts.kept(f"board-kind-{session.exercise}"),
        )  # fmt: skip
    return {
        "period": period,
        "area": None if area == "area_all" else area,
        "risk": risks[risk],
        "caller": caller or None,
        "kind": None if kind == "all" else kind,
    }


def _live(
    session: Session, use_case: UseCase, filters: Mapping[str, Any], places: Mapping[str, tuple[float, float]]
) -> None:
    words = session.words
    show_active_withdrawals(session, use_case)
    place, by_area = use_case.presentation.map, filters["area"] is not None
    limit = _AREA_LIMIT if by_area else _FETCH_LIMIT  # only here is it known which area a call is from
    asked = {
        "since": shown.period_start(filters["period"]), "risk": filters["risk"], "caller": filters["caller"],
        "kind": filters["kind"],
    }  # fmt: skip
    try:
        calls = shown.recent_calls(session, use_case, limit, **asked)
        cut = len(calls) == limit
        counts = None
        if cut and not by_area:
            key = f"board-counts-{use_case.name}-{sorted(filters.items(), key=str)}"
            counts = session.remembered(key, _COUNT_SECONDS, lambda: shown.count_calls(session, use_case, **asked))
    except ApiError as error:
        show_error(words, error, key="board-live")
        return
    _remember_callers(session, calls)
    if by_area and place is not None:
        at = {call["id"]: shown.position(use_case, call, places) for call in calls}
        calls = [call for call in calls if (p := at[call["id"]]) and shown.area_of(place, p) == filters["area"]]
    said = st.session_state.pop(_RESULT, None)
    if said:
        notice("good", said)
    _summary_cards(session, counts or shown.counts_of(calls, more=cut))
    if cut and not by_area:
        st.caption(words("board.shown", count=session.formats.number(limit)))
    if not calls:
        empty_state(words("board.none"), words("board.none_text"))
        return
    if use_case.presentation.map is None:
        _rows(session, use_case, calls)
        return
    rows, chart = st.columns([5, 3])
    with chart:
        points = [
            {
                "x": p[0],
                "y": p[1],
                "risk": shown.risk_text(session, call),
                "title": shown.request_text(session, use_case, call),
            }
            for call in calls
            if (p := shown.position(use_case, call, places)) is not None
        ]
        maps.calls_map(session, use_case, points, key=f"board-map-{use_case.name}", width=310)
    with rows:
        _rows(session, use_case, calls)


def _summary_cards(session: Session, counts: Mapping[str, Any]) -> None:
    words, formats = session.words, session.formats
    cards = "".join(
        f"<div class='v-card'><h3>{escape(words(f'board.{name}'))}</h3>"
        f"<div class='v-mid'>{formats.number(counts[name])}{'+' if counts['more'] else ''}</div></div>"
        for name in shown.COUNTS
    )
    at = formats.clock(datetime.now(UTC), st.context.timezone)
    st.html(
        f"<div class='v-row tight'>{cards}</div><div class='v-quiet'>{escape(words('board.refreshed', at=at))}</div>"
    )


def _rows(session: Session, use_case: UseCase, calls: list[dict[str, Any]]) -> None:
    words = session.words
    count = st.session_state.get(_ROWS, _FIRST_ROWS)
    zone = shown.timezone_of(use_case)
    may_record = session.has_role(Role.DISPATCHER)
    for call in calls[:count]:
        with st.container(border=True, key=f"row-{call['id']}"):
            if may_record:
                line, button = st.columns([4, 1.4], vertical_alignment="center")
                with line:
                    st.html(_line(session, use_case, call, zone))
                with button:
                    _button(session, call)
                if st.session_state.get(_OPEN_CALL) == call["id"] and outcome_form.outcome_form(
                    session, use_case, call
                ):
                    st.session_state[_OPEN_CALL] = None
                    st.session_state[_RESULT] = words("board.saved")
                    st.rerun()
            else:
                st.html(_line(session, use_case, call, zone))
    if len(calls) > count and st.button(words("board.more"), key="board-more"):
        st.session_state[_ROWS] = count + 25
        st.rerun(scope="fragment")


def _button(session: Session, call: Mapping[str, Any]) -> None:
    is_open = st.session_state.get(_OPEN_CALL) == call["id"]
    key = "close" if is_open else "change" if call["outcome"] or call["override"] else "record"
    if st.button(session.words(f"board.{key}"), key=f"button-{call['id']}", width="stretch"):
        st.session_state[_OPEN_CALL] = None if is_open else call["id"]
        st.rerun()


def _line(session: Session, use_case: UseCase, call: Mapping[str, Any], zone: str) -> str:
    words, formats = session.words, session.formats
    tags = [
        badge("bad" if call["risk"] else "info" if call["risk"] is False else "warn", shown.risk_text(session, call))
    ]
    if call["source"] != "champion":
        tags.append(badge(SOURCE_TONES.get(call["source"], "warn"), words(f"terms.{call['source']}")))
    if call["kind"] == "exercise":
        tags.append(badge("exercise", words("shell.exercise_on")))
    elif call["kind"] == "simulated":
        tags.append(badge("warn", words("board.kind_simulated")))
    incident = f" · {escape(call['incident_id'])}" if call["incident_id"] else ""
    outcome = shown.outcome_text(session, use_case, call)
    at = escape(formats.moment(call["received_at"], zone, seconds=True))
    lines = [
        f"<div class='v-when'><b>{at}</b>{incident} {' '.join(tags)}</div>",
        f"<div>{escape(shown.request_text(session, use_case, call))}</div>",
        f"<div class='v-strong'>{escape(shown.answer_text(session, use_case, call))}</div>",
    ]
    if outcome:
        lines.append(f"<div class='v-outcome'>{escape(words('board.outcome'))}: {escape(outcome)}</div>")
    if call["override"]:
        lines.append(f"<div class='v-outcome'>{escape(words('board.override_was', reason=call['override']))}</div>")
    return "".join(lines)


def _remember_callers(session: Session, calls: list[dict[str, Any]]) -> None:
    seen = st.session_state.setdefault("board-callers", {})
    for call in calls:
        if call["caller_id"] != session.user.id and len(seen) < 50:
            kind = "caller_key" if call["caller_kind"] == "key" else "caller_user"
            seen.setdefault(call["caller_id"], session.words(f"board.{kind}", id=call["caller_id"][:10]))


def _handover(session: Session, use_case: UseCase) -> None:
    words, name = session.words, shown.timezone_of(use_case)
    zone, this_minute = ZoneInfo(name), datetime.now(UTC).replace(second=0, microsecond=0)
    now = this_minute.astimezone(zone).replace(tzinfo=None)
    opened = (this_minute - timedelta(hours=12)).astimezone(zone).replace(tzinfo=None)
    begin = st.session_state.setdefault("sheet-opened", opened)
    open_end = drafts.follow_clock({"sheet-to": now + timedelta(minutes=1)})
    left, right = st.columns(2)
    with left:
        since = st.datetime_input(words("board.from"), value=begin, key=drafts.kept("sheet-from"))
    with right:
        until = st.datetime_input(words("board.to"), value=None, key="sheet-to", help=words("board.to_help"))
    notes = st.text_area(
        words("board.sheet_notes"), key=drafts.kept("sheet-notes"), help=words("board.sheet_notes_help"), height=100
    )
    if since is None or until is None:
        return
    # Of an hour that the clock shows twice, both are on the sheet.
    begins = in_zone(since, name).astimezone(zone)
    ends = None if open_end else in_zone(until, name, again=True).astimezone(zone)
    sheet = st.fragment(_sheet, run_every=_SHEET_SECONDS if open_end else None)
    sheet(session, use_case, begins, ends, notes)


def _sheet(session: Session, use_case: UseCase, begin: datetime, until: datetime | None, notes: str) -> None:
    """The sheet; ``until`` None: up to now, whenever that is."""
    words = session.words
    with error_boundary(words, key="sheet"):
        end = until or handover.next_minute(datetime.now(begin.tzinfo))
        kind = "exercise" if session.exercise else "live"
        asked = {"since": begin, "until": end, "kind": kind}
        calls = shown.recent_calls(session, use_case, _SHEET_LIMIT, **asked)
        cut = len(calls) == _SHEET_LIMIT
        counts = shown.count_calls(session, use_case, **asked) if cut else shown.counts_of(calls, more=False)
        listed = shown.newest_of_each(calls)
        shift = handover.HandoverShift(begin, end, listed, open_alerts(session), notes, counts)
        name = f"{use_case.name}-{end:%Y%m%d-%H%M}.html"
        first, second, _ = st.columns([2, 1, 2])
        with first:
            st.download_button(
                words("board.download_sheet"), handover.handover_page(session, use_case, shift), file_name=name,
                mime="text/html", key="sheet-download", width="stretch", type="primary", on_click="ignore",
            )  # fmt: skip
        with second:
            printing = st.button(words("board.print"), key="sheet-print", width="stretch", icon=":material/print:")
        st.html(f"<div class='v-card v-sheet'>{handover.handover_body(session, use_case, shift)}</div>")
        if printing:
            frontend.print_page()
