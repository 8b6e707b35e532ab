"""Request and response models of users and centres."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from services.core.auth.principal import Role
from services.core.auth.tables import CentreRow, UserRow
from services.gateway.auth.schemas import Code, Password
from services.gateway.deps import StrictModel

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class PasswordChangeRequest(
    StrictModel,
    json_schema_extra={"examples": [{"current": "the first password", "new": "a sentence of one's own"}]},
):
    current: Password
    new: Password
    code: Code | None = Field(default=None, description="Of the second factor, where there is one.")


class Centre(BaseModel):
    name: str
    title: str
    created: datetime

    @classmethod
    def of(cls, row: CentreRow) -> Centre:
        return cls(name=row.name, title=row.title, created=row.created)


class CentreCreate(StrictModel, json_schema_extra={"examples": [{"name": "north", "title": "Centre North"}]}):
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


class UserCreate(
    StrictModel, json_schema_extra={"examples": [{"name": "claire", "role": "dispatcher", "centre": "north"}]}
):
    name: Annotated[str, StringConstraints(max_length=64)]
    password: Password | None = Field(default=None, description="Left out, one is made and shown in the answer.")
    role: Role
    centre: Slug
    centres: Centres = Field(default_factory=list, description="Further centres that the user sees; * for all.")


class UserUpdate(StrictModel, json_schema_extra={"examples": [{"role": "operator"}]}):
    role: Role | None = None
    centre: Slug | None = None
    centres: Centres | None = None
    active: bool | None = None


class PasswordResetRequest(StrictModel, json_schema_extra={"examples": [{}]}):
    password: Password | None = Field(default=None, description="Left out, one is made and shown in the answer.")


class UserCreated(BaseModel):
    user: User
    password: str | None = Field(description="Shown once, if it was made here. The user has to change it.")
