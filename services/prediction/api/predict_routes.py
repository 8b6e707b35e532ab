"""Routes ``predict``, ``predict/batch`` and ``explain``, with OpenAPI schemas generated from each use case.

The endpoints read, validate and answer by themselves: FastAPI documents them from their signature and does not
validate twice. ``MicroBatcher`` collects calls that arrive in the same event-loop turns into one prediction, without
artificial delay; single rows and batches are equal bit for bit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from services.core.auth.principal import Role
from services.core.contract.use_case import example_request
from services.core.headers import RECORDED_HEADER
from services.core.web.api_docs import operation_id
from services.core.web.authentication import RequiredRole, requires
from services.prediction.api.background_work import BackgroundWork, require_caller
from services.prediction.api.request_body import (
    is_multipart,
    parse_json,
    parse_multipart,
    read_request_body,
    with_incident_field,
)
from services.prediction.api.schemas import (
    batch_request_model,
    batch_response_model,
    explanation_response_model,
    prediction_response_model,
    refusals,
)
from services.prediction.inference.prediction_service import PredictionResult, PredictionService, ValidatedRequest
from services.prediction.log.prediction_log import (
    TRAFFIC_TYPE_OPENAPI,
    PredictionRecorder,
    RequestContext,
    parse_traffic_type,
)
from services.prediction.settings import PredictionSettings

MAX_BATCH_SIZE = 32
"""Larger batches are split, so that other requests are not delayed."""
IDLE_TICKS = 2
PICTURED_WAITING = 30
"""Calls with a picture, of 6 MB at most, that may wait for a thread."""


class MicroBatcher:
    """Collects calls of one event loop into one prediction."""

    def __init__(self, answering: PredictionService) -> None:
        self._answering = answering
        self._waiting: list[tuple[ValidatedRequest, asyncio.Future[PredictionResult]]] = []
        self._seen = 0
        self._quiet_turns = 0

    async def answer(self, call: ValidatedRequest) -> PredictionResult:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[PredictionResult] = loop.create_future()
        self._waiting.append((call, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._flush_if_idle, loop)
        return await future

    def _flush_if_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        """Scheduled once per loop turn: predict if no call arrived for two turns (data read in one turn is processed in
        the next), or if the batch is full."""
        waiting = len(self._waiting)
        self._quiet_turns = self._quiet_turns + 1 if waiting == self._seen else 0
        self._seen = waiting
        if self._quiet_turns >= IDLE_TICKS or waiting >= MAX_BATCH_SIZE:
            self._flush()
        if self._waiting:
            loop.call_soon(self._flush_if_idle, loop)

    def _flush(self) -> None:
        now, self._waiting = self._waiting[:MAX_BATCH_SIZE], self._waiting[MAX_BATCH_SIZE:]
        self._seen = self._quiet_turns = 0
        try:
            answers = self._answering.together([call for call, _ in now])
        except Exception as error:  # noqa: BLE001 - each of the waiting requests reports it
            for _, future in now:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(now, answers, strict=True):
            # A client that disconnected has cancelled its future.
            if not future.done():
                future.set_result(answer)


RequestHandler = Callable[[Request], Awaitable[Response]]


NOT_RECORDED = {RECORDED_HEADER: "no"}


class JsonBytesResponse(Response):
    """Response whose body is serialised JSON already."""

    media_type = "application/json"


class RawEndpoint:
    """An endpoint that takes the raw request; its signature declares the body for OpenAPI."""

    def __init__(self, handle: RequestHandler, body: type[BaseModel]) -> None:
        self.handle = handle
        parameter = inspect.Parameter("body", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=body)
        self.__signature__ = inspect.Signature([parameter])

    async def __call__(self, request: Request) -> Response:
        return await self.handle(request)


class RawRoute(APIRoute):
    """A route whose endpoint gets the unparsed request after authorization. Of the route's dependencies only the
    required role is evaluated, before the body is read."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        assert isinstance(self.endpoint, RawEndpoint)
        handle = self.endpoint.handle
        (required,) = (dependency.dependency for dependency in self.dependencies)
        assert isinstance(required, RequiredRole)
        admit = required.authorize

        async def guarded(request: Request) -> Response:
            admit(request.scope)
            return await handle(request)

        return guarded


def parse_request_body(request: Request, body: bytes, pictures: Collection[str]) -> Any:
    """Parse the body of one request, JSON or multipart.

    Raises:
        HttpError: 422 with the reason.
    """
    kind = next((value for name, value in request.scope["headers"] if name == b"content-type"), b"")
    if pictures and is_multipart(kind):
        return parse_multipart(kind, body, pictures)
    return parse_json(body)


def request_openapi(example: Any, model: type[BaseModel], pictures: Collection[str] = ()) -> dict[str, Any]:
    """OpenAPI entry of a body: an example, and the multipart form for use cases with images."""
    content: dict[str, Any] = {"application/json": {"example": example}}
    if pictures:
        file = {"type": "string", "format": "binary", "description": "A JPEG, PNG or WebP file."}
        properties: dict[str, Any] = {
            name: file if name in pictures else {"type": "string", "description": info.description or ""}
            for name, info in model.model_fields.items()
        }
        content["multipart/form-data"] = {"schema": {"type": "object", "properties": properties}}
    return {"requestBody": {"content": content}}


def predict_router(
    answering: PredictionService,
    recorder: PredictionRecorder,
    settings: PredictionSettings,
    background: BackgroundWork,
) -> APIRouter:
    """Create the routes ``predict``, ``predict/batch`` and ``explain`` of one use case."""
    use_case, validation = answering.use_case, answering.validation
    pictures = validation.pictures
    limit = settings.prediction_body_limit_kb * 1_024 + sum(image.longest for image in pictures.values())
    nullable = settings.prediction_withdrawn == "none"
    batch_limit = settings.prediction_batch_limit_mb * 1_048_576

    gathering = MicroBatcher(answering)
    # Threads of their own, so that a call with an image does not wait behind batches.
    singles = BackgroundWork("calls with pictures", settings.prediction_background_threads, PICTURED_WAITING)

    async def predict(request: Request) -> Response:
        # On the event loop: predicting takes less time than handing it to a thread.
        arrival = RequestContext.of(request.scope)
        body = await read_request_body(request.scope, request.receive, limit)
        incident, sent, fields = validation.take(parse_json(body), arrival.kind)
        answer, decisions, watched = await gathering.answer(ValidatedRequest(fields, arrival.request_id, arrival.kind))
        kept = recorder.call(arrival, body, sent, incident, decisions=decisions, answer=answer, watched=watched)
        return JsonBytesResponse(answer, headers=None if kept else NOT_RECORDED)

    async def predict_pictured(request: Request) -> Response:
        # In a thread: decoding an image takes milliseconds, during which other use cases' calls are answered.
        arrival = RequestContext.of(request.scope)
        singles.enter(request)
        body = await read_request_body(request.scope, request.receive, limit, uploads=True)

        def work() -> Response:
            incident, sent, fields = validation.take(parse_request_body(request, body, pictures), arrival.kind)
            answer, decisions, watched = answering.together(
                [ValidatedRequest(fields, arrival.request_id, arrival.kind)]
            )[0]
            kept = validation.kept(sent, fields)
            recorded = recorder.call(
                arrival, to_json(kept), kept, incident, decisions=decisions, answer=answer, watched=watched
            )
            return JsonBytesResponse(answer, headers=None if recorded else NOT_RECORDED)

        return await singles.run(request.scope, work)

    async def batch(request: Request) -> Response:
        arrival = RequestContext.of(request.scope)
        background.enter(request)
        body = await read_request_body(request.scope, request.receive, batch_limit)

        def work() -> Response:
            wanted = partial(require_caller, request.scope)
            answered = answering.batch(parse_json(body), arrival.request_id, arrival.kind, wanted)
            wanted()  # what nobody gets is no answered call
            recorded = recorder.batch(arrival, answered.envelope, answered.rows)
            return JsonBytesResponse(answered.body, headers=None if recorded else NOT_RECORDED)

        return await background.run(request.scope, work)

    async def explain(request: Request) -> Response:
        kind = parse_traffic_type(request.scope)
        background.enter(request)
        body = await read_request_body(request.scope, request.receive, limit, uploads=bool(pictures))
        request_id = request.scope["request_id"]

        def work() -> bytes:
            return answering.explain(parse_request_body(request, body, pictures), request_id, kind)

        return JsonBytesResponse(await background.run(request.scope, work))

    router = APIRouter(
        route_class=RawRoute,
        generate_unique_id_function=operation_id,
        tags=[use_case.name],
        dependencies=[Depends(requires(Role.DISPATCHER, use_case=use_case.name))],
    )
    example = example_request(use_case.serving.request)

    def add(path: str, handle: RequestHandler, body: type[BaseModel], response: type[BaseModel], summary: str) -> None:
        many = path == "predict/batch"
        verb, _, rest = path.partition("/")
        router.add_api_route(
            f"/v1/{use_case.name}/{path}",
            RawEndpoint(handle, body),
            methods=["POST"],
            name=f"{verb}_{use_case.name}" + (f"_{rest}" if rest else ""),
            response_model=response,
            responses=refusals(401, 403, 413, 415, 422, 503),
            openapi_extra={
                **TRAFFIC_TYPE_OPENAPI,
                **request_openapi({"rows": [example]} if many else example, body, () if many else pictures),
            },
            summary=summary,
            description=use_case.presentation.description.en,
        )

    request = with_incident_field(validation.request)
    add(
        "predict",
        predict_pictured if pictures else predict,
        request,
        prediction_response_model(use_case, nullable),
        f"{use_case.presentation.title.en}: answer one call",
    )
    add(
        "predict/batch",
        batch,
        batch_request_model(use_case, settings.prediction_batch_rows),
        batch_response_model(use_case, nullable),
        f"{use_case.presentation.title.en}: answer many rows at once",
    )
    add(
        "explain",
        explain,
        request,
        explanation_response_model(use_case, nullable),
        f"{use_case.presentation.title.en}: what each input adds to the answer",
    )
    return router
