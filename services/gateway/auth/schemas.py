"""Request and response models of authentication."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from services.core.auth.principal import Pending, Principal, Role
from services.gateway.deps import StrictModel

Password = Annotated[str, StringConstraints(max_length=1_024)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=6, max_length=20)]
"""One-time code of a second factor."""


class TokenRequest(
    BaseModel,
    json_schema_extra={"examples": [{"grant_type": "password", "username": "claire", "password": "her password"}]},
):
    """Token request of RFC 6749. ``scope`` is ignored, since rights follow from the role."""

    grant_type: Annotated[
        str,
        Field(
            max_length=60,
            json_schema_extra={"enum": ["password", "client_credentials", "refresh_token"]},
        ),
    ]
    username: Annotated[str | None, Field(max_length=200)] = None
    password: Annotated[str | None, Field(max_length=1_024)] = None
    otp: Annotated[str | None, Field(max_length=20, description="Code of the user's second factor.")] = None
    client_id: Annotated[str | None, Field(max_length=200)] = None
    client_secret: Annotated[str | None, Field(max_length=200)] = None
    refresh_token: Annotated[str | None, Field(max_length=200)] = None
    scope: Annotated[str | None, Field(max_length=200)] = None


class TokenResponse(BaseModel):
    """Token response (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a constant of the RFC
    expires_in: int = Field(description="Seconds.")
    refresh_token: str | None = Field(default=None, description="Use it once; the answer brings the next.")


class LoginRequest(StrictModel):
    """A user's name and password, forwarded by the dashboard."""

    username: Annotated[str, Field(max_length=200)]
    password: Password
    code: Code | None = None
    address: Annotated[str, Field(max_length=80)] = ""


class EntryCode(BaseModel):
    code: str = Field(description="For the browser: /auth/enter?code=…, once.")
    expires_in: int = Field(description="Seconds.")


class SessionTokenRequest(StrictModel):
    token: Annotated[str, Field(max_length=8_192)]
    address: Annotated[str, Field(max_length=80)] = ""


class CurrentUser(BaseModel):
    id: str
    name: str
    kind: Literal["user", "key", "service"]
    role: Role
    centre: str
    centres: list[str] | Literal["*"] = Field(description="Further centres whose calls are visible; * for all.")
    use_cases: list[str] | None = Field(description="Use cases that may be called; null for all.")
    must_change_password: bool = False
    pending: Pending = Field(default="", description="What has to be done before anything else.")

    @classmethod
    def of(cls, caller: Principal) -> CurrentUser:
        return cls(
            id=caller.id,
            name=caller.name,
            kind=caller.kind,
            role=caller.role,
            centre=caller.centre,
            centres="*" if caller.centres is None else sorted(caller.centres),
            use_cases=None if caller.use_cases is None else sorted(caller.use_cases),
            must_change_password=caller.pending == "password",
            pending=caller.pending,
        )


class SessionTokenResponse(BaseModel):
    access_token: str
    expires_in: int = Field(description="Seconds.")
    user: CurrentUser


class Credentials(
    StrictModel, json_schema_extra={"examples": [{"username": "claire", "password": "a long sentence of one's own"}]}
):
    username: Annotated[str, StringConstraints(max_length=200)]
    password: Password
    code: Code | None = None


class CodeRequest(StrictModel, json_schema_extra={"examples": [{"code": "123456"}]}):
    code: Code


class SecondFactorEnrolment(BaseModel):
    """What an authenticator app needs; shown once."""

    secret: str
    uri: str = Field(description="The content of the QR code that such apps read.")


class SignInMethods(BaseModel):
    password: bool = True
    oidc: bool = Field(description="Whether people sign in at an identity provider, by GET /auth/oidc/login.")
