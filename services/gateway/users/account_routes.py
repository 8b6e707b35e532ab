"""Routes of one's own account: who one is, password, second factor and registration."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from services.core.auth.principal import Principal, Role
from services.core.auth.tables import UserRow
from services.core.errors import ConflictError, VigieError
from services.core.web.authentication import PUBLIC, extract_credential
from services.core.web.errors import http_error
from services.gateway.audit.service import RequestOrigin, request_origin_of
from services.gateway.auth import db_authenticator, login_throttle, session_store
from services.gateway.auth.login import LoginFailed
from services.gateway.auth.passwords import check_password_policy
from services.gateway.auth.schemas import CodeRequest, Credentials, CurrentUser, SecondFactorEnrolment, TokenResponse
from services.gateway.auth.session_routes import set_cookies
from services.gateway.auth.token_routes import NO_STORE, refused_login, throttled
from services.gateway.container import GatewayContainer
from services.gateway.deps import Admin, Anybody
from services.gateway.users import service as users_service
from services.gateway.users.routes import get_managed_user
from services.gateway.users.schemas import PasswordChangeRequest


def require_user(caller: Principal) -> None:
    """Require a user.

    Raises:
        HttpError: 403, the caller is a key or a service.
    """
    if caller.kind != "user":
        raise http_error(403, "kind", "Keys and services have no password.", allowed="a user")


def second_factor_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["one's own account"])

    @router.post("/auth/second-factor", summary="Enrol a second factor", status_code=201)
    def enrol_second_factor(caller: Anybody) -> SecondFactorEnrolment:
        """For an authenticator app (TOTP, RFC 6238). It counts once a code of it was confirmed."""
        require_user(caller)
        with gateway.transaction() as session:
            user = session.get_one(UserRow, caller.id, with_for_update=True)
            if user.external_subject is not None:
                raise ConflictError("You sign in at an identity provider, which asks for its own second factor.")
            made = gateway.second_factor.enrol(user)
        return SecondFactorEnrolment(secret=made.secret, uri=made.uri)

    @router.post("/auth/second-factor/confirm", summary="Confirm a second factor", response_model=TokenResponse)
    async def confirm_second_factor(request: Request, given: CodeRequest, caller: Anybody) -> Response:
        """From now on signing in with the password needs a code. Ends all other sessions of the user; the response is a
        new one, as after a change of the password."""
        require_user(caller)

        def store(user: UserRow, _: datetime) -> None:
            gateway.second_factor.confirm(user, given.code)

        return await _with_new_session(gateway, request, caller, "user.second_factor_added", store)

    @router.delete("/admin/users/{name}/second-factor", summary="Remove a user's second factor", status_code=204)
    def remove_second_factor(request: Request, name: str, caller: Admin) -> Response:
        """For somebody who has lost the phone. Ends the user's sessions."""
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            row = get_managed_user(session, caller, name)
            gateway.second_factor.remove(row)
            session_store.end_all_sessions(session, row, now)
            db_authenticator.revoke_tokens_of(session, row.id, now)
            gateway.trail.add(
                session, request_origin_of(request), "user.second_factor_removed", by=caller, target=f"user {row.name}"
            )
        gateway.access.renew()
        return Response(status_code=204)

    return router


def account_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["one's own account"])
    settings = gateway.settings

    @router.get("/auth/me", summary="Who am I")
    def get_current_user(caller: Anybody) -> CurrentUser:
        return CurrentUser.of(caller)

    @router.post("/auth/password", summary="Change one's own password", response_model=TokenResponse)
    async def change_password(request: Request, given: PasswordChangeRequest, caller: Anybody) -> Response:
        """Ends all other sessions of the user. The response is a new session, as tokens, or as cookies if the request
        used them."""
        require_user(caller)
        check_password_policy(given.new, caller.name)
        if given.new == given.current:
            raise VigieError("The new password is the current one.", expected="another password")
        origin = request_origin_of(request)
        checked = await gateway.sign_in.with_password(caller.name, given.current, origin, code=given.code)
        if isinstance(checked, LoginFailed):
            if checked.wait_seconds or checked.needs_code:
                raise refused_login(checked)
            raise http_error(403, "credentials", "The current password is not right.", field="current")
        password_hash = await gateway.passwords.hash_async(given.new)

        def store(user: UserRow, now: datetime) -> None:
            user.password_hash, user.password_changed, user.must_change_password = password_hash, now, False

        return await _with_new_session(gateway, request, caller, "user.password_changed", store)

    @router.post("/auth/register", openapi_extra=dict(PUBLIC), summary="Make oneself a user", status_code=201)
    async def register_user(request: Request, given: Credentials) -> CurrentUser:
        """Disabled unless `VIGIE_GATEWAY_REGISTRATION` is true. New users are viewers of the first centre."""
        if not settings.gateway_registration:
            raise http_error(
                403,
                "registration",
                "Registration is switched off here.",
                action="Ask an administrator for a user, or set VIGIE_GATEWAY_REGISTRATION=true.",
            )
        check_password_policy(given.password, given.username)
        origin = request_origin_of(request)
        wait = await to_thread.run_sync(_throttle_registration, gateway, origin)
        if wait:
            raise throttled(wait)
        password_hash = await gateway.passwords.hash_async(given.password)
        return await to_thread.run_sync(_register, gateway, given.username, password_hash, origin)

    return router


async def _with_new_session(
    gateway: GatewayContainer,
    request: Request,
    caller: Principal,
    action: str,
    change: Callable[[UserRow, datetime], None],
) -> Response:
    """Change the caller's user, end all sessions and answer with a new one, as tokens or as cookies."""
    origin = request_origin_of(request)

    def store() -> tuple[datetime, Principal, session_store.StartedSession]:
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            user = session.get_one(UserRow, caller.id, with_for_update=True)
            change(user, now)
            session_store.end_all_sessions(session, user, now)
            db_authenticator.revoke_tokens_of(session, user.id, now)
            started = session_store.start_session(session, user, gateway.sign_in.lifetimes, now)
            gateway.trail.add(session, origin, action, by=caller, target=f"user {user.name}")
            return now, gateway.sign_in.principal(session, user), started

    now, user, started = await to_thread.run_sync(store)
    await run_in_threadpool(gateway.access.renew)
    signed_in = await run_in_threadpool(gateway.sign_in.issue, user, started.token, sid=started.family, after=now)
    if extract_credential(request.headers.raw).by_cookie:
        response = Response(status_code=204)
        set_cookies(request, response, signed_in, gateway.sign_in.lifetimes)
        return response
    answer = TokenResponse(
        access_token=signed_in.access_token, expires_in=signed_in.expires_in, refresh_token=started.token
    )
    return JSONResponse(answer.model_dump(), headers=NO_STORE)


def _throttle_registration(gateway: GatewayContainer, origin: RequestOrigin) -> int:
    """Count a registration against the login limits; return the seconds to wait."""
    limits = login_throttle.LoginLimits(
        gateway.settings.gateway_login_failures, gateway.settings.gateway_login_per_address
    )
    with gateway.transaction() as session:
        return math.ceil(login_throttle.begin_attempt(session, None, origin.address, limits, datetime.now(UTC)))


def _register(gateway: GatewayContainer, name: str, password_hash: str, origin: RequestOrigin) -> CurrentUser:
    with gateway.transaction() as session:
        user = users_service.insert_user(
            session,
            name=name,
            password_hash=password_hash,
            role=Role.VIEWER,
            centre=gateway.settings.gateway_first_centre,
        )
        caller = users_service.user_principal(session, user)
        gateway.trail.add(session, origin, "user.registered", by=caller, target=f"user {user.name}")
    return CurrentUser.of(caller)
