"""Error responses: one JSON shape for every service, and the exception handlers that produce it.

They state field, reason and what is allowed, and never internals or what was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pydantic_core
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.core.errors import ConflictError, NotFoundError, UnavailableError, VigieError
from services.core.headers import REQUEST_ID_HEADER

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
MAX_ERRORS = 50
"""An answer lists no more faults than this."""


class ErrorDetail(BaseModel):
    """One reason why a request was refused."""

    field: str = Field(description="The field of the request, empty where the whole is meant.")
    reason: str
    allowed: str = Field(description="What is expected instead.")
    type: str = Field(description="The reason as one word, for programs.")
    action: str = Field(default="", description="What to do about it, where that is not plain.")


class ErrorBody(BaseModel):
    """The body of every answer from 400 on."""

    errors: list[ErrorDetail]
    request_id: str


class HttpError(Exception):
    """The request is answered with ``status`` and these faults."""

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


def error_response(status: int, faults: list[dict[str, str]], request_id: str, headers: Any = None) -> Response:
    body = pydantic_core.to_json({"errors": faults, "request_id": request_id})
    return Response(body, status, headers=headers, media_type="application/json")


def safe_field_name(part: object) -> str:
    """A field's name as it may stand in an answer: what a caller sent as a name could be anything."""
    text = str(part)
    return text if _FIELD_NAME.fullmatch(text) else "(another name)"


log = structlog.get_logger(__name__)

STATUS_BY_ERROR: Mapping[type[VigieError], int] = {NotFoundError: 404, ConflictError: 409, UnavailableError: 503}
"""Any other ``VigieError`` is the caller's to mend: 400."""
_LOCATIONS = frozenset({"body", "query", "path", "header", "cookie"})


def add_exception_handlers(app: FastAPI) -> None:
    for kind, handler in {
        HttpError: _on_http_error,
        RequestValidationError: _on_invalid,
        VigieError: _on_vigie_error,
        HTTPException: _on_http_exception,
        ClientDisconnect: _on_disconnect,
        OperationalError: _on_database,
        InterfaceError: _on_database,
        PoolTimeoutError: _on_database,
        Exception: _on_unexpected,
    }.items():
        app.add_exception_handler(kind, handler)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HttpError)
    return error_response(error.status, error.faults, request.scope["request_id"], error.headers)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        error_detail(
            item["type"],
            item["msg"].removeprefix("Value error, "),
            field=".".join(safe_field_name(part) for part in _field_path(item["loc"]) if not isinstance(part, int)),
        )
        for item in error.errors()[:MAX_ERRORS]
    ]
    return error_response(422, faults, request.scope["request_id"])


def _field_path(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return loc[1:] if loc and loc[0] in _LOCATIONS else loc


def _on_vigie_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VigieError)
    status = next((code for kind, code in STATUS_BY_ERROR.items() if isinstance(error, kind)), 400)
    faults = [error_detail(_status_code_name(status), error.problem, allowed=error.expected, action=error.action)]
    return error_response(status, faults, request.scope["request_id"])


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    faults = [error_detail(_status_code_name(error.status_code), str(error.detail))]
    return error_response(error.status_code, faults, request.scope["request_id"], error.headers)


def _status_code_name(status: int) -> str:
    """The status as one word: ``not_found``, ``conflict``, ``method_not_allowed``."""
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return "http"


def _on_disconnect(request: Request, _: Exception) -> Response:
    return error_response(400, [error_detail("disconnected", "The caller hung up.")], request.scope["request_id"])


def _on_database(request: Request, error: Exception) -> Response:
    # The message of a database error can hold values: its kind is enough.
    log.error("database does not answer", error=type(error).__name__, request_id=request.scope["request_id"])
    faults = [error_detail("service_unavailable", "The platform's database does not answer.", action="Try again soon.")]
    return error_response(503, faults, request.scope["request_id"], {"Retry-After": "5"})


def _on_unexpected(request: Request, error: Exception) -> Response:
    request_id = request.scope["request_id"]
    log.error("request failed", request_id=request_id, exc_info=error)
    faults = [error_detail("internal", "The service failed on this request; its log has the request id.")]
    # This answer is made outside of what puts the id on the others.
    return error_response(500, faults, request_id, {REQUEST_ID_HEADER: request_id})
