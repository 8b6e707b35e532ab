"""Records of the write-ahead log: one line of JSON each, decoded only when they are stored in the database.

A line is assembled from existing bytes (the request as received, the response as sent), so that recording a call
costs next to nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json, to_json

from services.core.headers import LIVE, TRAFFIC_TYPES, TrafficType, label_traffic_type

RECORD_VERSION = 1
PSEUDONYM_PREFIX = "pseudonym:"
"""Prefix of a pseudonymised text."""
DIGEST_PREFIX = "sha256:"
"""Prefix of the digest that replaces an image; its bytes are never stored."""
_NAMESPACE = uuid.UUID("6f0a9c52-5f0e-5c0b-9f57-0d8f5b1c2a11")
_NEWLINES = bytes.maketrans(b"\r\n", b"  ")

_COLUMN_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "use_case", "centre", "caller_kind", "caller_id", "model_version", "source"), str),
    **dict.fromkeys(("request_id", "incident_id", "prediction_id"), (str, type(None))),
    **dict.fromkeys(("simulated", "pseudonymised"), bool),
    **dict.fromkeys(("request", "answer", "decisions", "labels"), dict),
    "row_index": (int, type(None)),
    "latency_us": int,
    "received_at": datetime,
    "happened_at": (datetime, type(None)),
    "risk": (bool, type(None)),
    "warnings": list,
    "kind": str,
    **dict.fromkeys(("watched", "predictions"), (dict, type(None))),
    "override": (str, type(None)),
}

RecordKind = Literal["prediction", "outcome"]


class AnsweredRow(NamedTuple):
    """One answered row of a batch."""

    position: int
    request: dict[str, Any]
    incident: str | None
    decisions: bytes
    answer: bytes
    """JSON object of index, answer and warnings."""
    watched: bytes = b""
    """JSON object of the drift columns, if the use case derives any."""


class CallOrigin(NamedTuple):
    """Who sent a call: the centre, and the kind and id of the principal."""

    centre: str
    kind: str
    id: str


class Record(NamedTuple):
    """A decoded line: a row of ``predictions`` or ``outcomes``."""

    kind: RecordKind
    row: dict[str, Any]
    line: bytes


def prediction_id(
    centre: str, use_case: str, request_id: str, body: bytes, row: int | None = None, *, kind: str = LIVE
) -> str:
    """Deterministic id: the same call has the same id, whichever replica answers it and however often it is delivered.
    Computed when a record is read, because hashing would delay the call."""
    name = f"{centre}|{use_case}|{request_id}|{'' if row is None else row}|{sha256(body).hexdigest()}"
    return str(uuid.uuid5(_NAMESPACE, name + _traffic_suffix(kind)))


def outcome_id(centre: str, use_case: str, request_id: str, index: int, item: bytes, *, kind: str = LIVE) -> str:
    name = f"{centre}|{use_case}|{request_id}|outcome {index}|{sha256(item).hexdigest()}"
    return str(uuid.uuid5(_NAMESPACE, name + _traffic_suffix(kind)))


def _traffic_suffix(kind: str) -> str:
    """Suffix that separates an exercise from the live call it repeats; ids of live calls have none."""
    return "" if kind == LIVE else f"|{kind}"


def without_newlines(body: bytes) -> bytes:
    """JSON without line breaks, which are never inside strings and have no meaning between tokens."""
    return body.translate(_NEWLINES) if b"\n" in body or b"\r" in body else body


def encode_prediction(
    sender: CallOrigin,
    *,
    incident: str | None,
    own_field: bool,
    row: int | None,
    at: float,
    latency_us: int,
    pseudonymised: bool,
    decisions: bytes,
    request: bytes,
    response: bytes,
    watched: bytes = b"",
) -> bytes:
    """Encode one prediction as a line.

    Args:
        own_field: whether the use case itself has a request field ``incident_id``.
        at: arrival of the request, Unix seconds.
        decisions: JSON object, target -> decision.
        request: the body as received, one JSON object.
        response: the response, one JSON object. It contains the call's traffic type.
        watched: JSON object of the drift columns, if the use case declares any.
    """
    head = {
        "v": RECORD_VERSION,
        "k": "prediction",
        "by": sender,
        "incident": incident,
        "own_field": own_field,
        "row": row,
        "at": at,
        "us": latency_us,
        "pseudonymised": pseudonymised,
    }
    parts = (
        to_json(head)[:-1],
        b',"decisions":',
        decisions,
        b',"request":',
        without_newlines(request),
        b',"response":',
        response,
        b',"watched":' + watched + b"}\n" if watched else b"}\n",
    )
    return b"".join(parts)


def encode_outcome(
    id: str, sender: CallOrigin, use_case: str, at: float, item: Mapping[str, Any], *, kind: TrafficType = LIVE
) -> bytes:
    """Encode one outcome as a line. ``item`` has the reference, ``happened_at``, ``simulated``, ``labels`` and
    optionally ``override``."""
    head = {
        "v": RECORD_VERSION,
        "k": "outcome",
        "id": id,
        "by": sender,
        "use_case": use_case,
        "at": at,
        "kind": kind,
        **item,
    }
    return to_json(head) + b"\n"


def decode_record(line: bytes) -> Record:
    """Decode a line.

    Raises:
        ValueError: the line is not a valid record; the message says why.
    """
    try:
        found = from_json(line)
    except ValueError:
        try:
            found = json.loads(line)
        except RecursionError:
            raise ValueError("nested too deeply") from None
    if b"\\u" in line:
        found = _replace_unstorable(found)
    try:
        if found["v"] != RECORD_VERSION:
            raise ValueError(f"records of version {found['v']!r} are not known here")
        kind = found["k"]
        if kind == "prediction":
            return Record(kind, _check_types(_prediction_row(found)), line)
        if kind == "outcome":
            return Record(kind, _check_types(_outcome_row(found)), line)
    except (KeyError, TypeError, IndexError, OverflowError, OSError) as error:
        raise ValueError(f"not a whole record: {type(error).__name__} {error}") from None
    raise ValueError(f"records of kind {kind!r} are not known here")


def _check_types(row: dict[str, Any]) -> dict[str, Any]:
    """Check column types here, because drivers report a wrong type like a wrong statement."""
    for name, value in row.items():
        expected = _COLUMN_TYPES[name]
        if not isinstance(value, expected):
            raise ValueError(f"{name} is of type {type(value).__name__}")
    if row["kind"] not in TRAFFIC_TYPES:
        raise ValueError(f"calls of kind {row['kind']!r} are not known here")
    return row


def _prediction_row(found: dict[str, Any]) -> dict[str, Any]:
    request, response, decisions = found["request"], found["response"], found["decisions"]
    use_case, request_id, body = response["use_case"], response["request_id"], to_json(request)
    kind = response.get("kind", LIVE)  # absent in records of older versions
    if not found["own_field"]:
        request.pop("incident_id", None)
    return {
        "id": prediction_id(found["by"][0], use_case, request_id, body, found["row"], kind=kind),
        "use_case": use_case,
        **_origin_columns(found),
        "request_id": request_id,
        "row_index": found["row"],
        "incident_id": found["incident"],
        "latency_us": found["us"],
        "model_version": response["model_version"],
        "source": response["source"],
        "kind": kind,
        "simulated": response["simulated"],
        "risk": any(decisions.values()) if decisions else None,
        "pseudonymised": found["pseudonymised"],
        "request": request,
        "answer": response["answer"] or {},  # null where withdrawn advice has no figures
        "predictions": response.get("predictions"),  # absent in records of 0.1.0
        "decisions": decisions,
        "warnings": response["warnings"],
        "watched": found.get("watched"),
    }


def _outcome_row(found: dict[str, Any]) -> dict[str, Any]:
    happened = found["happened_at"]
    return {
        "id": found["id"],
        "use_case": found["use_case"],
        **_origin_columns(found),
        "prediction_id": found["prediction_id"],
        "request_id": found["request_id"],
        "row_index": found["row_index"],
        "incident_id": found["incident_id"],
        "happened_at": None if happened is None else datetime.fromisoformat(happened),
        "kind": label_traffic_type(found.get("kind", LIVE), found["simulated"]),
        "simulated": found["simulated"],
        "labels": found["labels"],
        "override": found.get("override"),
    }


def _origin_columns(found: dict[str, Any]) -> dict[str, Any]:
    centre, kind, caller = found["by"]
    return {
        "centre": centre,
        "caller_kind": kind,
        "caller_id": caller[:128],
        "received_at": datetime.fromtimestamp(found["at"], UTC),
    }


def _replace_unstorable(value: Any) -> Any:
    """Remove the characters that databases refuse: NUL and unpaired surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_replace_unstorable(key): _replace_unstorable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace_unstorable(item) for item in value]
    return value
