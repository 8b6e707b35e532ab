"""Browser login: session cookies and their renewal, and the dashboard's one-time entry code."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import Annotated
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from services.core.auth.principal import AuthError, AuthErrorCode
from services.core.web.authentication import (
    CSRF_COOKIE,
    PUBLIC,
    SERVICE,
    SESSION_COOKIE,
    auth_http_error,
    csrf_word,
    extract_credential,
    is_same_origin,
    passes_csrf_check,
    sign_in_of,
)
from services.core.web.errors import http_error
from services.core.web.service_auth import admits
from services.gateway.audit.service import RequestOrigin, request_origin_of
from services.gateway.auth.login import LoginFailed, LoginSucceeded
from services.gateway.auth.schemas import (
    Credentials,
    CurrentUser,
    EntryCode,
    LoginRequest,
    SessionTokenRequest,
    SessionTokenResponse,
)
from services.gateway.auth.session_store import ENTRY_CODE_PREFIX, ENTRY_CODE_SECONDS, TokenLifetimes
from services.gateway.auth.token_routes import TokenRevoker, refused_login
from services.gateway.container import GatewayContainer
from services.gateway.deps import page_url, safe_redirect_path

REFRESH_COOKIE = "vigie_refresh"
REFRESH_PATH = "/auth"
RENEWAL_GRACE = timedelta(seconds=10)
"""Two pages of one browser may renew with the same cookie within this time."""


def set_cookies(request: Request, response: Response, signed_in: LoginSucceeded, lives: TokenLifetimes) -> None:
    """Set the session cookies; ``Secure`` if the browser uses HTTPS, as reported by the edge."""
    secure = request.url.scheme == "https"
    longest = int(lives.idle.total_seconds())
    response.set_cookie(
        SESSION_COOKIE,
        signed_in.access_token,
        max_age=longest,  # the token in it expires sooner: it is renewed while the session lasts
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    if signed_in.refresh_token is not None:
        response.set_cookie(
            REFRESH_COOKIE,
            signed_in.refresh_token,
            max_age=longest,
            path=REFRESH_PATH,
            secure=secure,
            httponly=True,
            samesite="strict",
        )
    # One CSRF word for the whole session: a page opened before a renewal keeps working. Never what the browser has.
    csrf = csrf_word(sign_in_of(signed_in.access_token) or secrets.token_urlsafe(32))
    response.set_cookie(CSRF_COOKIE, csrf, max_age=longest, path="/", secure=secure, samesite="strict")
    response.headers["Cache-Control"] = "no-store"


def clear_cookies(response: Response) -> None:
    """Delete the session cookies."""
    for name, path in ((SESSION_COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH), (CSRF_COOKIE, "/")):
        response.delete_cookie(name, path=path, samesite="strict")
    response.headers["Cache-Control"] = "no-store"


_WAIT_FOR_OTHER_PAGE_SECONDS = 0.5


def session_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["signing in"])
    revoker = TokenRevoker(gateway)

    def signed_in_answer(request: Request, found: LoginSucceeded) -> Response:
        body = CurrentUser.of(found.caller)
        response = JSONResponse(body.model_dump(mode="json"))
        set_cookies(request, response, found, gateway.sign_in.lifetimes)
        return response

    async def renewed(request: Request) -> LoginSucceeded | LoginFailed:
        text = request.cookies.get(REFRESH_COOKIE, "")
        if not text:
            return LoginFailed()
        return await to_thread.run_sync(
            gateway.sign_in.with_refresh_token, text, request_origin_of(request), RENEWAL_GRACE
        )

    @router.post(
        "/auth/session", openapi_extra=dict(PUBLIC), summary="Sign in from a browser", response_model=CurrentUser
    )
    async def sign_in(request: Request, given: Credentials) -> Response:
        """Sets `vigie_session` (HttpOnly), `vigie_refresh` (HttpOnly, path /auth only) and `vigie_csrf`, which scripts
        read and repeat in the header `X-Vigie-CSRF` of every request but GET."""
        if not is_same_origin(request.headers.raw):
            raise auth_http_error(AuthError(AuthErrorCode.CROSS_SITE))
        origin = request_origin_of(request)
        found = await gateway.sign_in.with_password(given.username, given.password, origin, code=given.code)
        if isinstance(found, LoginSucceeded):
            return signed_in_answer(request, found)
        raise refused_login(found)

    @router.post(
        "/auth/session/refresh",
        openapi_extra=dict(PUBLIC),
        summary="Renew a browser's sign-in",
        response_model=CurrentUser,
    )
    async def renew_session(request: Request) -> Response:
        """Requires the cookie `vigie_refresh` and the header `X-Vigie-CSRF`. 409: another page of this browser has just
        renewed, and the new cookies are set."""
        if request.cookies.get(REFRESH_COOKIE) and not passes_csrf_check(request.headers.raw):
            raise auth_http_error(AuthError(AuthErrorCode.CROSS_SITE))
        found = await renewed(request)
        if isinstance(found, LoginSucceeded):
            return signed_in_answer(request, found)
        if found.just_renewed:
            raise http_error(409, "conflict", "Another page of this browser has just renewed the sign-in.")
        raise http_error(401, "credentials", "The sign-in has ended; sign in again.")

    @router.get(
        "/auth/session/continue",
        openapi_extra=dict(PUBLIC),
        summary="Renew a browser's sign-in and go on to a page",
        response_class=RedirectResponse,
        status_code=303,
    )
    async def continue_session(request: Request, next: Annotated[str, Query(max_length=2_000)] = "/") -> Response:
        """Target of the edge for a browser with an expired session token: redirects to the page if the session can be
        renewed, else to the login page."""
        target = safe_redirect_path(next)
        return await _redirect(gateway, request, await renewed(request), target)

    @router.post("/auth/logout", openapi_extra=dict(PUBLIC), summary="Sign out", status_code=204)
    def sign_out(request: Request) -> Response:
        """Revokes the request's access token and, for a browser, ends the session. Programs revoke their refresh token
        with `POST /auth/revoke`."""
        credential = extract_credential(request.headers.raw)
        if credential.by_cookie and not passes_csrf_check(request.headers.raw):
            raise auth_http_error(AuthError(AuthErrorCode.CROSS_SITE))
        origin = request_origin_of(request)
        for text in (credential.text, request.cookies.get(REFRESH_COOKIE)):
            if text:
                revoker.revoke(text, origin, action="login.ended")
        response = Response(status_code=204)
        clear_cookies(response)
        return response

    return router


def dashboard_login_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["signing in"])
    inside = APIRouter(tags=["between services"], dependencies=[Depends(admits("dashboard"))])
    revoker = TokenRevoker(gateway)

    @inside.post("/internal/entries", openapi_extra=dict(SERVICE), summary="A code by which a browser enters")
    async def entry(request: Request, given: LoginRequest) -> EntryCode:
        """`address` is the browser's, for login throttling and the audit log."""
        found = await gateway.sign_in.with_password(
            given.username, given.password, _browser_origin(request, given.address), entry=True, code=given.code
        )
        if isinstance(found, LoginSucceeded) and found.refresh_token is not None:
            return EntryCode(code=found.refresh_token, expires_in=ENTRY_CODE_SECONDS)
        raise refused_login(found if isinstance(found, LoginFailed) else LoginFailed())

    @inside.post("/internal/session-tokens", openapi_extra=dict(SERVICE), summary="A fresh token of a sign-in")
    def fresh(given: SessionTokenRequest) -> SessionTokenResponse:
        """Accepts the access token of an active session even if it has expired; no other route accepts it then. Counts
        as use of the session."""
        found = gateway.sign_in.with_session_token(given.token)
        if not isinstance(found, LoginSucceeded):
            raise http_error(401, "credentials", "The sign-in has ended; sign in again.")
        user = CurrentUser.of(found.caller)
        return SessionTokenResponse(access_token=found.access_token, expires_in=found.expires_in, user=user)

    @inside.post("/internal/session-ends", openapi_extra=dict(SERVICE), summary="End a sign-in", status_code=204)
    def end(request: Request, given: SessionTokenRequest) -> Response:
        revoker.end_session(given.token, _browser_origin(request, given.address))
        return Response(status_code=204)

    @router.get(
        "/auth/enter",
        openapi_extra=dict(PUBLIC),
        summary="Enter with the code that the dashboard was given",
        response_class=RedirectResponse,
        status_code=303,
    )
    async def enter_dashboard(
        request: Request,
        code: Annotated[str, Query(max_length=200)] = "",
        next: Annotated[str, Query(max_length=2_000)] = "/",
    ) -> Response:
        """Consumes the code once, sets the cookies and redirects to the page, or to the login page. The browser has to
        come from a page of the platform, so that a link cannot log anybody in as somebody else (login CSRF)."""
        came_from = request.headers.get("sec-fetch-site")
        own = {None, "same-origin"} | ({"same-site"} if gateway.settings.dashboard_url else set())
        if came_from not in own:
            raise auth_http_error(AuthError(AuthErrorCode.CROSS_SITE))
        target, origin = safe_redirect_path(next), request_origin_of(request)
        found = await to_thread.run_sync(
            lambda: gateway.sign_in.with_refresh_token(code, origin, RENEWAL_GRACE, prefix=ENTRY_CODE_PREFIX)
        )
        response = await _redirect(gateway, request, found, target)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    router.include_router(inside)
    return router


async def _redirect(
    gateway: GatewayContainer, request: Request, found: LoginSucceeded | LoginFailed, target: str
) -> Response:
    """Redirect to the page with session cookies, or to the login page."""
    if isinstance(found, LoginFailed) and not found.just_renewed:
        response = RedirectResponse(page_url(request, gateway.settings, f"/?next={quote(target, safe='/')}"), 303)
        clear_cookies(response)
        return response
    response = RedirectResponse(page_url(request, gateway.settings, target), 303)
    if isinstance(found, LoginSucceeded):
        set_cookies(request, response, found, gateway.sign_in.lifetimes)
    else:  # a repeated request or another page: the first response sets the cookies
        await asyncio.sleep(_WAIT_FOR_OTHER_PAGE_SECONDS)
    return response


def _browser_origin(request: Request, address: str) -> RequestOrigin:
    own = request_origin_of(request)
    return RequestOrigin(address or own.address, own.request_id)
