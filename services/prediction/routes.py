"""Typed routes made from the declarations, so that the OpenAPI page is the manual.

The endpoints that answer calls read, check and answer by themselves: FastAPI documents them from their
signature, and does not validate twice."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import anyio
from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from services.core.access.roles import Role
from services.core.web.authentication import RequiredRole, requires
from services.prediction.answering import Answering, Call
from services.prediction.bodies import parse, read_body
from services.prediction.call_kind import MANUAL, kind_of
from services.prediction.gathering import Gathering
from services.prediction.incidents import with_incident
from services.prediction.recording import Arrival, Recorder
from services.prediction.schemas import (
    Refusal,
    answer_model,
    batch_answer_model,
    batch_request_model,
    explanation_model,
)
from services.prediction.settings import PredictionSettings
from services.prediction.uploads import is_upload, parse_upload

Handle = Callable[[Request], Awaitable[Response]]


class JSONBytes(Response):
    media_type = "application/json"


class DirectEndpoint:
    """Takes the raw request; its signature tells OpenAPI what the body is."""

    def __init__(self, handle: Handle, body: type[BaseModel]) -> None:
        self.handle = handle
        parameter = inspect.Parameter("body", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=body)
        self.__signature__ = inspect.Signature([parameter])

    async def __call__(self, request: Request) -> Response:
        return await self.handle(request)


class DirectRoute(APIRoute):
    """A route whose endpoint gets the request as it came, once its caller is known to be allowed: of the
    route's dependencies it has the required role alone, which is asked before the body is read."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        assert isinstance(self.endpoint, DirectEndpoint)
        handle = self.endpoint.handle
        (required,) = (dependency.dependency for dependency in self.dependencies)
        assert isinstance(required, RequiredRole)
        admit = required.admit

        async def guarded(request: Request) -> Response:
            admit(request.scope)
            return await handle(request)

        return guarded


def parse_request(request: Request, body: bytes, pictures: Collection[str]) -> Any:
    """One request's body, JSON or an upload.

    Raises:
        RefusedError: 422 with the reason.
    """
    kind = next((value for name, value in request.scope["headers"] if name == b"content-type"), b"")
    if pictures and is_upload(kind):
        return parse_upload(kind, body, pictures)
    return parse(body)


def upload_manual(model: type[BaseModel], pictures: Collection[str]) -> dict[str, Any]:
    """What the OpenAPI page says about uploads, where a request may hold pictures."""
    if not pictures:
        return {}
    file = {"type": "string", "format": "binary", "description": "A JPEG, PNG or WebP file."}
    properties: dict[str, Any] = {
        name: file if name in pictures else {"type": "string", "description": info.description or ""}
        for name, info in model.model_fields.items()
    }
    form = {"multipart/form-data": {"schema": {"type": "object", "properties": properties}}}
    return {"requestBody": {"content": form}}


def calls_router(
    answering: Answering, recorder: Recorder, settings: PredictionSettings, background: anyio.CapacityLimiter
) -> APIRouter:
    """``predict``, ``predict/batch`` and ``explain`` of one use case."""
    use_case, validation = answering.use_case, answering.validation
    pictures = validation.pictures
    limit = settings.prediction_body_limit_kb * 1_024 + sum(image.longest for image in pictures.values())
    batch_limit = settings.prediction_batch_limit_mb * 1_048_576

    gathering = Gathering(answering)
    # Of their own, so that a call with a picture does not wait behind batches.
    singles = anyio.CapacityLimiter(settings.prediction_background_threads)

    async def predict(request: Request) -> Response:
        # On the event loop: an answer takes less time than handing it to a thread.
        arrival = Arrival.of(request.scope)
        body = await read_body(request.scope, request.receive, limit)
        incident, sent, fields = validation.take(parse(body), arrival.kind)
        answer, decisions, watched = await gathering.answer(Call(fields, arrival.request_id, arrival.kind))
        recorder.call(arrival, body, sent, incident, decisions=decisions, answer=answer, watched=watched)
        return JSONBytes(answer)

    async def predict_pictured(request: Request) -> Response:
        # In a thread: unpacking a picture takes milliseconds, in which other use cases' calls are answered.
        arrival = Arrival.of(request.scope)
        body = await read_body(request.scope, request.receive, limit, uploads=True)

        def work() -> bytes:
            incident, sent, fields = validation.take(parse_request(request, body, pictures), arrival.kind)
            answer, decisions, watched = answering.together([Call(fields, arrival.request_id, arrival.kind)])[0]
            kept = validation.kept(sent, fields)
            recorder.call(arrival, to_json(kept), kept, incident, decisions=decisions, answer=answer, watched=watched)
            return answer

        return JSONBytes(await anyio.to_thread.run_sync(work, limiter=singles))

    async def batch(request: Request) -> Response:
        arrival = Arrival.of(request.scope)
        body = await read_body(request.scope, request.receive, batch_limit)

        def work() -> bytes:
            answered = answering.batch(parse(body), arrival.request_id, arrival.kind)
            recorder.batch(arrival, answered.envelope, answered.rows)
            return answered.body

        return JSONBytes(await anyio.to_thread.run_sync(work, limiter=background))

    async def explain(request: Request) -> Response:
        kind = kind_of(request.scope)
        body = await read_body(request.scope, request.receive, limit, uploads=bool(pictures))
        request_id = request.scope["request_id"]

        def work() -> bytes:
            return answering.explain(parse_request(request, body, pictures), request_id, kind)

        return JSONBytes(await anyio.to_thread.run_sync(work, limiter=background))

    router = APIRouter(
        route_class=DirectRoute,
        tags=[use_case.name],
        dependencies=[Depends(requires(Role.DISPATCHER, use_case=use_case.name))],
    )
    refusals: dict[int | str, dict[str, Any]] = {
        401: {"model": Refusal, "description": "No token or API key, or one that is not good (any more)."},
        403: {"model": Refusal, "description": "The caller has too low a role, or is for other use cases."},
        413: {"model": Refusal, "description": "The body is too large."},
        415: {"model": Refusal, "description": "The body is not JSON, nor an upload where pictures may be sent."},
        422: {"model": Refusal, "description": "The request is not valid: field, reason and what is allowed."},
        503: {"model": Refusal, "description": "It is not known yet who may call; try again after a moment."},
    }

    def add(path: str, handle: Handle, body: type[BaseModel], response: type[BaseModel], summary: str) -> None:
        router.add_api_route(
            f"/v1/{use_case.name}/{path}",
            DirectEndpoint(handle, body),
            methods=["POST"],
            name=f"{use_case.name}_{path.replace('/', '_')}",
            response_model=response,
            responses=refusals,
            openapi_extra={**MANUAL, **upload_manual(body, pictures)} if path != "predict/batch" else MANUAL,
            summary=summary,
            description=use_case.description.en,
        )

    request = with_incident(validation.request)
    add(
        "predict",
        predict_pictured if pictures else predict,
        request,
        answer_model(use_case),
        f"{use_case.title.en}: answer one call",
    )
    add(
        "predict/batch",
        batch,
        batch_request_model(use_case, settings.prediction_batch_rows),
        batch_answer_model(use_case),
        f"{use_case.title.en}: answer many rows at once",
    )
    add(
        "explain",
        explain,
        request,
        explanation_model(use_case),
        f"{use_case.title.en}: what each input adds to the answer",
    )
    return router
