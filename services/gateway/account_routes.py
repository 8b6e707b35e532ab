"""One's own account: who am I, a new password, and registration where it is switched on."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.access.tables import UserRow
from services.core.web.credentials import credential_of
from services.core.web.faults import refused
from services.core.web.roles import PUBLIC
from services.gateway import attempts, refresh, revocations, users
from services.gateway.callers import Viewer
from services.gateway.cookies import set_cookies
from services.gateway.gateway import Gateway
from services.gateway.oauth_faults import NO_STORE, too_many
from services.gateway.passwords import check_new
from services.gateway.schemas import Credentials, Me, PasswordChange, TokenAnswer
from services.gateway.sign_in import NotSignedIn
from services.gateway.trail import Origin, origin_of


def account_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["one's own account"])
    settings = gateway.settings

    @router.get("/auth/me", summary="Who am I")
    def me(caller: Viewer) -> Me:
        must_change = False
        if caller.kind == "user":
            with gateway.transaction() as session:
                user = session.get(UserRow, caller.id)
                must_change = user is not None and user.must_change_password
        return Me.of(caller, must_change_password=must_change)

    @router.post("/auth/password", summary="Change one's own password", response_model=TokenAnswer)
    async def change_password(request: Request, given: PasswordChange, caller: Viewer) -> Response:
        """Ends all other sign-ins of the user. The answer is a new one, as tokens, or as cookies where the
        request came with them."""
        if caller.kind != "user":
            raise refused(403, "kind", "Keys and services have no password.", allowed="a user")
        check_new(given.new, caller.name)
        origin = origin_of(request)
        checked = await gateway.sign_in.with_password(caller.name, given.current, origin)
        if isinstance(checked, NotSignedIn):
            if checked.wait_seconds:
                headers = {"Retry-After": str(checked.wait_seconds)}
                raise refused(429, "too_many_requests", too_many(checked.wait_seconds), headers=headers)
            raise refused(403, "credentials", "The current password is not right.", field="current")
        password_hash = await gateway.passwords.hashed(given.new)
        now, started = await to_thread.run_sync(_take_password, gateway, caller, password_hash, origin)
        await run_in_threadpool(gateway.access.renew)
        signed_in = await run_in_threadpool(
            gateway.sign_in.issue, checked.caller, started.token, sid=started.family, after=now
        )
        if credential_of(request.headers.raw).by_cookie:
            response = Response(status_code=204)
            set_cookies(request, response, signed_in, gateway.sign_in.lives)
            return response
        answer = TokenAnswer(
            access_token=signed_in.access_token, expires_in=signed_in.expires_in, refresh_token=started.token
        )
        return JSONResponse(answer.model_dump(), headers=NO_STORE)

    @router.post("/auth/register", openapi_extra=dict(PUBLIC), summary="Make oneself a user", status_code=201)
    async def register(request: Request, given: Credentials) -> Me:
        """Off unless `VIGIE_GATEWAY_REGISTRATION` is true. New users are viewers of the first centre."""
        if not settings.gateway_registration:
            raise refused(
                403,
                "registration",
                "Registration is switched off here.",
                action="Ask an administrator for a user, or set VIGIE_GATEWAY_REGISTRATION=true.",
            )
        check_new(given.password, given.username)
        origin = origin_of(request)
        wait = await to_thread.run_sync(_count_registration, gateway, origin)
        if wait:
            headers = {"Retry-After": str(wait)}
            raise refused(429, "too_many_requests", too_many(wait), headers=headers)
        password_hash = await gateway.passwords.hashed(given.password)
        return await to_thread.run_sync(_register, gateway, given.username, password_hash, origin)

    return router


def _take_password(
    gateway: Gateway, caller: Caller, password_hash: str, origin: Origin
) -> tuple[datetime, refresh.Started]:
    """Write the new hash and end every sign-in but a new one. Returns when that was, and the new one."""
    now = datetime.now(UTC)
    with gateway.transaction() as session:
        user = session.get_one(UserRow, caller.id, with_for_update=True)
        user.password_hash, user.password_changed, user.must_change_password = password_hash, now, False
        refresh.end_all(session, user, now)
        revocations.revoke_tokens_of(session, user.id, now)
        started = refresh.start(session, user, gateway.sign_in.lives, now)
        gateway.trail.add(session, origin, "user.password_changed", by=caller, target=f"user {user.name}")
    return now, started


def _count_registration(gateway: Gateway, origin: Origin) -> int:
    """Registrations are limited like failed sign-ins: the seconds to wait."""
    limits = attempts.Limits(gateway.settings.gateway_login_failures, gateway.settings.gateway_login_per_address)
    with gateway.transaction() as session:
        return math.ceil(attempts.begin(session, None, origin.address, limits, datetime.now(UTC)))


def _register(gateway: Gateway, name: str, password_hash: str, origin: Origin) -> Me:
    with gateway.transaction() as session:
        user = users.create(
            session,
            name=name,
            password_hash=password_hash,
            role=Role.VIEWER,
            centre=gateway.settings.gateway_first_centre,
        )
        caller = users.caller_of(session, user)
        gateway.trail.add(session, origin, "user.registered", by=caller, target=f"user {user.name}")
    return Me.of(caller)
