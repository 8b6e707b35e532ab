"""Client of the prediction endpoints: a single call with its explanation, or batches; in exercise mode calls are
marked as exercises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from services.core.headers import CALL_KIND_HEADER, REQUEST_ID_HEADER
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


def predict_batch(session: Session, use_case: str, rows: Sequence[Mapping[str, Any]], repeated: Any) -> dict[str, Any]:
    """Predict up to ``BATCH_SIZE`` rows. The request id follows from ``repeated`` (JSON): the same again is the same
    calls, which the prediction log stores once."""
    digest = sha256(json.dumps(repeated, sort_keys=True, default=str).encode()).hexdigest()
    found: dict[str, Any] = session.client.ask(
        "POST",
        Service.PREDICTION,
        f"/v1/{use_case}/predict/batch",
        body={"rows": [dict(row) for row in rows]},
        headers={**traffic_type_header(session), REQUEST_ID_HEADER: f"file-{digest[:40]}"},
        timeout=LONG_TIMEOUT,
    ).json()
    return found


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
