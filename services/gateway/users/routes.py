"""Routes of users (``/admin/users``), centres (``/admin/centres``) and the caller's own account."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.auth.principal import Principal, Role
from services.core.auth.tables import CentreRow, UserRow
from services.core.errors import ConflictError, NotFoundError
from services.gateway.audit.service import request_origin_of
from services.gateway.auth import db_authenticator, login_throttle, session_store
from services.gateway.auth.passwords import check_password_policy, generate_password
from services.gateway.container import GatewayContainer
from services.gateway.deps import Admin, Operator, require_all_centres, require_not_above_own, visible_centres
from services.gateway.users import service as users_service
from services.gateway.users.schemas import (
    Centre,
    CentreCreate,
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
            row = get_managed_user(session, caller, name)
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
            row = get_managed_user(session, caller, name)
            row.password_hash, row.password_changed, row.must_change_password = password_hash, now, True
            login_throttle.clear_lockout(session, row.name)
            session_store.end_all_sessions(session, row, now)
            db_authenticator.revoke_tokens_of(session, row.id, now)
            gateway.trail.add(
                session, request_origin_of(request), "user.password_reset", by=caller, target=f"user {row.name}"
            )
            made = User.of(row, users_service.user_centres(session, row))
        gateway.access.renew()
        return UserCreated(user=made, password=None if given.password else password)

    return router


def get_managed_user(session: Session, caller: Principal, name: str) -> UserRow:
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
