"""Signing in through the dashboard, whose pages have no scripts of their own and whose server keeps no password.

The dashboard's server shows name and password here and gets a code; the browser takes the code to ``/auth/enter`` once,
within thirty seconds, and has its cookies. While a page is open its server gets fresh access tokens for as long as the
sign-in lasts."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.core.access.refusals import Reason, Refusal
from services.core.web.authentication import answer_to
from services.core.web.faults import refused
from services.core.web.roles import PUBLIC, SERVICE
from services.core.web.service_credential import service_credential
from services.gateway.cookies import SAME_BROWSER, clear_cookies, set_cookies
from services.gateway.gateway import Gateway
from services.gateway.oauth_faults import WRONG, too_many
from services.gateway.pages import local_path, page_address
from services.gateway.refresh import ENTRY_PREFIX, ENTRY_SECONDS
from services.gateway.schemas import Entering, EntryCode, FreshToken, Me, SessionToken
from services.gateway.sign_in import NotSignedIn, SignedIn
from services.gateway.trail import Origin, origin_of
from services.gateway.withdrawal import Withdrawal

_WAIT_FOR_OTHER_PAGE_SECONDS = 0.5


def dashboard_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["signing in"])
    inside = APIRouter(tags=["between services"], dependencies=[Depends(service_credential)])
    withdrawal = Withdrawal(gateway)

    @inside.post("/internal/entries", openapi_extra=dict(SERVICE), summary="A code by which a browser enters")
    async def entry(request: Request, given: Entering) -> EntryCode:
        """`address` is the browser's, for the limits of failed sign-ins and the audit log."""
        found = await gateway.sign_in.with_password(
            given.username, given.password, _browser(request, given.address), entry=True
        )
        if isinstance(found, SignedIn) and found.refresh_token is not None:
            return EntryCode(code=found.refresh_token, expires_in=ENTRY_SECONDS)
        if isinstance(found, NotSignedIn) and found.wait_seconds:
            headers = {"Retry-After": str(found.wait_seconds)}
            raise refused(429, "too_many_requests", too_many(found.wait_seconds), headers=headers)
        raise refused(401, "credentials", WRONG)

    @inside.post("/internal/session-tokens", openapi_extra=dict(SERVICE), summary="A fresh token of a sign-in")
    def fresh(given: SessionToken) -> FreshToken:
        """For an access token of a sign-in that lasts, also where it has run out: nothing else takes it then. Counts as
        use of the sign-in."""
        found = gateway.sign_in.with_session_token(given.token)
        if not isinstance(found, SignedIn):
            raise refused(401, "credentials", "The sign-in has ended; sign in again.")
        user = Me.of(found.caller, must_change_password=found.must_change_password)
        return FreshToken(access_token=found.access_token, expires_in=found.expires_in, user=user)

    @inside.post("/internal/session-ends", openapi_extra=dict(SERVICE), summary="End a sign-in", status_code=204)
    def end(request: Request, given: SessionToken) -> Response:
        withdrawal.of_sign_in(given.token, _browser(request, given.address))
        return Response(status_code=204)

    @router.get(
        "/auth/enter",
        openapi_extra=dict(PUBLIC),
        summary="Enter with the code that the dashboard was given",
        response_class=RedirectResponse,
        status_code=303,
    )
    async def enter(
        request: Request,
        code: Annotated[str, Query(max_length=200)] = "",
        next: Annotated[str, Query(max_length=2_000)] = "/",
    ) -> Response:
        """Takes the code once and goes on to the page, signed in; or to the sign-in page. Nobody is signed in as
        somebody else by a link: the browser has to come from a page of the platform."""
        came_from = request.headers.get("sec-fetch-site")
        own = {None, "same-origin"} | ({"same-site"} if gateway.settings.dashboard_url else set())
        if came_from not in own:
            raise answer_to(Refusal(Reason.CROSS_SITE))
        target, origin = local_path(next), origin_of(request)
        found = await to_thread.run_sync(
            lambda: gateway.sign_in.with_refresh_token(code, origin, SAME_BROWSER, prefix=ENTRY_PREFIX)
        )
        if isinstance(found, SignedIn):
            response = RedirectResponse(page_address(request, gateway.settings, target), 303)
            set_cookies(request, response, found, gateway.sign_in.lives)
            response.headers["Referrer-Policy"] = "no-referrer"
            return response
        if found.just_renewed:  # asked twice by an impatient browser; the first answer brings the cookies
            await asyncio.sleep(_WAIT_FOR_OTHER_PAGE_SECONDS)
            return RedirectResponse(page_address(request, gateway.settings, target), 303)
        sign_in_page = page_address(request, gateway.settings, f"/?next={quote(target, safe='/')}")
        response = RedirectResponse(sign_in_page, 303)
        clear_cookies(response)
        return response

    router.include_router(inside)
    return router


def _browser(request: Request, address: str) -> Origin:
    own = origin_of(request)
    return Origin(address or own.address, own.request_id)
