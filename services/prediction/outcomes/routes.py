"""``POST /v1/{use_case}/outcomes``: stores reported outcomes.

They are written to the WAL, so that reporting works while the database is unavailable."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from services.core.auth.principal import Role
from services.core.contract.use_case import UseCase
from services.core.headers import SIMULATED, label_traffic_type
from services.core.prediction_log.records import encode_outcome, outcome_id
from services.core.web.api_docs import operation_id
from services.core.web.authentication import requires
from services.core.web.errors import MAX_ERRORS, ErrorBody, ErrorDetail, error_response, http_error
from services.prediction.api.background_work import BackgroundWork
from services.prediction.api.predict_routes import JsonBytesResponse, RawEndpoint, RawRoute, request_openapi
from services.prediction.api.request_body import parse_json, read_request_body
from services.prediction.api.schemas import refusals
from services.prediction.log.prediction_log import TRAFFIC_TYPE_OPENAPI, RequestContext
from services.prediction.log.wal import WriteAheadLog
from services.prediction.outcomes.schemas import OutcomesAccepted, OutcomeSchemas, item_errors
from services.prediction.settings import PredictionSettings

_MEGABYTE = 1_048_576
_RETRY_SECONDS = 10


class OutcomeErrorDetail(ErrorDetail):
    index: int | None = Field(
        default=None, description="Which of the outcomes is meant, from 0; not there where the whole body is meant."
    )


class OutcomesRejected(BaseModel):
    """The request was refused; none of its outcomes was stored."""

    errors: list[OutcomeErrorDetail]
    request_id: str


def outcomes_router(
    use_case: UseCase, journal: WriteAheadLog, settings: PredictionSettings, background: BackgroundWork
) -> APIRouter:
    models = OutcomeSchemas(use_case, settings.prediction_outcome_rows)
    limit = settings.prediction_batch_limit_mb * _MEGABYTE

    async def report(request: Request) -> Response:
        arrival = RequestContext.of(request.scope)
        background.enter(request)
        body = await read_request_body(request.scope, request.receive, limit)
        return await background.run(
            request.scope, lambda: store_outcomes(use_case, models, journal, arrival, parse_json(body))
        )

    router = APIRouter(
        route_class=RawRoute,
        generate_unique_id_function=operation_id,
        tags=[use_case.name],
        dependencies=[Depends(requires(Role.DISPATCHER, use_case=use_case.name))],
    )
    body: Any = models.many | models.item
    router.add_api_route(
        f"/v1/{use_case.name}/outcomes",
        RawEndpoint(report, body),
        methods=["POST"],
        name=f"report_{use_case.name}_outcomes",
        status_code=202,
        response_model=OutcomesAccepted,
        responses={
            **refusals(401, 403, 413, 415),
            422: {"model": OutcomesRejected, "description": "Some are not valid, each with its reasons; none is kept."},
            503: {
                "model": ErrorBody,
                "description": "The disk does not take them, too much waits already, or it is not known yet who may "
                "call; send them again.",
            },
        },
        openapi_extra={**TRAFFIC_TYPE_OPENAPI, **request_openapi(models.example(), models.item)},
        summary=f"{use_case.presentation.title.en}: report what happened",
        description="One outcome, or many in `outcomes`. They may come before their prediction is known and long "
        "after; a later one corrects an earlier one. Sent again, it is the same report.",
    )
    return router


def store_outcomes(
    use_case: UseCase, models: OutcomeSchemas, journal: WriteAheadLog, arrival: RequestContext, payload: Any
) -> Response:
    """Write all outcomes of the request or none.

    Raises:
        HttpError: 422, invalid outcomes; 503, the disk refused the write.
    """
    items = _split_items(payload, models.limit)
    lines: list[bytes] = []
    kept: list[dict[str, Any]] = []
    faults: list[dict[str, Any]] = []
    sender, request_id, at, _, said = arrival
    at = round(at, 6)  # rounded, so that one microsecond more is always later
    for index, item in enumerate(items):
        checked, wrong = models.checked(item)
        if wrong:
            faults += item_errors(index, wrong)
            continue
        # Outcomes in simulated traffic are simulated, even if the items do not say so.
        checked["simulated"] = checked["simulated"] or said == SIMULATED
        kind = label_traffic_type(said, checked["simulated"])
        made = outcome_id(sender.centre, use_case.name, request_id, index, to_json(checked), kind=kind)
        # Of two reports of one call in the same request the later one wins.
        lines.append(encode_outcome(made, sender, use_case.name, at + index * 1e-6, checked, kind=kind))
        kept.append({"index": index, "id": made})
    if faults:
        return error_response(422, faults[:MAX_ERRORS], request_id)
    if not journal.write(b"".join(lines), len(lines)):
        raise http_error(
            503,
            "not_kept",
            "The outcomes cannot be kept at the moment.",
            action="Send them again after a moment.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )
    return JsonBytesResponse(to_json({"request_id": request_id, "use_case": use_case.name, "outcomes": kept}), 202)


def _split_items(payload: Any, limit: int) -> list[Any]:
    allowed = f"one outcome, or an object with outcomes: a list of 1 to {limit}"
    if not isinstance(payload, dict):
        raise http_error(422, "type", "The body is no object.", allowed=allowed)
    if "outcomes" not in payload:
        return [payload]
    if len(payload) > 1:
        raise http_error(422, "extra_forbidden", "Beside outcomes there is nothing.", allowed=allowed)
    items = payload["outcomes"]
    if not isinstance(items, list):
        raise http_error(422, "list_type", "This is no list of outcomes.", field="outcomes", allowed=allowed)
    if not 1 <= len(items) <= limit:
        word = "too_long" if items else "too_short"
        raise http_error(422, word, f"These are {len(items)} outcomes.", field="outcomes", allowed=allowed)
    return items
