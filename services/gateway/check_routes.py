"""``/auth/check``: the edge asks it before it lets anybody on to the pages of Airflow, MLflow and the others."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.core.access.refusals import Reason, Refusal
from services.core.access.roles import Role
from services.core.headers import API_KEY_HEADER, ROLE_HEADER, USER_HEADER
from services.core.web.access_log import CALLER
from services.core.web.authentication import answer_to
from services.core.web.credentials import SAFE_METHODS, credential_of, from_own_origin, session_of
from services.core.web.faults import refused
from services.core.web.roles import REQUIRED_ROLE
from services.gateway.gateway import Gateway
from services.gateway.pages import local_path


def check_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["the edge"])

    @router.get(
        "/auth/check",
        openapi_extra={REQUIRED_ROLE: str(Role.VIEWER)},
        summary="Whether a browser may see a page",
        status_code=204,
        responses={303: {"description": "The browser has to sign in first."}},
    )
    def check(
        request: Request, role: Annotated[Role, Query(description="The role that the page requires.")] = Role.VIEWER
    ) -> Response:
        """For the edge's `forward_auth`, which sends `X-Forwarded-Uri` and `X-Forwarded-Method`. The session cookie
        counts first, then `X-API-Key`: `Authorization` may be meant for the page behind. 204 carries
        `X-Vigie-User` and `X-Vigie-Role`."""
        headers = request.headers
        credential = session_of(headers.raw)
        shown = credential.text or headers.get(API_KEY_HEADER) or credential_of(headers.raw).text
        found = gateway.access.verify(shown)
        method = headers.get("x-forwarded-method", "GET").upper()
        if isinstance(found, Refusal):
            if method == "GET" and "text/html" in headers.get("accept", ""):
                page = local_path(headers.get("x-forwarded-uri", "/"))
                return RedirectResponse(f"/auth/session/continue?next={quote(page, safe='/')}", 303)
            raise answer_to(found)
        if credential.text is not None and method not in SAFE_METHODS and not from_own_origin(headers.raw):
            raise answer_to(Refusal(Reason.CROSS_SITE))
        if not found.role.covers(role):
            raise refused(403, "role", f"This page needs the role {role}; yours is {found.role}.")
        request.scope[CALLER] = found
        return Response(
            status_code=204,
            headers={
                USER_HEADER: found.name.encode("ascii", "replace").decode(),
                ROLE_HEADER: str(found.role),
                "Cache-Control": "no-store",
            },
        )

    return router
