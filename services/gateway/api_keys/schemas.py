"""Request and response models of API keys and signing keys."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from services.core.auth.principal import Role
from services.core.auth.tables import ApiKeyRow
from services.gateway.deps import Moment, PrintableName, StrictModel
from services.gateway.users.schemas import Slug


class ApiKey(BaseModel):
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
    def of(cls, row: ApiKeyRow) -> ApiKey:
        return cls.model_validate(row, from_attributes=True)


class ApiKeyCreate(
    StrictModel, json_schema_extra={"examples": [{"name": "cad", "role": "dispatcher", "centre": "north"}]}
):
    name: PrintableName
    role: Role = Role.DISPATCHER
    centre: Slug
    use_cases: list[str] | None = Field(default=None, description="null for all")
    expires_at: Moment | None = Field(default=None, description="With a zone; default: VIGIE_GATEWAY_KEY_DAYS.")


class ApiKeyRotationRequest(StrictModel, json_schema_extra={"examples": [{"overlap_hours": 24}]}):
    overlap_hours: float = Field(default=24, ge=0, le=24 * 90, description="How long the old key still works.")


class ApiKeyCreated(BaseModel):
    key: ApiKey
    text: str = Field(description="The key itself. It is shown this once and kept nowhere.")


class SigningKeyInfo(BaseModel):
    kid: str
    created: datetime
    signs_from: datetime


class SigningKeyRotationRequest(StrictModel, json_schema_extra={"examples": [{"compromised": False}]}):
    compromised: bool = Field(default=False, description="Older keys stop counting at once: everybody signs in again.")
