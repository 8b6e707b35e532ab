"""``POST /v1/{use_case}/outcomes``: what happened, reported by the centre. Kept in the journal as predictions
are, so that it works while the database is away."""

from __future__ import annotations

from typing import Any

import anyio
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from services.core.access.roles import Role
from services.core.calls.kinds import SIMULATED, outcome_kind
from services.core.calls.records import outcome_id, outcome_line
from services.core.usecases.contract import UseCase
from services.core.web.authentication import requires
from services.core.web.faults import Fault, refusal
from services.prediction.bodies import parse, read_body
from services.prediction.call_kind import MANUAL
from services.prediction.faults import MOST_FAULTS, refused
from services.prediction.journal import Journal
from services.prediction.outcome_models import OutcomeModels, OutcomesKept, item_faults
from services.prediction.recording import Arrival
from services.prediction.routes import DirectEndpoint, DirectRoute, JSONBytes
from services.prediction.settings import PredictionSettings

_MEGABYTE = 1_048_576
_RETRY_SECONDS = 10


class ItemFault(Fault):
    index: int = Field(description="Which of the outcomes is meant, from 0.")


class OutcomesRefused(BaseModel):
    """Nothing of what was sent was kept."""

    errors: list[ItemFault]
    request_id: str


def outcomes_router(
    use_case: UseCase, journal: Journal, settings: PredictionSettings, background: anyio.CapacityLimiter
) -> APIRouter:
    models = OutcomeModels(use_case, settings.prediction_outcome_rows)
    limit = settings.prediction_batch_limit_mb * _MEGABYTE

    async def report(request: Request) -> Response:
        arrival = Arrival.of(request.scope)
        body = await read_body(request.scope, request.receive, limit)
        return await anyio.to_thread.run_sync(
            lambda: keep(use_case, models, journal, arrival, parse(body)), limiter=background
        )

    router = APIRouter(
        route_class=DirectRoute,
        tags=[use_case.name],
        dependencies=[Depends(requires(Role.DISPATCHER, use_case=use_case.name))],
    )
    body: Any = models.many | models.item
    router.add_api_route(
        f"/v1/{use_case.name}/outcomes",
        DirectEndpoint(report, body),
        methods=["POST"],
        name=f"{use_case.name}_outcomes",
        status_code=202,
        response_model=OutcomesKept,
        responses={
            422: {"model": OutcomesRefused, "description": "Some are not valid, each with its reasons; none is kept."},
            503: {"description": "The disk does not take them at the moment; send them again."},
        },
        openapi_extra=MANUAL,
        summary=f"{use_case.title.en}: report what happened",
        description="One outcome, or many in `outcomes`. They may come before their prediction is known and long "
        "after; a later one corrects an earlier one. Sent again, it is the same report.",
    )
    return router


def keep(use_case: UseCase, models: OutcomeModels, journal: Journal, arrival: Arrival, payload: Any) -> Response:
    """Write all or none.

    Raises:
        RefusedError: 422, the body is no outcome; 503, the disk does not take it.
    """
    items = _items(payload, models.limit)
    lines: list[bytes] = []
    kept: list[dict[str, Any]] = []
    faults: list[dict[str, Any]] = []
    sender, request_id, at, _, said = arrival
    at = round(at, 6)  # so that a microsecond more is always a later moment
    for index, item in enumerate(items):
        checked, wrong = models.checked(item)
        if wrong:
            faults += item_faults(index, wrong)
            continue
        # What a simulator reports was made up, also where its items do not say so.
        checked["simulated"] = checked["simulated"] or said == SIMULATED
        kind = outcome_kind(said, checked["simulated"])
        made = outcome_id(sender.centre, use_case.name, request_id, index, to_json(checked), kind=kind)
        # Of two reports of one call in one request the later one counts.
        lines.append(outcome_line(made, sender, use_case.name, at + index * 1e-6, checked, kind=kind))
        kept.append({"index": index, "id": made})
    if faults:
        return refusal(422, faults[:MOST_FAULTS], request_id)
    if not journal.write(b"".join(lines), len(lines)):
        raise refused(
            503,
            "not_kept",
            "The outcomes cannot be kept at the moment.",
            action="Send them again after a moment.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )
    return JSONBytes(to_json({"request_id": request_id, "use_case": use_case.name, "outcomes": kept}), 202)


def _items(payload: Any, limit: int) -> list[Any]:
    allowed = f"one outcome, or an object with outcomes: a list of 1 to {limit}"
    if not isinstance(payload, dict):
        raise refused(422, "type", "The body is no object.", allowed=allowed)
    if "outcomes" not in payload:
        return [payload]
    if len(payload) > 1:
        raise refused(422, "extra_forbidden", "Beside outcomes there is nothing.", allowed=allowed)
    items = payload["outcomes"]
    if not isinstance(items, list) or not 1 <= len(items) <= limit:
        raise refused(
            422, "too_long", "This is no list of outcomes, or too long a one.", field="outcomes", allowed=allowed
        )
    return items
