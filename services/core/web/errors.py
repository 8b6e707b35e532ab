"""Error responses: one JSON shape for every service.

Errors state field, reason and what is allowed, and never contain internals or what was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pydantic_core
from pydantic import BaseModel, Field
from starlette.responses import Response

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
MAX_ERRORS = 50
"""Maximum number of errors in one response."""


class ErrorDetail(BaseModel):
    """One reason why a request was refused."""

    field: str = Field(description="The field of the request, empty where the whole is meant.")
    reason: str
    allowed: str = Field(description="What is expected instead.")
    type: str = Field(description="The reason as one word, for programs.")
    action: str = Field(default="", description="What to do about it, where that is not plain.")


class ErrorBody(BaseModel):
    """Body of every response with status 400 or higher."""

    errors: list[ErrorDetail]
    request_id: str


class HttpError(Exception):
    """Raised to answer a request with ``status`` and these errors."""

    def __init__(self, status: int, faults: list[dict[str, str]], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {faults[0]['type'] if faults else ''}")
        self.status = status
        self.faults = faults
        self.headers = headers


def error_detail(type: str, reason: str, *, field: str = "", allowed: str = "", action: str = "") -> dict[str, str]:
    made = {"field": field, "reason": reason, "allowed": allowed, "type": type}
    return {**made, "action": action} if action else made


def http_error(
    status: int,
    type: str,
    reason: str,
    *,
    field: str = "",
    allowed: str = "",
    action: str = "",
    headers: Mapping[str, str] | None = None,
) -> HttpError:
    return HttpError(status, [error_detail(type, reason, field=field, allowed=allowed, action=action)], headers)


def content_encoding_error(value: bytes) -> HttpError | None:
    """The error for a body that is compressed, by its ``Content-Encoding``: it is not unpacked here."""
    if value.strip().lower() in (b"", b"identity"):
        return None
    return http_error(
        415,
        "content_encoding",
        "The body is compressed.",
        field="Content-Encoding",
        allowed="no Content-Encoding, or identity",
        headers={"Accept-Encoding": "identity"},
    )


def error_response(status: int, faults: list[dict[str, str]], request_id: str, headers: Any = None) -> Response:
    body = pydantic_core.to_json({"errors": faults, "request_id": request_id})
    return Response(body, status, headers=headers, media_type="application/json")


def safe_field_name(part: object) -> str:
    """A field's name as it may appear in a response: a caller can send anything as a name."""
    text = str(part)
    return text if _FIELD_NAME.fullmatch(text) else "(another name)"
