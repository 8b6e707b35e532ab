"""Every failure has one shape, and none shows internals or what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.core.errors import ConflictError, NotFoundError, UnavailableError, VigieError
from services.core.headers import REQUEST_ID_HEADER
from services.core.web.faults import MOST_FAULTS, RefusedError, fault, name_of, refusal

log = structlog.get_logger(__name__)

STATUSES: Mapping[type[VigieError], int] = {NotFoundError: 404, ConflictError: 409, UnavailableError: 503}
"""Any other ``VigieError`` is the caller's to mend: 400."""
_PLACES = frozenset({"body", "query", "path", "header", "cookie"})


def add_failure_handlers(app: FastAPI) -> None:
    for kind, handler in {
        RefusedError: _on_refused,
        RequestValidationError: _on_invalid,
        VigieError: _on_vigie_error,
        HTTPException: _on_http,
        ClientDisconnect: _on_hang_up,
        OperationalError: _on_database,
        InterfaceError: _on_database,
        PoolTimeoutError: _on_database,
        Exception: _on_failure,
    }.items():
        app.add_exception_handler(kind, handler)


def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return refusal(error.status, error.faults, request.scope["request_id"], error.headers)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        fault(
            item["type"],
            item["msg"].removeprefix("Value error, "),
            field=".".join(name_of(part) for part in _inside(item["loc"]) if not isinstance(part, int)),
        )
        for item in error.errors()[:MOST_FAULTS]
    ]
    return refusal(422, faults, request.scope["request_id"])


def _inside(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return loc[1:] if loc and loc[0] in _PLACES else loc


def _on_vigie_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VigieError)
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 400)
    faults = [fault(_word(status), error.problem, allowed=error.expected, action=error.action)]
    return refusal(status, faults, request.scope["request_id"])


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    faults = [fault(_word(error.status_code), str(error.detail))]
    return refusal(error.status_code, faults, request.scope["request_id"], error.headers)


def _word(status: int) -> str:
    """The status as one word: ``not_found``, ``conflict``, ``method_not_allowed``."""
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return "http"


def _on_hang_up(request: Request, _: Exception) -> Response:
    return refusal(400, [fault("disconnected", "The caller hung up.")], request.scope["request_id"])


def _on_database(request: Request, error: Exception) -> Response:
    # The message of a database error can hold values: its kind is enough.
    log.error("database does not answer", error=type(error).__name__, request_id=request.scope["request_id"])
    faults = [fault("service_unavailable", "The platform's database does not answer.", action="Try again soon.")]
    return refusal(503, faults, request.scope["request_id"], {"Retry-After": "5"})


def _on_failure(request: Request, error: Exception) -> Response:
    request_id = request.scope["request_id"]
    log.error("request failed", request_id=request_id, exc_info=error)
    faults = [fault("internal", "The service failed on this request; its log has the request id.")]
    # This answer is made outside of what puts the id on the others.
    return refusal(500, faults, request_id, {REQUEST_ID_HEADER: request_id})
