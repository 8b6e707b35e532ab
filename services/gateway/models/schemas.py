"""Request and response models of model versions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from services.gateway.deps import StrictModel


class PromotionRequest(
    StrictModel, json_schema_extra={"examples": [{"version": 3, "reason": "Better at night; see the gate."}]}
):
    version: int = Field(ge=1)
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class RollbackRequest(
    StrictModel, json_schema_extra={"examples": [{"reason": "Arrival times are too low since this morning."}]}
):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class WithdrawalRequest(
    StrictModel,
    json_schema_extra={"examples": [{"use_case": "name_of_a_use_case", "reason": "Arrival times are far too low."}]},
):
    use_case: Annotated[str, StringConstraints(max_length=64)]
    target: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, description="The one target whose advice is withdrawn; null: all."
    )
    version: int | None = Field(default=None, ge=1, le=2**31, description="The one version; null: whatever answers.")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]


class ModelActionResult(BaseModel):
    """Result of a promotion or a rollback."""

    use_case: str
    id: str = Field(description="The job's.")
    state: str = Field(description="queued and running: it goes on; look at /admin/jobs.")
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class ModelVersionList(BaseModel):
    use_case: str
    champion: int | None
    frozen: bool
    versions: list[dict[str, Any]]


class ModelVersionDetails(BaseModel):
    """A version with all details; missing ones are empty."""

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
