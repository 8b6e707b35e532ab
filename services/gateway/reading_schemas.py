"""What the gateway's pages to look at give: a version in full, the data, the jobs, the platform's parts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class ModelVersion(BaseModel):
    """A version in full; what it lacks is empty."""

    use_case: str
    version: dict[str, Any]
    rows: int | None = Field(description="Test rows.")
    metrics: dict[str, dict[str, float]] = Field(description="Target or variant -> metric -> value on the test rows.")
    baseline: dict[str, dict[str, float]] = Field(description="The same of the declared baseline, on the same rows.")
    importance: dict[str, dict[str, float]] = Field(description="Target -> request field -> share of gain.")
    omitted: dict[str, str] = Field(description="Metrics that these rows do not define, and why.")
    subgroups: dict[str, Any] = Field(description="Column -> group -> target -> metric -> value.")
    gate: dict[str, Any] | None = Field(description="The gate's decision with all its numbers.")
    parameters: dict[str, str]
    data: dict[str, str | int | float] = Field(description="Hashes, rows and span of each slice.")
    versions: dict[str, str] = Field(description="Of Python, the libraries and the code.")
    plots: list[str] = Field(description="Names for the route of plots.")


class DataState(BaseModel):
    """What a use case's last runs published."""

    use_case: str
    raw: dict[str, Any] | None = Field(description="Files, tables and quarantine; null before the first ingestion.")
    examples: dict[str, Any] | None = Field(description="Rows and span; null before the first preprocessing.")
    silent: dict[str, str] = Field(description="Services that do not answer, and why.")


class PlatformPart(BaseModel):
    name: str
    state: Literal["up", "degraded", "down", "absent"] = Field(description="absent: this platform has none.")
    address: str | None = Field(description="Its page, for browsers: a path below the edge, or an address.")
    milliseconds: float | None = None
    reason: str = ""


class Platform(BaseModel):
    parts: list[PlatformPart]


class AuditReport(BaseModel):
    intact: bool
    entries: int
    sequence: int = Field(description="Of the newest entry; noted elsewhere with its hash, it proves more later.")
    hash: str
    faults: list[str]


class Retention(BaseModel):
    """How long things are kept, as the service says that removes them."""

    days: dict[str, int] = Field(description="Use case -> days that its calls are kept; 0 is for ever.")
    pseudonymised: list[str] = Field(description="Use cases whose places and words are pseudonymised.")
    jobs_days: int | None = None
