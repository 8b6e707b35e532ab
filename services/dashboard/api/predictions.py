"""Client of the prediction endpoints: one call with its explanation, or many; marked as an exercise where exercise
mode is on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.core.headers import CALL_KIND_HEADER
from services.dashboard.api.client import LONG_TIMEOUT, ApiError, Service
from services.dashboard.session import Session

BATCH_SIZE = 250
"""Calls of one request, so that progress is seen."""


def predict(session: Session, use_case: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = session.client.post(
        Service.PREDICTION, f"/v1/{use_case}/predict", dict(payload), headers=traffic_type_header(session)
    )
    return found


def explain(session: Session, use_case: str, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """None where there is no explanation: the answer stands without it."""
    try:
        found: dict[str, Any] = session.client.post(
            Service.PREDICTION, f"/v1/{use_case}/explain", dict(payload), headers=traffic_type_header(session)
        )
    except ApiError:
        return None
    return found


def predict_batches(
    session: Session, use_case: str, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index of the first row, the service's answer) for parts of ``rows``."""
    for start in range(0, len(rows), BATCH_SIZE):
        answer = session.client.ask(
            "POST",
            Service.PREDICTION,
            f"/v1/{use_case}/predict/batch",
            body={"rows": [dict(row) for row in rows[start : start + BATCH_SIZE]]},
            headers=traffic_type_header(session),
            timeout=LONG_TIMEOUT,
        )
        yield start, answer.json()


def traffic_type_header(session: Session) -> dict[str, str]:
    return {CALL_KIND_HEADER: "exercise"} if session.exercise else {}


def class_name(predicted: Mapping[str, Any], label: str) -> str:
    """What people call a class."""
    return str(predicted["names"].get(label, label))


def flatten(node: Any, above: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``; lists stay in one cell."""
    found: dict[str, Any] = {}
    for name, value in node.items():
        path = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping):
            found |= flatten(value, path)
        elif isinstance(value, list):
            found[path] = "; ".join(map(str, value))
        else:
            found[path] = value
    return found
