"""Failures of ``POST /auth/token``: RFC 6749's words beside the shape that all failures have."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import JSONResponse

from services.core.web.faults import fault

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
WRONG = "The name or password is not right."
INVALID_REQUEST, INVALID_GRANT, INVALID_CLIENT = "invalid_request", "invalid_grant", "invalid_client"
UNSUPPORTED = "unsupported_grant_type"


class OAuthError(Exception):
    def __init__(self, status: int, error: str, reason: str, *, wait_seconds: int = 0) -> None:
        super().__init__(error)
        self.status, self.error, self.reason, self.wait_seconds = status, error, reason, wait_seconds

    def answer(self, request: Request) -> JSONResponse:
        headers = dict(NO_STORE)
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="vigie"'
        if self.wait_seconds:
            headers["Retry-After"] = str(self.wait_seconds)
        content = {
            "error": self.error,
            "error_description": self.reason,
            "errors": [fault(self.error, self.reason)],
            "request_id": request.scope["request_id"],
        }
        return JSONResponse(content, self.status, headers)


def too_many(wait_seconds: int) -> str:
    return f"Too many attempts; try again in {wait_seconds} seconds."
