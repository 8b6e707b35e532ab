"""Signing in from a browser: cookies that outlive a reload, and that other sites cannot use."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from services.core.access.refusals import Reason, Refusal
from services.core.web.authentication import answer_to
from services.core.web.credentials import credential_of, from_own_origin, from_this_site
from services.core.web.faults import refused
from services.core.web.roles import PUBLIC
from services.gateway.cookies import REFRESH_COOKIE, SAME_BROWSER, clear_cookies, set_cookies
from services.gateway.gateway import Gateway
from services.gateway.oauth_faults import WRONG, too_many
from services.gateway.pages import local_path, page_address
from services.gateway.schemas import Credentials, Me
from services.gateway.sign_in import NotSignedIn, SignedIn
from services.gateway.trail import origin_of
from services.gateway.withdrawal import Withdrawal

_WAIT_FOR_OTHER_PAGE_SECONDS = 0.5


def session_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["signing in"])
    withdrawal = Withdrawal(gateway)

    def signed_in_answer(request: Request, found: SignedIn) -> Response:
        body = Me.of(found.caller, must_change_password=found.must_change_password)
        response = JSONResponse(body.model_dump(mode="json"))
        set_cookies(request, response, found, gateway.sign_in.lives)
        return response

    async def renewed(request: Request) -> SignedIn | NotSignedIn:
        text = request.cookies.get(REFRESH_COOKIE, "")
        if not text:
            return NotSignedIn()
        return await to_thread.run_sync(gateway.sign_in.with_refresh_token, text, origin_of(request), SAME_BROWSER)

    @router.post("/auth/session", openapi_extra=dict(PUBLIC), summary="Sign in from a browser", response_model=Me)
    async def sign_in(request: Request, given: Credentials) -> Response:
        """Sets `vigie_session` (HttpOnly), `vigie_refresh` (HttpOnly, for /auth alone) and `vigie_csrf`, which a
        page's script reads and repeats in the header `X-Vigie-CSRF` of everything but GET."""
        if not from_own_origin(request.headers.raw):
            raise answer_to(Refusal(Reason.CROSS_SITE))
        found = await gateway.sign_in.with_password(given.username, given.password, origin_of(request))
        if isinstance(found, SignedIn):
            return signed_in_answer(request, found)
        if found.wait_seconds:
            headers = {"Retry-After": str(found.wait_seconds)}
            raise refused(429, "too_many_requests", too_many(found.wait_seconds), headers=headers)
        raise refused(401, "credentials", WRONG, headers={"WWW-Authenticate": 'Bearer realm="vigie"'})

    @router.post(
        "/auth/session/refresh", openapi_extra=dict(PUBLIC), summary="Renew a browser's sign-in", response_model=Me
    )
    async def renew(request: Request) -> Response:
        """With the cookie `vigie_refresh` and the header `X-Vigie-CSRF`. 409: another page of this browser has
        just done it, and the new cookies are there."""
        if request.cookies.get(REFRESH_COOKIE) and not from_this_site(request.headers.raw):
            raise answer_to(Refusal(Reason.CROSS_SITE))
        found = await renewed(request)
        if isinstance(found, SignedIn):
            return signed_in_answer(request, found)
        if found.just_renewed:
            raise refused(409, "conflict", "Another page of this browser has just renewed the sign-in.")
        raise refused(401, "credentials", "The sign-in has ended; sign in again.")

    @router.get(
        "/auth/session/continue",
        openapi_extra=dict(PUBLIC),
        summary="Renew a browser's sign-in and go on to a page",
        response_class=RedirectResponse,
        status_code=303,
    )
    async def go_on(request: Request, next: Annotated[str, Query(max_length=2_000)] = "/") -> Response:
        """Where the edge sends a browser whose session has run out: to the page if the sign-in still lasts,
        else to the sign-in page."""
        target = local_path(next)
        found = await renewed(request)
        if isinstance(found, SignedIn):
            response = RedirectResponse(page_address(request, gateway.settings, target), 303)
            set_cookies(request, response, found, gateway.sign_in.lives)
            return response
        if found.just_renewed:  # the other answer brings the cookies
            await asyncio.sleep(_WAIT_FOR_OTHER_PAGE_SECONDS)
            return RedirectResponse(page_address(request, gateway.settings, target), 303)
        sign_in_page = page_address(request, gateway.settings, f"/?next={quote(target, safe='/')}")
        response = RedirectResponse(sign_in_page, 303)
        clear_cookies(response)
        return response

    @router.post("/auth/logout", openapi_extra=dict(PUBLIC), summary="Sign out", status_code=204)
    def sign_out(request: Request) -> Response:
        """Takes back the access token that the request shows and, from a browser, the whole sign-in. Programs
        take back their refresh token with `POST /auth/revoke`."""
        credential = credential_of(request.headers.raw)
        if credential.by_cookie and not from_this_site(request.headers.raw):
            raise answer_to(Refusal(Reason.CROSS_SITE))
        origin = origin_of(request)
        for text in (credential.text, request.cookies.get(REFRESH_COOKIE)):
            if text:
                withdrawal.of_token(text, origin, action="login.ended")
        response = Response(status_code=204)
        clear_cookies(response)
        return response

    return router
