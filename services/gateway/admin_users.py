"""``/admin/users``."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.access.tables import UserRow
from services.core.errors import ConflictError, NotFoundError
from services.gateway import attempts, refresh, revocations, users
from services.gateway.callers import Admin
from services.gateway.gateway import Gateway
from services.gateway.passwords import check_new, new_password
from services.gateway.rights import require_no_more_than_own, seen_centres
from services.gateway.schemas import MadeUser, NewPassword, NewUser, User, UserChange
from services.gateway.trail import origin_of


def users_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["users"])

    @router.get("/admin/users", summary="The users of the centres that one sees")
    def list_users(caller: Admin) -> list[User]:
        seen = seen_centres(caller)
        query = select(UserRow).order_by(UserRow.name)
        if seen is not None:
            query = query.where(UserRow.centre.in_(sorted(seen)))
        with gateway.transaction() as session:
            return [User.of(row, users.centres_of(session, row)) for row in session.scalars(query)]

    @router.post("/admin/users", summary="Make a user", status_code=201)
    def create_user(request: Request, given: NewUser, caller: Admin) -> MadeUser:
        """Nobody gives more than they have: the role, the centre and the further centres have to be one's own."""
        everywhere = given.centres == "*"
        further = [] if given.centres == "*" else given.centres
        require_no_more_than_own(caller, given.role, [given.centre, *further], everywhere)
        password = given.password or new_password()
        check_new(password, given.name)
        password_hash = gateway.passwords.hash(password)
        with gateway.transaction() as session:
            row = users.create(
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
                origin_of(request),
                "user.created",
                by=caller,
                target=f"user {row.name}",
                role=str(given.role),
                centre_of_user=given.centre,
                centres="*" if everywhere else sorted(further),
            )
            made = User.of(row, users.centres_of(session, row))
        return MadeUser(user=made, password=None if given.password else password)

    @router.patch("/admin/users/{name}", summary="Change a user's role, centres, or whether they may sign in")
    def change_user(request: Request, name: str, given: UserChange, caller: Admin) -> User:
        """Their tokens stop counting within seconds; a user who stays active signs in again or renews. Where
        `active` becomes false their sign-ins end too."""
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            row = _own_user(session, caller, name)
            before_full_admin = users.last_full_admin(session, row)
            _change(session, caller, row, given)
            if before_full_admin and not (row.active and row.all_centres and row.role == Role.ADMIN):
                raise ConflictError(
                    "This is the last active administrator of all centres.", action="Make another one first."
                )
            revocations.revoke_tokens_of(session, row.id, now)
            if not row.active:
                refresh.end_all(session, row, now)
            changed = given.model_dump(exclude_unset=True, mode="json")
            gateway.trail.add(
                session, origin_of(request), "user.changed", by=caller, target=f"user {row.name}", **changed
            )
            answer = User.of(row, users.centres_of(session, row))
        gateway.access.renew()
        return answer

    @router.post("/admin/users/{name}/password", summary="Set a user's password anew")
    def reset_password(request: Request, name: str, given: NewPassword, caller: Admin) -> MadeUser:
        """Ends the user's sign-ins and a pause after failed ones. The user has to change the password."""
        password = given.password or new_password()
        check_new(password, users.normal_name(name))
        password_hash = gateway.passwords.hash(password)
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            row = _own_user(session, caller, name)
            row.password_hash, row.password_changed, row.must_change_password = password_hash, now, True
            attempts.unlock(session, row.name)
            refresh.end_all(session, row, now)
            revocations.revoke_tokens_of(session, row.id, now)
            gateway.trail.add(session, origin_of(request), "user.password_reset", by=caller, target=f"user {row.name}")
            made = User.of(row, users.centres_of(session, row))
        gateway.access.renew()
        return MadeUser(user=made, password=None if given.password else password)

    return router


def _own_user(session: Session, caller: Caller, name: str) -> UserRow:
    """The user, if the caller may touch them.

    Raises:
        NotFoundError: there is none in the caller's centres.
        RefusedError: 403, the user has more rights than the caller.
    """
    row = users.find(session, name)
    if row is None or not caller.sees(row.centre):
        raise NotFoundError("There is no such user in your centres.", action="GET /admin/users lists them.")
    centres = users.centres_of(session, row)
    require_no_more_than_own(caller, Role(row.role), centres or (), centres is None)
    return row


def _change(session: Session, caller: Caller, row: UserRow, given: UserChange) -> None:
    everywhere = row.all_centres if given.centres is None else given.centres == "*"
    further = given.centres if isinstance(given.centres, list) else []
    centre = given.centre or row.centre
    require_no_more_than_own(caller, given.role or Role(row.role), [centre, *further], everywhere)
    users.require_centre(session, centre)
    row.role, row.centre = str(given.role or row.role), centre
    if given.active is not None:
        row.active = given.active
    if given.centres is not None:
        row.all_centres = everywhere
        users.set_centres(session, row, further)
    session.flush()
