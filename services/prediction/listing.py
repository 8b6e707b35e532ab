"""``GET /v1/{use_case}/predictions``: what was answered and what became of it, within the caller's rights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import anyio
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.calls.away import DatabaseAwayError
from services.core.calls.database import CallsDatabase
from services.core.calls.kinds import CallKind
from services.core.calls.queries import Cursor, Filters, cursor_after, page
from services.core.usecases.contract import UseCase
from services.core.usecases.zones import in_zone
from services.core.web.authentication import requires
from services.core.web.faults import Failure, refused
from services.prediction.csv_export import Table
from services.prediction.routes import JSONBytes
from services.prediction.schemas import Source, Warned, stem
from services.prediction.settings import PredictionSettings

T = TypeVar("T")

CSV_ROWS = 1_000
"""Rows of an export that are held at a time."""
_RETRY_SECONDS = 10
_PRIVATE = {"Cache-Control": "no-store"}


class Listed(BaseModel):
    """One prediction."""

    model_config = ConfigDict(protected_namespaces=())

    id: UUID
    received_at: datetime
    centre: str
    caller_kind: str
    caller_id: str
    request_id: str
    row_index: int | None = Field(description="Position in the batch; null for a single call.")
    incident_id: str | None
    latency_us: int = Field(description="From the request's arrival to the answer, microseconds.")
    model_version: str
    source: Source
    kind: CallKind = Field(description="A live call, an exercise, or a simulator's.")
    simulated: bool = Field(description="True where the model learned from simulated data.")
    risk: bool | None = Field(description="Whether any decision says yes; null where the use case decides nothing.")
    pseudonymised: bool
    request: dict[str, Any] = Field(description="As it was sent.")
    answer: dict[str, Any]
    decisions: dict[str, bool]
    warnings: list[Warned]
    watched: dict[str, Any] | None = Field(description="Derived columns that drift looks at, where there are any.")
    outcome: dict[str, Any] | None = Field(description="What was reported about the call, the latest of each label.")
    override: str | None = Field(description="Why the centre decided otherwise than proposed, where it did.")


class Page(BaseModel):
    use_case: str
    predictions: list[Listed] = Field(description="Newest first.")
    next: str | None = Field(description="Send it as cursor for the page after this one; null on the last.")


class Asked(BaseModel):
    """The filters, as they stand in the address."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    centre: str | None = Field(default=None, max_length=64, description="One of the centres that you may see.")
    caller: str | None = Field(default=None, max_length=128, description="Id of the user or key that called.")
    since: datetime | None = Field(default=None, alias="from", description="Received at or after this moment.")
    until: datetime | None = Field(default=None, alias="to", description="Received before this moment.")
    risk: bool | None = Field(default=None, description="Only calls on which a decision says yes (or none does).")
    incident_id: str | None = Field(default=None, max_length=64, description="The centre's own id of the incident.")
    request_id: str | None = Field(default=None, max_length=64)
    model_version: str | None = Field(default=None, max_length=64)
    source: Source | None = None
    kind: CallKind | None = Field(default=None, description="Only calls of this kind.")
    has_outcome: bool | None = Field(default=None, description="Only calls about which something was reported.")
    limit: int | None = Field(default=None, ge=1, description="Predictions on a page.")
    cursor: str | None = Field(default=None, max_length=200, description="From the page before.")
    format: Literal["json", "csv"] | None = Field(default=None, description="csv has all pages; also by Accept.")


def listing_router(
    use_case: UseCase,
    database: CallsDatabase,
    settings: PredictionSettings,
    background: anyio.CapacityLimiter,
) -> APIRouter:
    """The route of one use case. The database is read off the event loop."""
    table = Table(use_case)
    zone = use_case.zone or "UTC"
    viewer = Depends(requires(Role.VIEWER, use_case=use_case.name))

    async def predictions(request: Request, asked: Annotated[Asked, Query()], caller: Caller = viewer) -> Response:
        filters = _filters(use_case.name, asked, caller, zone)
        after = _cursor(asked.cursor)

        async def read(limit: int, start: Cursor | None) -> list[dict[str, Any]]:
            def work() -> list[dict[str, Any]]:
                with database.reading() as connection:
                    return page(connection, filters, limit, start)

            return await _off_the_loop(work, background)

        if asked.format == "csv" or (asked.format is None and "text/csv" in request.headers.get("accept", "")):
            first = await read(CSV_ROWS, after)

            async def lines() -> AsyncIterator[bytes]:
                yield table.head()
                rows = first
                while rows:
                    yield table.rows(rows)
                    # A database that goes away now ends the connection, and the receiver sees that it is not whole.
                    rows = await read(CSV_ROWS, cursor_after(rows[-1])) if len(rows) == CSV_ROWS else []

            name = f"{use_case.name}-predictions-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.csv"
            headers = {**_PRIVATE, "Content-Disposition": f'attachment; filename="{name}"'}
            return StreamingResponse(lines(), media_type="text/csv; charset=utf-8; header=present", headers=headers)

        limit = min(asked.limit or settings.prediction_list_rows, settings.prediction_list_rows)
        rows = await read(limit + 1, after)
        following = str(cursor_after(rows[limit - 1])) if len(rows) > limit else None
        body = {"use_case": use_case.name, "predictions": rows[:limit], "next": following}
        return JSONBytes(to_json(body), headers=_PRIVATE)

    router = APIRouter(tags=[use_case.name])
    router.add_api_route(
        f"/v1/{use_case.name}/predictions",
        predictions,
        name=f"{use_case.name}_predictions",
        response_model=Page,
        responses={
            200: {"content": {"text/csv": {}}},
            401: {"model": Failure},
            403: {
                "model": Failure,
                "description": "Too low a role, another use case's key, or another centre's calls.",
            },
            422: {"model": Failure},
            503: {"model": Failure, "description": "The database is away. Calls are answered and recorded meanwhile."},
        },
        summary=f"{use_case.title.en}: the predictions that were made",
        description=f"Model: {stem(use_case)}Response. Everybody sees the calls of their own centre; others only "
        "where they were given to them.",
    )
    return router


async def _off_the_loop(work: Callable[[], T], limiter: anyio.CapacityLimiter) -> T:
    """
    Raises:
        RefusedError: 503, the database is away.
    """
    try:
        return await anyio.to_thread.run_sync(work, limiter=limiter)
    except DatabaseAwayError:
        raise refused(
            503,
            "database_away",
            "The list of predictions cannot be read: the database does not answer.",
            action="Try again after a moment. Calls are answered and recorded meanwhile.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        ) from None


def _filters(use_case: str, asked: Asked, caller: Caller, zone: str) -> Filters:
    """
    Raises:
        RefusedError: 403, the centre's calls are not for this caller.
    """
    centres = None if caller.centres is None else caller.centres | {caller.centre}
    if asked.centre is not None:
        if not caller.sees(asked.centre):
            raise refused(403, "centre", "The calls of that centre are not given to you.", field="centre")
        centres = frozenset({asked.centre})
    return Filters(
        use_case=use_case,
        centres=centres,
        caller=asked.caller,
        since=None if asked.since is None else in_zone(asked.since, zone),
        until=None if asked.until is None else in_zone(asked.until, zone),
        risk=asked.risk,
        incident=asked.incident_id,
        request_id=asked.request_id,
        model_version=asked.model_version,
        source=asked.source,
        kind=asked.kind,
        has_outcome=asked.has_outcome,
    )


def _cursor(text: str | None) -> Cursor | None:
    """
    Raises:
        RefusedError: 422.
    """
    if text is None:
        return None
    try:
        return Cursor.parse(text)
    except ValueError:
        raise refused(
            422, "cursor", "This is no cursor.", field="cursor", allowed="what the page before gave as next"
        ) from None
