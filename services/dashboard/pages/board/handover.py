"""The shift's handover sheet as a printable HTML page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from services.core.contract.use_case import UseCase
from services.dashboard.pages.board import calls as shown
from services.dashboard.pages.board.calls import Call
from services.dashboard.session import Session

_STYLE = """
body{font:13px/1.4 system-ui,sans-serif;color:#14202b;margin:1.2cm;max-width:27cm}
h1{font-size:20px;margin:0}h2{font-size:15px;margin:14px 0 4px;border-bottom:2px solid #14202b}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:3px 6px;border-bottom:1px solid #999;vertical-align:top}
tr{break-inside:avoid}.figures{display:flex;gap:24px;margin:8px 0}.figures b{font-size:20px;display:block}
.risk{font-weight:700}.notes{white-space:pre-wrap;border:1px solid #999;min-height:2.5cm;padding:6px}
.exercise{border:3px dashed #8a3a68;padding:6px;font-weight:700}
@page{margin:1cm}
"""


@dataclass(frozen=True, slots=True)
class HandoverShift:
    since: datetime
    until: datetime
    calls: Sequence[Call]
    alerts: Sequence[dict[str, Any]]
    notes: str
    cut: bool = False
    """Whether there were more calls than are listed."""


def handover_page(session: Session, use_case: UseCase, shift: HandoverShift) -> str:
    """HTML of the whole page."""
    words = session.words
    title = words("board.sheet_title", title=words.of(use_case.title))
    return (
        f"<!doctype html><html lang='{session.language}'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body>{handover_body(session, use_case, shift, level=1)}</body></html>"
    )


def handover_body(session: Session, use_case: UseCase, shift: HandoverShift, *, level: int = 2) -> str:
    """HTML of what is on it."""
    words, formats, zone = session.words, session.formats, shown.timezone_of(use_case)
    calls = shift.calls
    waiting = [call for call in calls if not call["outcome"]]
    overridden = [call for call in calls if call["override"]]
    risky = sum(call["risk"] is True for call in calls)
    centre = words("terms.all_centres") if session.user.centres is None else session.user.centre
    since, until = (formats.moment(moment, zone) for moment in (shift.since, shift.until))
    made = words("board.sheet_made", at=formats.moment(datetime.now(shift.until.tzinfo), zone), name=session.user.name)
    figures = [
        (words("board.calls"), len(calls)),
        (words("board.at_risk"), risky),
        (words("board.without_outcome"), len(waiting)),
        (words("board.overridden"), len(overridden)),
    ]
    parts = [
        f"<h{level}>{escape(words('board.sheet_title', title=words.of(use_case.title)))}</h{level}>",
        f"<div>{escape(words('board.sheet_span', since=since, until=until, centre=centre))} · {escape(made)}</div>",
        "<div class='figures'>"
        + "".join(f"<div><b>{formats.number(count)}</b>{escape(name)}</div>" for name, count in figures)
        + "</div>",
    ]
    if any(call["kind"] == "exercise" for call in calls):
        parts.append(f"<p class='exercise'>{escape(words('shell.exercise_on'))}</p>")
    if shift.cut:
        parts.append(f"<p>{escape(words('board.sheet_cut', count=formats.number(len(calls))))}</p>")
    head = level + 1
    parts.append(f"<h{head}>{escape(words('board.sheet_alerts'))}</h{head}>")
    summaries = "".join(f"<li>{escape(words.pair(alert['summary']))}</li>" for alert in shift.alerts)
    parts.append(f"<ul>{summaries}</ul>" if summaries else f"<p>{escape(words('board.sheet_no_alerts'))}</p>")
    parts.append(
        f"<h{head}>{escape(words('board.sheet_notes'))}</h{head}><div class='notes'>{escape(shift.notes)}</div>"
    )
    for name, listed in (("sheet_overrides", overridden), ("sheet_open", waiting), ("sheet_all", calls)):
        if listed:
            parts.append(f"<h{head}>{escape(words(f'board.{name}'))} ({len(listed)})</h{head}>")
            parts.append(_table(session, use_case, listed, zone, reasons=name == "sheet_overrides"))
    return "".join(parts)


def _table(session: Session, use_case: UseCase, calls: Sequence[Call], zone: str, *, reasons: bool) -> str:
    words = session.words
    last = words("board.reason") if reasons else words("board.outcome")
    names = [words("board.time"), words("board.call"), words("board.answered"), words("board.risk"), last]
    rows = []
    for call in calls:
        risk = escape(shown.risk_text(session, call))
        end = call["override"] if reasons else shown.outcome_text(session, use_case, call)
        rows.append(
            f"<tr><td>{escape(session.formats.moment(call['received_at'], zone))}</td>"
            f"<td>{escape(shown.request_text(session, use_case, call))}"
            f"{' · ' + escape(call['incident_id']) if call['incident_id'] else ''}</td>"
            f"<td>{escape(shown.answer_text(session, use_case, call))}</td>"
            f"<td{' class=risk' if call['risk'] else ''}>{risk}</td><td>{escape(end or '–')}</td></tr>"
        )
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    return f"<table class='v-table'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
