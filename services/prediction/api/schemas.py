"""Request and response models of the HTTP API, and request validation.

Errors name the field, the reason and what is allowed."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from services.core.auth.snapshot import Withdrawal
from services.core.contract.use_case import BinaryClassification, MultiClass, Output, Regression, UseCase
from services.core.headers import TrafficType
from services.core.web.errors import ErrorBody, ErrorDetail
from services.prediction.api.request_body import with_incident_field

_REFUSALS: dict[int, str] = {
    401: "No token or API key, or one that is not good (any more).",
    403: "The caller has too low a role, or is for other use cases or centres.",
    413: "The body is too large.",
    415: "The body is not JSON, nor an upload where pictures may be sent.",
    422: "The request is not valid: field, reason and what is allowed.",
    503: "It is not known yet who may call, or too much waits already; try again after a moment.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries of these error statuses."""
    return {status: {"model": ErrorBody, "description": _REFUSALS[status]} for status in statuses}


PredictionSource = Literal["champion", "cached", "baseline", "withdrawn"]


class InputWarning(BaseModel):
    """An input that makes the answer less certain."""

    code: Literal[
        "unseen_value",
        "outside_training_range",
        "missing_field",
        "context_missing",
        "model_failed",
        "implausible_time",
        "contradiction",
        "withdrawn",
    ]
    field: str | None = Field(description="The request field that it is about, if any.")
    message: str
    withdrawal: Withdrawal | None = Field(default=None, description="Who withdrew the advice, when and why.")


class PredictionMetadata(BaseModel):
    """Identifies an answer: request, use case, model version and source, with warnings."""

    model_config = ConfigDict(protected_namespaces=())

    request_id: str
    use_case: str
    model_version: str = Field(description="The registry's version number, or 'baseline'.")
    source: PredictionSource = Field(
        description="champion: the registry confirmed this version within the last minute; cached: the last good "
        "version, the registry is silent; baseline: no model, published averages; withdrawn: an operator stopped the "
        "model's advice, published averages or nothing."
    )
    kind: TrafficType = Field(description="live, or what the call's header said: exercise or simulated.")
    simulated: bool = Field(description="True where the model learned from simulated data.")
    warnings: list[InputWarning]


_WITHDRAWN = Field(default=False, description="True where an operator withdrew the model's advice: the baseline's.")


class QuantityResponse(BaseModel):
    """A number with its prediction interval, in ``unit``."""

    kind: Literal["quantity"]
    unit: str
    value: float
    lower: float
    upper: float
    withdrawn: bool = _WITHDRAWN


class ProbabilityResponse(BaseModel):
    """A calibrated probability and the decision derived from it."""

    kind: Literal["probability"]
    unit: Literal["probability"]
    value: float
    decision: bool = Field(description="True where the probability reaches the threshold.")
    threshold: float
    withdrawn: bool = _WITHDRAWN


class ClassesResponse(BaseModel):
    """The probability of each class."""

    kind: Literal["classes"]
    unit: Literal["probability"]
    value: str = Field(description="The most probable class.")
    probabilities: dict[str, float] = Field(description="Of each class; they sum to 1.")
    names: dict[str, str] = Field(description="What people call a class, where classes are codes.")
    withdrawn: bool = _WITHDRAWN


TargetResponse = QuantityResponse | ProbabilityResponse | ClassesResponse
_RESPONSE_TYPES: dict[type[Output], type[TargetResponse]] = {
    Regression: QuantityResponse,
    BinaryClassification: ProbabilityResponse,
    MultiClass: ClassesResponse,
}


class OutputContributions(BaseModel):
    """Attribution of one output of a target: output = base + the sum of contributions."""

    label: str | None = Field(description="The class, where the target has classes.")
    output: float
    base: float = Field(description="The output before any input is looked at.")
    contributions: dict[str, float] = Field(
        description="What each input adds to the output, in the target's unit; 'context' is what comes from outside."
    )


class TargetExplanation(BaseModel):
    unit: str
    outputs: list[OutputContributions]


class RowErrors(BaseModel):
    index: int = Field(description="Position of the row in the request, from 0.")
    errors: list[ErrorDetail]


@cache
def finite_model(model: type[BaseModel]) -> type[BaseModel]:
    """A copy of the model that refuses NaN and infinities in every field."""
    body: dict[str, Any] = {
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__doc__": model.__doc__,
        "model_config": ConfigDict(allow_inf_nan=False),
    }
    metaclass: Any = type(model)
    made: type[BaseModel] = metaclass(model.__name__, (model,), body)
    return made


def _answer_fields(use_case: UseCase, nullable: bool) -> dict[str, Any]:
    """Response fields: ``answer`` in the use case's shape, and ``predictions`` by target; ``nullable`` where withdrawn
    advice has no figures."""
    types = tuple((target.name, _RESPONSE_TYPES[type(target.output)]) for target in use_case.modelling.targets)
    answer: Any = use_case.serving.answer
    predictions: Any = _predictions_model(f"{schema_prefix(use_case)}Predictions", types, nullable)
    if nullable:
        return {"answer": (answer | None, ...), "predictions": (predictions | None, ...)}
    return {"answer": (answer, ...), "predictions": (predictions, ...)}


@cache
def _predictions_model(
    name: str, types: tuple[tuple[str, type[TargetResponse]], ...], nullable: bool
) -> type[BaseModel]:
    """The ``predictions`` model, cached so that all routes of a use case share one OpenAPI schema."""
    fields: dict[str, Any] = {target: (response | None if nullable else response, ...) for target, response in types}
    return create_model(name, **fields)


def prediction_response_model(use_case: UseCase, nullable: bool = False) -> type[BaseModel]:
    return create_model(
        f"{schema_prefix(use_case)}Response", __base__=PredictionMetadata, **_answer_fields(use_case, nullable)
    )


def batch_request_model(use_case: UseCase, limit: int) -> type[BaseModel]:
    """The batch's body for OpenAPI; rows are validated one by one so that an invalid one does not fail the rest."""
    rows = Field(min_length=1, max_length=limit, description="Up to the limit; each row is a request of its own.")
    request: Any = with_incident_field(finite_model(use_case.serving.request))
    return create_model(f"{schema_prefix(use_case)}Batch", rows=(list[request], rows))


def batch_response_model(use_case: UseCase, nullable: bool = False) -> type[BaseModel]:
    answer: Any = create_model(
        f"{schema_prefix(use_case)}BatchRow",
        index=(int, ...),
        warnings=(list[InputWarning], ...),
        **_answer_fields(use_case, nullable),
    )
    return create_model(
        f"{schema_prefix(use_case)}BatchResponse",
        __base__=PredictionMetadata,
        answers=(list[answer], ...),
        errors=(list[RowErrors], Field(description="The rows that were refused, each with its reasons.")),
    )


def explanation_response_model(use_case: UseCase, nullable: bool = False) -> type[BaseModel]:
    fields: dict[str, Any] = {target.name: (TargetExplanation, ...) for target in use_case.modelling.targets}
    targets: Any = create_model(f"{schema_prefix(use_case)}Targets", **fields)
    return create_model(
        f"{schema_prefix(use_case)}Explanation",
        __base__=PredictionMetadata,
        targets=(targets, ...),
        **_answer_fields(use_case, nullable),
    )


def schema_prefix(use_case: UseCase) -> str:
    return "".join(part.capitalize() for part in use_case.name.split("_"))
