"""What the gateway takes and gives about people, keys, sessions, the audit log and the freeze."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.core.access.audit import Outcome
from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.access.tables import ApiKeyRow, CentreRow, UserRow

Password = Annotated[str, StringConstraints(max_length=1_024)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TokenRequest(BaseModel):
    """RFC 6749. Rights follow from the role, so that ``scope`` says nothing."""

    grant_type: Annotated[
        str,
        Field(
            max_length=60,
            json_schema_extra={"enum": ["password", "client_credentials", "refresh_token"]},
        ),
    ]
    username: Annotated[str | None, Field(max_length=200)] = None
    password: Annotated[str | None, Field(max_length=1_024)] = None
    client_id: Annotated[str | None, Field(max_length=200)] = None
    client_secret: Annotated[str | None, Field(max_length=200)] = None
    refresh_token: Annotated[str | None, Field(max_length=200)] = None
    scope: Annotated[str | None, Field(max_length=200)] = None


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a word of the RFC
    expires_in: int = Field(description="Seconds.")
    refresh_token: str | None = Field(default=None, description="Use it once; the answer brings the next.")


class Entering(Input):
    """A person's name and password, as the dashboard was given them."""

    username: Annotated[str, Field(max_length=200)]
    password: Password
    address: Annotated[str, Field(max_length=80)] = ""


class EntryCode(BaseModel):
    code: str = Field(description="For the browser: /auth/enter?code=…, once.")
    expires_in: int = Field(description="Seconds.")


class SessionToken(Input):
    token: Annotated[str, Field(max_length=8_192)]
    address: Annotated[str, Field(max_length=80)] = ""


class Me(BaseModel):
    id: str
    name: str
    kind: Literal["user", "key", "service"]
    role: Role
    centre: str
    centres: list[str] | Literal["*"] = Field(description="Further centres whose calls are visible; * for all.")
    use_cases: list[str] | None = Field(description="Use cases that may be called; null for all.")
    must_change_password: bool = False

    @classmethod
    def of(cls, caller: Caller, *, must_change_password: bool = False) -> Me:
        return cls(
            id=caller.id,
            name=caller.name,
            kind=caller.kind,
            role=caller.role,
            centre=caller.centre,
            centres="*" if caller.centres is None else sorted(caller.centres),
            use_cases=None if caller.use_cases is None else sorted(caller.use_cases),
            must_change_password=must_change_password,
        )


class FreshToken(BaseModel):
    access_token: str
    expires_in: int = Field(description="Seconds.")
    user: Me


class Credentials(Input):
    username: Annotated[str, StringConstraints(max_length=200)]
    password: Password


class PasswordChange(Input):
    current: Password
    new: Password


class Centre(BaseModel):
    name: str
    title: str
    created: datetime

    @classmethod
    def of(cls, row: CentreRow) -> Centre:
        return cls(name=row.name, title=row.title, created=row.created)


class NewCentre(Input):
    name: Slug
    title: Annotated[str, StringConstraints(max_length=200)] = ""


class User(BaseModel):
    id: str
    name: str
    role: Role
    centre: str
    centres: list[str] | Literal["*"]
    active: bool
    must_change_password: bool
    created: datetime
    password_changed: datetime

    @classmethod
    def of(cls, row: UserRow, centres: frozenset[str] | None) -> User:
        return cls(
            id=row.id,
            name=row.name,
            role=Role(row.role),
            centre=row.centre,
            centres="*" if centres is None else sorted(centres),
            active=row.active,
            must_change_password=row.must_change_password,
            created=row.created,
            password_changed=row.password_changed,
        )


Centres = list[Slug] | Literal["*"]


class NewUser(Input):
    name: Annotated[str, StringConstraints(max_length=64)]
    password: Password | None = Field(default=None, description="Left out, one is made and shown in the answer.")
    role: Role
    centre: Slug
    centres: Centres = Field(default_factory=list, description="Further centres that the user sees; * for all.")


class UserChange(Input):
    role: Role | None = None
    centre: Slug | None = None
    centres: Centres | None = None
    active: bool | None = None


class NewPassword(Input):
    password: Password | None = Field(default=None, description="Left out, one is made and shown in the answer.")


class MadeUser(BaseModel):
    user: User
    password: str | None = Field(description="Shown once, if it was made here. The user has to change it.")


class Key(BaseModel):
    id: str
    name: str
    role: Role
    centre: str
    use_cases: list[str] | None = Field(description="null for all")
    created: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    rotated_from: str | None
    last_used_at: datetime | None
    uses: int

    @classmethod
    def of(cls, row: ApiKeyRow) -> Key:
        return cls.model_validate(row, from_attributes=True)


class NewKey(Input):
    name: Label
    role: Role = Role.DISPATCHER
    centre: Slug
    use_cases: list[str] | None = Field(default=None, description="null for all")
    expires_at: datetime | None = Field(default=None, description="With a zone; default: VIGIE_GATEWAY_KEY_DAYS.")


class KeyRotation(Input):
    overlap_hours: float = Field(default=24, ge=0, le=24 * 90, description="How long the old key still works.")


class MadeKeyAnswer(BaseModel):
    key: Key
    text: str = Field(description="The key itself. It is shown this once and kept nowhere.")


class SigningKeyAnswer(BaseModel):
    kid: str
    created: datetime
    signs_from: datetime


class Rotation(Input):
    compromised: bool = Field(default=False, description="Older keys stop counting at once: everybody signs in again.")


class FreezeRequest(Input):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]


class FreezeState(BaseModel):
    frozen: bool
    reason: str | None = None
    by: str | None = None
    since: datetime | None = None


class AuditQuery(BaseModel):
    actor: str | None = Field(default=None, max_length=120, description="A user's or key's name.")
    action: str | None = Field(default=None, max_length=80, description="Such as `login.failed`, or `login.*`.")
    use_case: str | None = Field(default=None, max_length=120)
    outcome: Outcome | None = None
    since: AwareDatetime | None = Field(default=None, alias="from", description="With a zone; included.")
    until: AwareDatetime | None = Field(default=None, alias="to", description="With a zone; not included.")
    before: int | None = Field(default=None, ge=1, description="`next_before` of the page before.")
    limit: int = Field(default=100, ge=1, le=500)


class AuditPage(BaseModel):
    entries: list[dict[str, Any]]
    next_before: int | None = Field(description="Give it as `before` for the next, older page; null at the end.")
