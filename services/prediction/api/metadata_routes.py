"""Routes about the service itself: use cases, served models, liveness and readiness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from services.core.auth.principal import Role
from services.core.auth.snapshot import Withdrawal
from services.core.contract.use_case import Text, UseCase
from services.core.web.authentication import PUBLIC, requires
from services.prediction.api.schemas import PredictionSource, refusals
from services.prediction.auth import AuthState
from services.prediction.inference.prediction_service import PredictionService
from services.prediction.inference.served_model import LoadedModel, ModelSlot, ServedModel


class LocalizedText(BaseModel):
    en: str
    fr: str

    @classmethod
    def of(cls, text: Text) -> LocalizedText:
        return cls(en=text.en, fr=text.fr)


class UseCaseSummary(BaseModel):
    name: str
    title: LocalizedText
    description: LocalizedText
    model_version: str
    source: PredictionSource
    simulated: bool
    withdrawn: list[Withdrawal] = Field(description="Emergency stops in force: who, when and why.")


class UseCaseDetails(UseCaseSummary):
    created: str | None = Field(description="When the served model was made (UTC).")
    bundle: str | None = Field(description="The served bundle's hash.")
    targets: dict[str, LocalizedText]
    metrics: dict[str, dict[str, float]] = Field(
        description="Target to metric to value on the test slice of the model's own data."
    )
    subgroups: dict[str, LocalizedText] = Field(description="What metrics are also reported by.")
    data: dict[str, Any] = Field(description="What the model was made from.")
    importance: dict[str, dict[str, float]] | None = Field(
        description="Target to request field to its share of the gain; null until it is loaded."
    )
    inputs: dict[str, dict[str, Any]] | None = Field(
        description="Request field to what the model learned from: the range of numbers, the words that occurred."
    )
    places: dict[str, tuple[float, float]] | None = Field(
        description="Named places that the model knows, such as stations, in the unit of the request's position."
    )
    request_schema: dict[str, Any]
    answer_schema: dict[str, Any]


class UseCaseState(BaseModel):
    source: PredictionSource
    model_version: str


class Readiness(BaseModel):
    status: Literal["ready"]
    degraded: bool = Field(
        description="True where a use case is not answered by a confirmed champion, or the list of who may call is old."
    )
    use_cases: dict[str, UseCaseState]
    skipped_use_cases: list[str] = Field(description="Installed, but broken and left out; the log says why.")
    access: AuthState


class Liveness(BaseModel):
    status: Literal["alive"]


def metadata_router(
    desks: Mapping[str, tuple[PredictionService, ModelSlot]], skipped: Sequence[str], access: Callable[[], AuthState]
) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/v1/use-cases",
        tags=["use cases"],
        summary="The use cases and what serves them",
        dependencies=[Depends(requires(Role.VIEWER))],
        responses=refusals(401, 403, 503),
    )
    async def list_use_cases() -> list[UseCaseSummary]:
        lines = []
        for answering, slot in desks.values():
            lines.append(_summary(answering, slot, slot.serving))
        return lines

    def add(answering: PredictionService, slot: ModelSlot) -> None:
        name = answering.use_case.name
        schemas = {
            "request_schema": answering.validation.request.model_json_schema(),
            "answer_schema": answering.use_case.serving.answer.model_json_schema(mode="serialization"),
        }

        async def one() -> UseCaseDetails:
            return _details(answering, slot, schemas)

        router.add_api_route(
            f"/v1/{name}",
            one,
            name=f"describe_{name}",
            tags=[name],
            responses=refusals(401, 403, 503),
            summary=f"{answering.use_case.presentation.title.en}: the model in service",
            dependencies=[Depends(requires(Role.VIEWER, use_case=name))],
        )

    for answering, slot in desks.values():
        add(answering, slot)

    @router.get(
        "/v1/caller",
        tags=["use cases"],
        status_code=204,
        summary="Whether the credential is good",
        responses=refusals(401, 403, 503),
        dependencies=[Depends(requires(Role.VIEWER))],
    )
    async def check_caller() -> None:
        """The edge asks this, by the request's header, before it keeps any byte of a body."""

    @router.get("/health/live", tags=["health"], openapi_extra=dict(PUBLIC))
    async def get_liveness() -> Liveness:
        return Liveness(status="alive")

    @router.get("/health/ready", tags=["health"], openapi_extra=dict(PUBLIC))
    async def get_readiness() -> Readiness:
        states = {}
        for name, (answering, slot) in desks.items():
            serving = slot.current(answering.use_case)
            states[name] = UseCaseState(source=slot.source(serving), model_version=serving.version)
        callers = access()
        degraded = callers.stale or any(state.source != "champion" for state in states.values())
        return Readiness(
            status="ready", degraded=degraded, use_cases=states, skipped_use_cases=list(skipped), access=callers
        )

    for path, state in (("/health/live", get_liveness), ("/health/ready", get_readiness)):  # monitors ask with HEAD
        router.add_api_route(path, state, methods=["HEAD"], include_in_schema=False)
    return router


def _summary(answering: PredictionService, slot: ModelSlot, served: ServedModel) -> UseCaseSummary:
    serving = slot.current(answering.use_case, served)
    return UseCaseSummary(
        name=answering.use_case.name,
        title=LocalizedText.of(answering.use_case.presentation.title),
        description=LocalizedText.of(answering.use_case.presentation.description),
        model_version=serving.version,
        source=slot.source(serving),
        simulated=serving.simulated,
        withdrawn=list(slot.withdrawn),
    )


def _details(answering: PredictionService, slot: ModelSlot, schemas: dict[str, Any]) -> UseCaseDetails:
    use_case = answering.use_case
    serving = slot.serving
    model = serving.model
    return UseCaseDetails(
        **_summary(answering, slot, serving).model_dump(),
        created=model.created if model else None,
        bundle=model.hash if model else None,
        targets={target.name: LocalizedText.of(target.title) for target in use_case.modelling.targets},
        metrics=model.metrics if model else {},
        subgroups={subgroup.column: LocalizedText.of(subgroup.title) for subgroup in use_case.modelling.subgroups},
        data=dict(model.predictor.manifest.data) if model else {},
        importance=model.importance if model else None,
        inputs=model.predictor.inputs if model else None,
        places=_named_places(use_case, model) if model else None,
        **schemas,
    )


def _named_places(use_case: UseCase, model: LoadedModel) -> dict[str, tuple[float, float]] | None:
    return dict(use_case.features.map_points(model.predictor.fitted)) or None
