"""Routes of the sign-in at an identity provider: ``/auth/methods`` and ``/auth/oidc``."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Annotated
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.core.errors import NotFoundError, VigieError
from services.core.web.authentication import PUBLIC
from services.gateway.audit.service import RequestOrigin, request_origin_of
from services.gateway.auth.login import LoginSucceeded
from services.gateway.auth.oidc import FLOW_SECONDS, ExternalIdentity, OidcLogin
from services.gateway.auth.passwords import generate_password
from services.gateway.auth.schemas import SignInMethods
from services.gateway.auth.session_routes import set_cookies
from services.gateway.container import GatewayContainer
from services.gateway.deps import page_url, safe_redirect_path

FLOW_COOKIE, FLOW_PATH = "vigie_oidc", "/auth/oidc"
CALLBACK = f"{FLOW_PATH}/callback"


def oidc_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["signing in"])

    def provider() -> OidcLogin:
        if gateway.oidc is None:
            raise NotFoundError(
                "There is no identity provider here.", action="Set VIGIE_OIDC_ISSUER and VIGIE_OIDC_CLIENT_ID."
            )
        return gateway.oidc

    @router.get("/auth/methods", openapi_extra=dict(PUBLIC), summary="How people sign in here")
    def list_sign_in_methods() -> SignInMethods:
        return SignInMethods(oidc=gateway.oidc is not None)

    @router.get(
        f"{FLOW_PATH}/login",
        openapi_extra=dict(PUBLIC),
        summary="Sign in at the identity provider",
        response_class=RedirectResponse,
        status_code=303,
    )
    def start_provider_login(request: Request, next: Annotated[str, Query(max_length=2_000)] = "/") -> Response:
        """Redirects to the provider (OpenID Connect, code flow with PKCE)."""
        begun = provider().begin(_callback_url(request), safe_redirect_path(next))
        response = RedirectResponse(begun.url, 303)
        # Lax: the provider's redirect comes from another site.
        response.set_cookie(
            FLOW_COOKIE,
            begun.cookie,
            max_age=FLOW_SECONDS,
            path=FLOW_PATH,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    @router.get(CALLBACK, openapi_extra=dict(PUBLIC), summary="Where the provider sends the browser back")
    async def complete_provider_login(request: Request) -> Response:
        """Verifies the provider's answer, sets the session's cookies and goes on to the page that was asked for."""
        origin = request_origin_of(request)
        cookie, query = request.cookies.get(FLOW_COOKIE, ""), request.url.query
        try:
            identity = await to_thread.run_sync(provider().finish, _callback_url(request), cookie, query)
            signed_in = await to_thread.run_sync(_sign_in, gateway, provider(), identity, origin)
        except VigieError as error:
            gateway.counters.logins.labels("oidc", "failed").inc()
            await to_thread.run_sync(_record_refusal, gateway, origin, error.problem)
            raise
        response = _go_on(page_url(request, gateway.settings, safe_redirect_path(identity.next_path)))
        set_cookies(request, response, signed_in, gateway.sign_in.lifetimes)
        response.delete_cookie(FLOW_COOKIE, path=FLOW_PATH)
        return response

    return router


def _callback_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{CALLBACK}"


def _sign_in(
    gateway: GatewayContainer, provider: OidcLogin, identity: ExternalIdentity, origin: RequestOrigin
) -> LoginSucceeded:
    password_hash = gateway.passwords.hash(generate_password())
    with gateway.transaction() as session:
        user = provider.sign_in(session, identity, password_hash)
        caller, token, family = gateway.sign_in.start_external_session(session, user, origin, datetime.now(UTC))
    return gateway.sign_in.issue(caller, token, sid=family)


def _record_refusal(gateway: GatewayContainer, origin: RequestOrigin, reason: str) -> None:
    gateway.record(origin, "login.failed", by=None, outcome="refused", grant="oidc", reason=reason[:300])


def _go_on(url: str) -> Response:
    """A page that goes on by itself: a redirect would still count as coming from the provider's site, and browsers do
    not send the session's cookies then."""
    target = escape(quote(url, safe=":/?&=%#~+@,;"), quote=True)
    head = f'<meta http-equiv="refresh" content="0;url={target}"><title>Vigie</title>'
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}</head>'
        f'<body><a href="{target}">Vigie</a></body></html>'
    )
