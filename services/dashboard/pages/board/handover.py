"""The shift's handover sheet as a printable HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.core.contract.use_case import UseCase
from services.dashboard.components.data_display import render_template
from services.dashboard.pages.board import calls as shown
from services.dashboard.pages.board.calls import Call
from services.dashboard.session import Session


@dataclass(frozen=True, slots=True)
class HandoverShift:
    """Content of a handover sheet: the shift's calls, alerts and notes."""

    since: datetime
    until: datetime
    calls: Sequence[Call]
    alerts: Sequence[dict[str, Any]]
    notes: str
    counts: Mapping[str, Any]
    """Those of ``count_calls``, which may be of more calls than are listed."""


def next_minute(now: datetime) -> datetime:
    """The end of a sheet that goes on. Added in UTC: a clock's own arithmetic falls back into the first of two equal
    hours."""
    return (now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)).astimezone(now.tzinfo)


def handover_page(session: Session, use_case: UseCase, shift: HandoverShift) -> str:
    """HTML of the complete page."""
    return render_template("handover_page.html", **_content(session, use_case, shift), level=1)


def handover_body(session: Session, use_case: UseCase, shift: HandoverShift) -> str:
    """HTML of the sheet's content, for embedding in a page."""
    return render_template("handover.html", **_content(session, use_case, shift), level=2)


def _content(session: Session, use_case: UseCase, shift: HandoverShift) -> dict[str, Any]:
    words, formats, zone = session.words, session.formats, shown.timezone_of(use_case)
    lines = [_line(session, use_case, call, zone) for call in shift.calls]
    waiting = [line for line in lines if line["waits"]]
    overridden = [line for line in lines if line["reason"]]
    counts, more = shift.counts, "+" if shift.counts["more"] else ""
    return {
        "language": session.language,
        "words": words,
        "title": words("board.sheet_title", title=words.of(use_case.presentation.title)),
        "since": formats.moment(shift.since, zone),
        "until": formats.moment(shift.until, zone),
        "now": formats.moment(datetime.now(shift.until.tzinfo), zone),
        "centre": words("terms.all_centres") if session.user.centres is None else session.user.centre,
        "user": session.user.name,
        "figures": [(name, formats.number(counts[name]) + more) for name in shown.COUNTS],
        "exercise": any(call["kind"] == "exercise" for call in shift.calls),
        "listed": formats.number(len(lines)) if counts["calls"] > len(lines) else "",
        "alerts": shift.alerts,
        "notes": shift.notes,
        "tables": [
            ("sheet_overrides", "reason", overridden),
            ("sheet_open", "outcome", waiting),
            ("sheet_all", "outcome", lines),
        ],
    }


def _line(session: Session, use_case: UseCase, call: Call, zone: str) -> dict[str, Any]:
    return {
        "at": session.formats.moment(call["received_at"], zone),
        "request": shown.request_text(session, use_case, call),
        "incident": call["incident_id"],
        "answer": shown.answer_text(session, use_case, call),
        "risk": shown.risk_text(session, call),
        "at_risk": call["risk"] is True,
        "outcome": shown.outcome_text(session, use_case, call),
        "waits": not call["outcome"],
        "reason": call["override"],
    }
