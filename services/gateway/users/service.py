"""Users and centres in the database."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from services.core.auth.principal import Principal, Role
from services.core.auth.tables import CentreRow, UserCentreRow, UserRow
from services.core.database.connection import insert_if_new
from services.core.errors import ConflictError, NotFoundError, VigieError

FIRST_ADMIN = "admin"
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
_CENTRE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def normalize_name(name: str) -> str:
    """Lower-case a user name: names are case-insensitive."""
    return name.strip().lower()


def find_user(session: Session, name: str) -> UserRow | None:
    """Return a user by name; None if there is none."""
    if not _NAME.fullmatch(normalize_name(name)):
        return None  # no user has such a name, and not every database accepts it
    return session.scalar(select(UserRow).where(UserRow.name == normalize_name(name)))


def has_users(session: Session) -> bool:
    """Whether any user exists."""
    return session.scalar(select(func.count()).select_from(UserRow)) != 0


def user_centres(session: Session, user: UserRow) -> frozenset[str] | None:
    """Return the centres that a user can see besides their own; None for all."""
    if user.all_centres:
        return None
    return frozenset(session.scalars(select(UserCentreRow.centre).where(UserCentreRow.user_id == user.id)))


def user_principal(session: Session, user: UserRow) -> Principal:
    """Build the principal of a user."""
    return Principal(
        "user",
        user.id,
        user.name,
        Role(user.role),
        user.centre,
        user_centres(session, user),
        pending="password" if user.must_change_password else "",
    )


def insert_user(
    session: Session,
    *,
    name: str,
    password_hash: str,
    role: Role,
    centre: str,
    centres: Collection[str] = (),
    all_centres: bool = False,
    must_change_password: bool = False,
) -> UserRow:
    """Insert a user.

    Raises:
        VigieError: the name is taken or invalid, or a centre does not exist.
    """
    name = normalize_name(name)
    if not _NAME.fullmatch(name):
        raise VigieError(
            "This is no user name.",
            expected="2 to 64 of a-z, 0-9 and . _ @ -, a letter or digit first",
        )
    if find_user(session, name) is not None:
        raise ConflictError(f"There is a user {name} already.")
    require_centre(session, centre)
    now = datetime.now(UTC)
    user = UserRow(
        id=uuid.uuid4().hex,
        name=name,
        password_hash=password_hash,
        role=str(role),
        centre=centre,
        all_centres=all_centres,
        must_change_password=must_change_password,
        active=True,
        created=now,
        password_changed=now,
    )
    session.add(user)
    session.flush()
    set_centres(session, user, centres)
    return user


def set_centres(session: Session, user: UserRow, centres: Collection[str]) -> None:
    """Replace a user's further centres.

    Raises:
        NotFoundError: a centre does not exist.
    """
    for centre in centres:
        require_centre(session, centre)
    session.execute(delete(UserCentreRow).where(UserCentreRow.user_id == user.id))
    session.add_all(UserCentreRow(user_id=user.id, centre=centre) for centre in sorted(set(centres) - {user.centre}))
    session.flush()


def require_centre(session: Session, name: str) -> CentreRow:
    """Return a centre.

    Raises:
        NotFoundError: no such centre.
    """
    found = session.get(CentreRow, name)
    if found is None:
        raise NotFoundError(f"There is no centre {name!r}.", action="GET /admin/centres lists them.")
    return found


def insert_centre(session: Session, name: str, title: str) -> CentreRow:
    """Insert a centre.

    Raises:
        VigieError: the name is taken or invalid.
    """
    if not _CENTRE.fullmatch(name):
        raise VigieError("This is no name of a centre.", expected="1 to 63 small letters, digits and -")
    values = {"name": name, "title": title or name, "created": datetime.now(UTC)}
    # Concurrent inserts are possible: the unique constraint decides.
    insert = insert_if_new(session.connection(), CentreRow).values(values)
    row: CentreRow | None = session.scalar(insert.returning(CentreRow))
    if row is None:
        raise ConflictError(f"There is a centre {name} already.")
    return row


def ensure_centre(session: Session, name: str, title: str) -> None:
    """Create the centre if it does not exist."""
    with suppress(ConflictError):
        insert_centre(session, name, title)


def is_last_full_admin(session: Session, user: UserRow) -> bool:
    """Whether this user is the last active administrator of all centres."""
    if not (user.active and user.all_centres and user.role == Role.ADMIN):
        return False
    others = select(func.count()).where(
        UserRow.role == str(Role.ADMIN), UserRow.all_centres, UserRow.active, UserRow.id != user.id
    )
    return session.scalar(others) == 0
