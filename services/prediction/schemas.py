"""What goes in and out over HTTP: the typed envelope around a use case's own request and answer."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from services.core.calls.kinds import CallKind
from services.core.usecases.contract import UseCase
from services.prediction.incidents import with_incident

Source = Literal["champion", "cached", "baseline"]


class Warned(BaseModel):
    """Something about a request that makes its answer less sure."""

    code: Literal["unseen_value", "outside_training_range", "missing_field", "context_missing", "model_failed"]
    field: str | None = Field(description="The request field that it is about, if any.")
    message: str


class Fault(BaseModel):
    """One reason why a request was refused. Never holds what was sent."""

    field: str = Field(description="The request field, empty where the body as a whole is meant.")
    reason: str
    allowed: str = Field(description="What the field may hold.")
    type: str = Field(description="A stable word for programs.")


class Refusal(BaseModel):
    errors: list[Fault]
    request_id: str


class Envelope(BaseModel):
    """What every answer says about itself."""

    model_config = ConfigDict(protected_namespaces=())

    request_id: str
    use_case: str
    model_version: str = Field(description="The registry's version number, or 'baseline'.")
    source: Source = Field(
        description="champion: the registry confirmed this version within the last minute; cached: the last good "
        "version, the registry is silent; baseline: no model, published averages."
    )
    kind: CallKind = Field(description="live, or what the call's header said: exercise or simulated.")
    simulated: bool = Field(description="True where the model learned from simulated data.")
    warnings: list[Warned]


class Contributions(BaseModel):
    """One output of a target: output = base + the sum of contributions."""

    label: str | None = Field(description="The class, where the target has classes.")
    output: float
    base: float = Field(description="The output before any input is looked at.")
    contributions: dict[str, float] = Field(
        description="What each input adds to the output, in the target's unit; 'context' is what comes from outside."
    )


class ExplainedTarget(BaseModel):
    unit: str
    outputs: list[Contributions]


class RowFaults(BaseModel):
    index: int = Field(description="Position of the row in the request, from 0.")
    errors: list[Fault]


@cache
def finite(model: type[BaseModel]) -> type[BaseModel]:
    """The model with NaN and infinities refused in every field."""
    body: dict[str, Any] = {
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__doc__": model.__doc__,
        "model_config": ConfigDict(allow_inf_nan=False),
    }
    metaclass: Any = type(model)
    made: type[BaseModel] = metaclass(model.__name__, (model,), body)
    return made


def answer_model(use_case: UseCase) -> type[BaseModel]:
    return create_model(f"{stem(use_case)}Response", __base__=Envelope, answer=(use_case.answer, ...))


def batch_request_model(use_case: UseCase, limit: int) -> type[BaseModel]:
    """Documents the batch's body; rows are validated one by one so that a bad one does not stop the rest."""
    rows = Field(min_length=1, max_length=limit, description="Up to the limit; each row is a request of its own.")
    request: Any = with_incident(finite(use_case.request))
    return create_model(f"{stem(use_case)}Batch", rows=(list[request], rows))


def batch_answer_model(use_case: UseCase) -> type[BaseModel]:
    answer: Any = create_model(
        f"{stem(use_case)}BatchRow", index=(int, ...), answer=(use_case.answer, ...), warnings=(list[Warned], ...)
    )
    return create_model(
        f"{stem(use_case)}BatchResponse",
        __base__=Envelope,
        answers=(list[answer], ...),
        errors=(list[RowFaults], Field(description="The rows that were refused, each with its reasons.")),
    )


def explanation_model(use_case: UseCase) -> type[BaseModel]:
    fields: dict[str, Any] = {target.name: (ExplainedTarget, ...) for target in use_case.targets}
    targets: Any = create_model(f"{stem(use_case)}Targets", **fields)
    return create_model(
        f"{stem(use_case)}Explanation", __base__=Envelope, answer=(use_case.answer, ...), targets=(targets, ...)
    )


def stem(use_case: UseCase) -> str:
    return "".join(part.capitalize() for part in use_case.name.split("_"))
