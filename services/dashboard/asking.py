"""Sending calls to prediction: one, with its explanation, or many; marked as an exercise where the mode is on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.core.headers import CALL_KIND_HEADER
from services.dashboard.client import LONG_SECONDS, Service, Trouble
from services.dashboard.session import Session

BATCH = 250
"""Calls of one request, so that progress is seen."""


def predict(session: Session, use_case: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = session.client.post(
        Service.PREDICTION, f"/v1/{use_case}/predict", dict(payload), headers=kind_header(session)
    )
    return found


def explain(session: Session, use_case: str, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """None where there is no explanation: the answer stands without it."""
    try:
        found: dict[str, Any] = session.client.post(
            Service.PREDICTION, f"/v1/{use_case}/explain", dict(payload), headers=kind_header(session)
        )
    except Trouble:
        return None
    return found


def batches(session: Session, use_case: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index of the first row, the service's answer) for parts of ``rows``."""
    for start in range(0, len(rows), BATCH):
        answer = session.client.ask(
            "POST",
            Service.PREDICTION,
            f"/v1/{use_case}/predict/batch",
            body={"rows": [dict(row) for row in rows[start : start + BATCH]]},
            headers=kind_header(session),
            timeout=LONG_SECONDS,
        )
        yield start, answer.json()


def kind_header(session: Session) -> dict[str, str]:
    return {CALL_KIND_HEADER: "exercise"} if session.exercise else {}
