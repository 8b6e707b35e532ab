"""Exception handlers of every service: one JSON shape, without internals and without what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.core.contract.fields import MOMENT_RULE
from services.core.errors import ConflictError, NotFoundError, UnavailableError, UnexpectedAnswerError, VigieError
from services.core.headers import REQUEST_ID_HEADER
from services.core.web.errors import MAX_ERRORS, HttpError, error_detail, error_response, safe_field_name

log = structlog.get_logger(__name__)

STATUS_BY_ERROR: Mapping[type[VigieError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    UnexpectedAnswerError: 502,
    UnavailableError: 503,
}
"""HTTP status by exception; any other ``VigieError`` is a client error: 400."""
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_BOUNDS |= {"min_length": "length at least", "max_length": "length at most"}
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
            allowed=_allowed(item),
        )
        for item in error.errors()[:MAX_ERRORS]
    ]
    return error_response(422, faults, request.scope["request_id"])


def _allowed(item: Mapping[str, Any]) -> str:
    """What is expected, from pydantic's own bounds."""
    context = item.get("ctx", {})
    if MOMENT_RULE in item["msg"] or item["type"].startswith(("datetime", "timezone")):
        return MOMENT_RULE
    if expected := context.get("expected"):
        return f"one of {expected}"
    return ", ".join(f"{_BOUNDS[name]} {value}" for name, value in context.items() if name in _BOUNDS)


def _field_path(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return loc[1:] if loc and loc[0] in _LOCATIONS else loc


def _on_vigie_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VigieError)
    status = next((code for kind, code in STATUS_BY_ERROR.items() if isinstance(error, kind)), 400)
    faults = [error_detail(_status_code_name(status), error.problem, allowed=error.expected, action=error.action)]
    return error_response(status, faults, request.scope["request_id"])


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    allowed = allowed_instead(request, error)
    faults = [error_detail(_status_code_name(error.status_code), str(error.detail), allowed=allowed)]
    return error_response(error.status_code, faults, request.scope["request_id"], error.headers)


def allowed_instead(request: Request, error: HTTPException) -> str:
    """What is expected in place of an unknown path or method."""
    if error.status_code == 405:
        return (error.headers or {}).get("Allow", "")
    return f"a path that {request.app.openapi_url} lists" if error.status_code == 404 else ""


def _status_code_name(status: int) -> str:
    """The status as an identifier: ``not_found``, ``conflict``, ``method_not_allowed``."""
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return "http"


def _on_disconnect(request: Request, _: Exception) -> Response:
    return error_response(400, [error_detail("disconnected", "The caller hung up.")], request.scope["request_id"])


def _on_database(request: Request, error: Exception) -> Response:
    # The message of a database error can contain values: log its type only.
    log.error("database does not answer", error=type(error).__name__, request_id=request.scope["request_id"])
    faults = [error_detail("service_unavailable", "The platform's database does not answer.", action="Try again soon.")]
    return error_response(503, faults, request.scope["request_id"], {"Retry-After": "5"})


def _on_unexpected(request: Request, error: Exception) -> Response:
    request_id = request.scope["request_id"]
    log.error("request failed", request_id=request_id, exc_info=error)
    faults = [error_detail("internal", "The service failed on this request; its log has the request id.")]
    # This response bypasses the middleware that adds the id to the others.
    return error_response(500, faults, request_id, {REQUEST_ID_HEADER: request_id})
