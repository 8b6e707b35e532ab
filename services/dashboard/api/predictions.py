"""Client of the prediction endpoints: a single call with its explanation, or batches; in exercise mode calls are
marked as exercises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.core.headers import CALL_KIND_HEADER
from services.dashboard.api.client import LONG_TIMEOUT, ApiError, Service
from services.dashboard.session import Session

BATCH_SIZE = 250
"""Calls per request; small enough to show progress."""


def predict(session: Session, use_case: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = session.client.post(
        Service.PREDICTION, f"/v1/{use_case}/predict", dict(payload), headers=traffic_type_header(session)
    )
    return found


def explain(session: Session, use_case: str, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Explanation of one call; None if unavailable: the answer is shown without it."""
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
    """Yield (index of the first row, response) for consecutive batches of ``rows``."""
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
    """Display name of the predicted class."""
    return str(predicted["names"].get(label, label))


def flatten(node: Any, above: str = "") -> dict[str, Any]:
    """Flatten nested JSON: ``{"a": {"b": 1}}`` -> ``{"a.b": 1}``; lists stay one value."""
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
