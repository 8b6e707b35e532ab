"""Routes of users (``/admin/users``), centres (``/admin/centres``) and the caller's own account."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from services.core.auth.principal import Principal, Role
from services.core.auth.tables import CentreRow, UserRow
from services.core.errors import ConflictError, NotFoundError, VigieError
from services.core.web.authentication import PUBLIC, extract_credential
from services.core.web.errors import http_error
from services.gateway.audit.service import RequestOrigin, request_origin_of
from services.gateway.auth import db_authenticator, session_store
from services.gateway.auth.login import LoginFailed, check_password_policy, generate_password
from services.gateway.auth.schemas import Credentials, CurrentUser, TokenResponse
from services.gateway.auth.session_routes import set_cookies
from services.gateway.auth.token_routes import NO_STORE, throttled
from services.gateway.container import GatewayContainer
from services.gateway.deps import Admin, Anybody, Operator, require_all_centres, require_not_above_own, visible_centres
from services.gateway.users import service as users_service
from services.gateway.users.schemas import (
    Centre,
    CentreCreate,
    PasswordChangeRequest,
    PasswordResetRequest,
    User,
    UserCreate,
    UserCreated,
    UserUpdate,
)


def centres_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["centres"])

    @router.get("/admin/centres", summary="The centres that one sees")
    def list_centres(caller: Operator) -> list[Centre]:
        with gateway.transaction() as session:
            rows = session.scalars(select(CentreRow).order_by(CentreRow.name))
            return [Centre.of(row) for row in rows if caller.can_see_centre(row.name)]

    @router.post("/admin/centres", summary="Make a centre", status_code=201)
    def create_centre(request: Request, given: CentreCreate, caller: Admin) -> Centre:
        """Requires an administrator of all centres."""
        require_all_centres(caller)
        with gateway.transaction() as session:
            row = users_service.insert_centre(session, given.name, given.title)
            gateway.trail.add(
                session, request_origin_of(request), "centre.created", by=caller, target=f"centre {row.name}"
            )
            return Centre.of(row)

    return router


def users_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["users"])

    @router.get("/admin/users", summary="The users of the centres that one sees")
    def list_users(caller: Admin) -> list[User]:
        seen = visible_centres(caller)
        query = select(UserRow).order_by(UserRow.name)
        if seen is not None:
            query = query.where(UserRow.centre.in_(sorted(seen)))
        with gateway.transaction() as session:
            return [User.of(row, users_service.user_centres(session, row)) for row in session.scalars(query)]

    @router.post("/admin/users", summary="Make a user", status_code=201)
    def create_user(request: Request, given: UserCreate, caller: Admin) -> UserCreated:
        """Role, centre and further centres must not exceed the caller's own."""
        everywhere = given.centres == "*"
        further = [] if given.centres == "*" else given.centres
        require_not_above_own(caller, given.role, [given.centre, *further], everywhere)
        password = given.password or generate_password()
        check_password_policy(password, given.name)
        password_hash = gateway.passwords.hash(password)
        with gateway.transaction() as session:
            row = users_service.insert_user(
                session,
                name=given.name,
                password_hash=password_hash,
                role=given.role,
                centre=given.centre,
                centres=further,
                all_centres=everywhere,
                must_change_password=True,
            )
            gateway.trail.add(
                session,
                request_origin_of(request),
                "user.created",
                by=caller,
                target=f"user {row.name}",
                role=str(given.role),
                centre_of_user=given.centre,
                centres="*" if everywhere else sorted(further),
            )
            made = User.of(row, users_service.user_centres(session, row))
        return UserCreated(user=made, password=None if given.password else password)

    @router.patch("/admin/users/{name}", summary="Change a user's role, centres, or whether they may sign in")
    def change_user(request: Request, name: str, given: UserUpdate, caller: Admin) -> User:
        """The user's tokens are revoked within seconds; an active user logs in again or renews. With `active` false the
        sessions end too."""
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            row = _get_managed_user(session, caller, name)
            before_full_admin = users_service.is_last_full_admin(session, row)
            _apply_change(session, caller, row, given)
            if before_full_admin and not (row.active and row.all_centres and row.role == Role.ADMIN):
                raise ConflictError(
                    "This is the last active administrator of all centres.", action="Make another one first."
                )
            db_authenticator.revoke_tokens_of(session, row.id, now)
            if not row.active:
                session_store.end_all_sessions(session, row, now)
            changed = given.model_dump(exclude_unset=True, mode="json")
            gateway.trail.add(
                session, request_origin_of(request), "user.changed", by=caller, target=f"user {row.name}", **changed
            )
            answer = User.of(row, users_service.user_centres(session, row))
        gateway.access.renew()
        return answer

    @router.post("/admin/users/{name}/password", summary="Set a user's password anew")
    def reset_password(request: Request, name: str, given: PasswordResetRequest, caller: Admin) -> UserCreated:
        """Ends the user's sessions and lockout. The user has to change the password at the next login."""
        password = given.password or generate_password()
        check_password_policy(password, users_service.normalize_name(name))
        password_hash = gateway.passwords.hash(password)
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            row = _get_managed_user(session, caller, name)
            row.password_hash, row.password_changed, row.must_change_password = password_hash, now, True
            session_store.clear_lockout(session, row.name)
            session_store.end_all_sessions(session, row, now)
            db_authenticator.revoke_tokens_of(session, row.id, now)
            gateway.trail.add(
                session, request_origin_of(request), "user.password_reset", by=caller, target=f"user {row.name}"
            )
            made = User.of(row, users_service.user_centres(session, row))
        gateway.access.renew()
        return UserCreated(user=made, password=None if given.password else password)

    return router


def _get_managed_user(session: Session, caller: Principal, name: str) -> UserRow:
    """Return a user whom the caller may manage.

    Raises:
        NotFoundError: no such user in the caller's centres.
        HttpError: 403, the user has more rights than the caller.
    """
    row = users_service.find_user(session, name)
    if row is None or not caller.can_see_centre(row.centre):
        raise NotFoundError("There is no such user in your centres.", action="GET /admin/users lists them.")
    centres = users_service.user_centres(session, row)
    require_not_above_own(caller, Role(row.role), centres or (), centres is None)
    return row


def _apply_change(session: Session, caller: Principal, row: UserRow, given: UserUpdate) -> None:
    everywhere = row.all_centres if given.centres is None else given.centres == "*"
    further = given.centres if isinstance(given.centres, list) else []
    centre = given.centre or row.centre
    require_not_above_own(caller, given.role or Role(row.role), [centre, *further], everywhere)
    users_service.require_centre(session, centre)
    row.role, row.centre = str(given.role or row.role), centre
    if given.active is not None:
        row.active = given.active
    if given.centres is not None:
        row.all_centres = everywhere
        users_service.set_centres(session, row, further)
    session.flush()


def account_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["one's own account"])
    settings = gateway.settings

    @router.get("/auth/me", summary="Who am I")
    def me(caller: Anybody) -> CurrentUser:
        must_change = False
        if caller.kind == "user":
            with gateway.transaction() as session:
                user = session.get(UserRow, caller.id)
                must_change = user is not None and user.must_change_password
        return CurrentUser.of(caller, must_change_password=must_change)

    @router.post("/auth/password", summary="Change one's own password", response_model=TokenResponse)
    async def change_password(request: Request, given: PasswordChangeRequest, caller: Anybody) -> Response:
        """Ends all other sessions of the user. The response is a new session, as tokens, or as cookies if the request
        used them."""
        if caller.kind != "user":
            raise http_error(403, "kind", "Keys and services have no password.", allowed="a user")
        check_password_policy(given.new, caller.name)
        if given.new == given.current:
            raise VigieError("The new password is the current one.", expected="another password")
        origin = request_origin_of(request)
        checked = await gateway.sign_in.with_password(caller.name, given.current, origin)
        if isinstance(checked, LoginFailed):
            if checked.wait_seconds:
                raise throttled(checked.wait_seconds)
            raise http_error(403, "credentials", "The current password is not right.", field="current")
        password_hash = await gateway.passwords.hash_async(given.new)
        now, started = await to_thread.run_sync(_store_new_password, gateway, caller, password_hash, origin)
        await run_in_threadpool(gateway.access.renew)
        user = replace(checked.caller, must_change_password=False)
        signed_in = await run_in_threadpool(gateway.sign_in.issue, user, started.token, sid=started.family, after=now)
        if extract_credential(request.headers.raw).by_cookie:
            response = Response(status_code=204)
            set_cookies(request, response, signed_in, gateway.sign_in.lifetimes)
            return response
        answer = TokenResponse(
            access_token=signed_in.access_token, expires_in=signed_in.expires_in, refresh_token=started.token
        )
        return JSONResponse(answer.model_dump(), headers=NO_STORE)

    @router.post("/auth/register", openapi_extra=dict(PUBLIC), summary="Make oneself a user", status_code=201)
    async def register(request: Request, given: Credentials) -> CurrentUser:
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


def _store_new_password(
    gateway: GatewayContainer, caller: Principal, password_hash: str, origin: RequestOrigin
) -> tuple[datetime, session_store.StartedSession]:
    """Store the new hash, end all sessions and start a new one. Return the time of the change and the session."""
    now = datetime.now(UTC)
    with gateway.transaction() as session:
        user = session.get_one(UserRow, caller.id, with_for_update=True)
        user.password_hash, user.password_changed, user.must_change_password = password_hash, now, False
        session_store.end_all_sessions(session, user, now)
        db_authenticator.revoke_tokens_of(session, user.id, now)
        started = session_store.start_session(session, user, gateway.sign_in.lifetimes, now)
        gateway.trail.add(session, origin, "user.password_changed", by=caller, target=f"user {user.name}")
    return now, started


def _throttle_registration(gateway: GatewayContainer, origin: RequestOrigin) -> int:
    """Count a registration against the login limits; return the seconds to wait."""
    limits = session_store.LoginLimits(
        gateway.settings.gateway_login_failures, gateway.settings.gateway_login_per_address
    )
    with gateway.transaction() as session:
        return math.ceil(session_store.begin_attempt(session, None, origin.address, limits, datetime.now(UTC)))


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
