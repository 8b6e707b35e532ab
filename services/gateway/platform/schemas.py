"""Response models of the platform's health."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field


class ComponentStatus(BaseModel):
    name: str
    state: Literal["up", "degraded", "down", "absent"] = Field(description="absent: this platform has none.")
    address: str | None = Field(description="Its page, for browsers: a path below the edge, or an address.")
    milliseconds: float | None = None
    reason: str = ""


class PlatformStatus(BaseModel):
    parts: list[ComponentStatus]


class RetentionPolicy(BaseModel):
    """Retention periods, as reported by the service that applies them."""

    days: dict[str, int] = Field(description="Use case -> days that its calls are kept; 0 is for ever.")
    pseudonymised: list[str] = Field(description="Use cases whose places and words are pseudonymised.")
    jobs_days: int | None = None
    last_run: AwareDatetime | None = Field(
        default=None, description="When housekeeping last deleted what was past its retention; null: never yet."
    )
