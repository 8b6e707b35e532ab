"""``GET /v1/{use_case}/predictions``: lists recorded predictions with their outcomes, as JSON or CSV.

Only calls that the caller may see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.core.audit.entries import AuditEntry, AuditOutbox
from services.core.auth.principal import Principal, Role
from services.core.contract.fields import Moment, in_zone
from services.core.contract.use_case import UseCase
from services.core.headers import TrafficType
from services.core.prediction_log.call_counts import CallCounts, count_calls
from services.core.prediction_log.queries import Cursor, PredictionFilters, cursor_after, list_predictions
from services.core.prediction_log.store import DatabaseUnavailableError, PredictionLogDatabase
from services.core.web.authentication import requires
from services.core.web.errors import ErrorBody, http_error
from services.prediction.api.background_work import BackgroundWork
from services.prediction.api.csv_export import CsvExport
from services.prediction.api.predict_routes import JsonBytesResponse
from services.prediction.api.request_body import IncidentId
from services.prediction.api.schemas import InputWarning, PredictionSource, TargetResponse, refusals, schema_prefix
from services.prediction.settings import PredictionSettings

T = TypeVar("T")

MOST_COUNTED = 5_000
"""Predictions that a request for counts looks at."""
CSV_CHUNK_ROWS = 1_000
"""Rows of an export that are in memory at a time."""
_RETRY_SECONDS = 10
_NO_STORE = {"Cache-Control": "no-store"}


class PredictionItem(BaseModel):
    """One recorded prediction with its request, answer and outcome."""

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
    source: PredictionSource
    kind: TrafficType = Field(description="A live call, an exercise, or a simulator's.")
    simulated: bool = Field(description="True where the model learned from simulated data.")
    risk: bool | None = Field(description="Whether any decision says yes; null where the use case decides nothing.")
    pseudonymised: bool
    request: dict[str, Any] = Field(description="As it was sent.")
    answer: dict[str, Any]
    predictions: dict[str, TargetResponse | None] | None = Field(
        description="What the answer says about each target; null for calls that release 0.1.0 answered, and by "
        "setting for what was withdrawn."
    )
    decisions: dict[str, bool]
    warnings: list[InputWarning]
    watched: dict[str, Any] | None = Field(description="Derived columns that drift looks at, where there are any.")
    outcome: dict[str, Any] | None = Field(description="What was reported about the call, the latest of each label.")
    override: str | None = Field(description="Why the centre decided otherwise than proposed, where it did.")


class PredictionPage(BaseModel):
    use_case: str
    predictions: list[PredictionItem] = Field(description="Newest first.")
    next: str | None = Field(description="Send it as cursor for the page after this one; null on the last.")


class CallCountsResponse(BaseModel):
    """How many calls there were."""

    use_case: str
    calls: int
    at_risk: int = Field(description="Calls whose newest answer has a decision that says yes.")
    without_outcome: int = Field(description="Calls about which no outcome is known.")
    overridden: int = Field(description="Calls about which the centre decided otherwise than proposed.")
    more: bool = Field(description="True where there were too many to count: each number is then at least so large.")


class CallFilters(BaseModel):
    """Query parameters: which predictions."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    centre: str | None = Field(default=None, max_length=64, description="One of the centres that you may see.")
    caller: str | None = Field(default=None, max_length=128, description="Id of the user or key that called.")
    since: Moment | None = Field(default=None, alias="from", description="Received at or after this moment.")
    until: Moment | None = Field(default=None, alias="to", description="Received before this moment.")
    risk: bool | None = Field(default=None, description="Only calls on which a decision says yes (or none does).")
    incident_id: IncidentId | None = Field(default=None, description="The centre's own id of the incident.")
    request_id: str | None = Field(default=None, max_length=64)
    model_version: str | None = Field(default=None, max_length=64)
    source: PredictionSource | None = None
    kind: TrafficType | None = Field(default=None, description="Only calls of this kind.")


class ListQuery(CallFilters):
    """Query parameters: filters and page."""

    has_outcome: bool | None = Field(default=None, description="Only calls about which something was reported.")
    limit: int | None = Field(default=None, ge=1, description="Predictions on a page, up to the service's own limit.")
    cursor: str | None = Field(default=None, max_length=200, description="From the page before.")
    format: Literal["json", "csv"] | None = Field(default=None, description="csv has all pages; also by Accept.")


def list_router(
    use_case: UseCase,
    database: PredictionLogDatabase,
    settings: PredictionSettings,
    background: BackgroundWork,
    outbox: AuditOutbox | None = None,
) -> APIRouter:
    """Create the list route of one use case. The database is read off the event loop.

    Args:
        outbox: takes the audit entries of exports; without one the service's log is the only record.
    """
    table = CsvExport(use_case)
    zone = use_case.data.timezone or "UTC"
    viewer = Depends(requires(Role.VIEWER, use_case=use_case.name))

    async def predictions(
        request: Request, asked: Annotated[ListQuery, Query()], caller: Principal = viewer
    ) -> Response:
        filters = _filters(use_case.name, asked, caller, zone)
        after = _parse_cursor(asked.cursor)
        background.enter(request)

        async def read(limit: int, start: Cursor | None) -> list[dict[str, Any]]:
            def work() -> list[dict[str, Any]]:
                with database.reading() as connection:
                    return list_predictions(connection, filters, limit, start)

            return await _in_background(background.run(request.scope, work))

        if asked.format == "csv" or (asked.format is None and "text/csv" in request.headers.get("accept", "")):
            first = await read(CSV_CHUNK_ROWS, after)
            if outbox is not None:  # before the first row leaves
                await to_thread.run_sync(outbox.record, _export_entry(request, use_case.name, asked, caller))

            async def lines() -> AsyncIterator[bytes]:
                yield table.head()
                rows = first
                while rows:
                    yield table.rows(rows)
                    # If the database fails now, the connection breaks and the client sees that the file is incomplete.
                    rows = await read(CSV_CHUNK_ROWS, cursor_after(rows[-1])) if len(rows) == CSV_CHUNK_ROWS else []

            name = f"{use_case.name}-predictions-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.csv"
            headers = {**_NO_STORE, "Content-Disposition": f'attachment; filename="{name}"'}
            return StreamingResponse(lines(), media_type="text/csv; charset=utf-8; header=present", headers=headers)

        limit = min(asked.limit or settings.prediction_list_rows, settings.prediction_list_rows)
        rows = await read(limit + 1, after)
        following = str(cursor_after(rows[limit - 1])) if len(rows) > limit else None
        body = {"use_case": use_case.name, "predictions": rows[:limit], "next": following}
        return JsonBytesResponse(to_json(body), headers=_NO_STORE)

    async def counts(
        request: Request, asked: Annotated[CallFilters, Query()], response: Response, caller: Principal = viewer
    ) -> CallCountsResponse:
        filters = _filters(use_case.name, asked, caller, zone)
        background.enter(request)

        def work() -> CallCounts:
            with database.reading() as connection:
                return count_calls(connection, filters, MOST_COUNTED)

        response.headers.update(_NO_STORE)
        found = await _in_background(background.run(request.scope, work))
        return CallCountsResponse(use_case=use_case.name, **found._asdict())

    router = APIRouter(tags=[use_case.name])
    silent = "The database does not answer, or too much waits already. Calls are answered and recorded meanwhile."
    documented = refusals(401, 403, 422) | {503: {"model": ErrorBody, "description": silent}}
    router.add_api_route(
        f"/v1/{use_case.name}/predictions/counts",
        counts,
        name=f"count_{use_case.name}_predictions",
        responses=documented,
        summary=f"{use_case.presentation.title.en}: how many calls there were",
        description="What is asked again under one incident number is one call. Filters are those of the list.",
    )
    router.add_api_route(
        f"/v1/{use_case.name}/predictions",
        predictions,
        name=f"list_{use_case.name}_predictions",
        response_model=PredictionPage,
        responses={200: {"content": {"text/csv": {}}}, **documented},
        summary=f"{use_case.presentation.title.en}: the predictions that were made",
        description=f"Model: {schema_prefix(use_case)}Response. Everybody sees the calls of their own centre; others "
        "only where they were given to them.",
    )
    return router


async def _in_background(query: Awaitable[T]) -> T:
    """Await a database query; HttpError 503 if the database does not answer."""
    try:
        return await query
    except DatabaseUnavailableError:
        raise http_error(
            503,
            "database_away",
            "The list of predictions cannot be read: the database does not answer.",
            action="Try again after a moment. Calls are answered and recorded meanwhile.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        ) from None


def _filters(use_case: str, asked: CallFilters, caller: Principal, zone: str) -> PredictionFilters:
    """The query's filters within the caller's centres; HttpError 403 for another centre."""
    centres = None if caller.centres is None else caller.centres | {caller.centre}
    if asked.centre is not None:
        if not caller.can_see_centre(asked.centre):
            raise http_error(403, "centre", "The calls of that centre are not given to you.", field="centre")
        centres = frozenset({asked.centre})
    return PredictionFilters(
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
        has_outcome=asked.has_outcome if isinstance(asked, ListQuery) else None,
    )


def _parse_cursor(text: str | None) -> Cursor | None:
    """Decode the cursor of the next page; HttpError 422 for an invalid one."""
    if text is None:
        return None
    try:
        return Cursor.parse(text)
    except ValueError:
        raise http_error(
            422, "cursor", "This is no cursor.", field="cursor", allowed="what the page before gave as next"
        ) from None


def _export_entry(request: Request, use_case: str, asked: ListQuery, caller: Principal) -> AuditEntry:
    """Describe an export by its filters. Ids of incidents and requests are left out: they may be personal."""
    given = asked.model_dump(mode="json", exclude_none=True, exclude={"incident_id", "request_id", "cursor", "format"})
    return AuditEntry(
        service="prediction",
        action="calls.exported",
        use_case=use_case,
        target=f"calls of {asked.centre}" if asked.centre else "calls of the centres that the caller sees",
        address=request.client.host if request.client is not None else "",
        request_id=request.scope["request_id"],
        details={name: value if isinstance(value, str | int | bool) else str(value) for name, value in given.items()},
    ).by(caller)
