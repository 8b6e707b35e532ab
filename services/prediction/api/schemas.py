"""Request and response models of the HTTP API, and request validation.

Errors name the field, the reason and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from services.core.contract.columns import allowed_values as words_of
from services.core.contract.columns import column_types, image_fields
from services.core.contract.fields import in_zone
from services.core.contract.image_decoding import ImageError, decode_fields
from services.core.contract.use_case import BinaryClassification, MultiClass, Output, Regression, UseCase
from services.core.prediction_log.records import DIGEST_PREFIX
from services.core.prediction_log.traffic_type import LIVE, TRAFFIC_TYPES, TrafficType
from services.core.web.errors import MAX_ERRORS, HttpError, error_detail, http_error, safe_field_name
from services.prediction.api.request_body import IncidentIdExtractor, with_incident_field
from services.prediction.metrics import PredictionMetrics

PredictionSource = Literal["champion", "cached", "baseline"]


class InputWarning(BaseModel):
    """An input that makes the answer less certain."""

    code: Literal["unseen_value", "outside_training_range", "missing_field", "context_missing", "model_failed"]
    field: str | None = Field(description="The request field that it is about, if any.")
    message: str


class RequestErrorDetail(BaseModel):
    """One reason why a request was refused. Never contains what was sent."""

    field: str = Field(description="The request field, empty where the body as a whole is meant.")
    reason: str
    allowed: str = Field(description="What the field may hold.")
    type: str = Field(description="A stable word for programs.")


class RequestErrorBody(BaseModel):
    errors: list[RequestErrorDetail]
    request_id: str


class PredictionMetadata(BaseModel):
    """Identifies an answer: request, use case, model version and source, with warnings."""

    model_config = ConfigDict(protected_namespaces=())

    request_id: str
    use_case: str
    model_version: str = Field(description="The registry's version number, or 'baseline'.")
    source: PredictionSource = Field(
        description="champion: the registry confirmed this version within the last minute; cached: the last good "
        "version, the registry is silent; baseline: no model, published averages."
    )
    kind: TrafficType = Field(description="live, or what the call's header said: exercise or simulated.")
    simulated: bool = Field(description="True where the model learned from simulated data.")
    warnings: list[InputWarning]


class QuantityResponse(BaseModel):
    """A number with its prediction interval, in ``unit``."""

    kind: Literal["quantity"]
    unit: str
    value: float
    lower: float
    upper: float


class ProbabilityResponse(BaseModel):
    """A calibrated probability and the decision derived from it."""

    kind: Literal["probability"]
    unit: Literal["probability"]
    value: float
    decision: bool = Field(description="True where the probability reaches the threshold.")
    threshold: float


class ClassesResponse(BaseModel):
    """The probability of each class."""

    kind: Literal["classes"]
    unit: Literal["probability"]
    value: str = Field(description="The most probable class.")
    probabilities: dict[str, float] = Field(description="Of each class; they sum to 1.")
    names: dict[str, str] = Field(description="What people call a class, where classes are codes.")


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
    errors: list[RequestErrorDetail]


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


def _answer_fields(use_case: UseCase) -> dict[str, Any]:
    """Response fields: ``answer`` in the use case's shape, and ``predictions`` by target."""
    types = tuple((target.name, _RESPONSE_TYPES[type(target.output)]) for target in use_case.modelling.targets)
    predictions = _predictions_model(f"{schema_prefix(use_case)}Predictions", types)
    return {"answer": (use_case.serving.answer, ...), "predictions": (predictions, ...)}


@cache
def _predictions_model(name: str, types: tuple[tuple[str, type[TargetResponse]], ...]) -> type[BaseModel]:
    """The ``predictions`` model, cached so that all routes of a use case share one OpenAPI schema."""
    fields: dict[str, Any] = {target: (response, ...) for target, response in types}
    return create_model(name, **fields)


def prediction_response_model(use_case: UseCase) -> type[BaseModel]:
    return create_model(f"{schema_prefix(use_case)}Response", __base__=PredictionMetadata, **_answer_fields(use_case))


def batch_request_model(use_case: UseCase, limit: int) -> type[BaseModel]:
    """The batch's body for OpenAPI; rows are validated one by one so that an invalid one does not fail the rest."""
    rows = Field(min_length=1, max_length=limit, description="Up to the limit; each row is a request of its own.")
    request: Any = with_incident_field(finite_model(use_case.serving.request))
    return create_model(f"{schema_prefix(use_case)}Batch", rows=(list[request], rows))


def batch_response_model(use_case: UseCase) -> type[BaseModel]:
    answer: Any = create_model(
        f"{schema_prefix(use_case)}BatchRow",
        index=(int, ...),
        warnings=(list[InputWarning], ...),
        **_answer_fields(use_case),
    )
    return create_model(
        f"{schema_prefix(use_case)}BatchResponse",
        __base__=PredictionMetadata,
        answers=(list[answer], ...),
        errors=(list[RowErrors], Field(description="The rows that were refused, each with its reasons.")),
    )


def explanation_response_model(use_case: UseCase) -> type[BaseModel]:
    fields: dict[str, Any] = {target.name: (TargetExplanation, ...) for target in use_case.modelling.targets}
    targets: Any = create_model(f"{schema_prefix(use_case)}Targets", **fields)
    return create_model(
        f"{schema_prefix(use_case)}Explanation",
        __base__=PredictionMetadata,
        targets=(targets, ...),
        **_answer_fields(use_case),
    )


def schema_prefix(use_case: UseCase) -> str:
    return "".join(part.capitalize() for part in use_case.name.split("_"))


_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"), ("max_length", "length at most"))


class FieldErrorFormatter:
    """Describes what each request field may hold, for error messages."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self._texts = {name: self._describe(name) for name in model.model_fields}

    def faults(self, error: ValidationError) -> list[dict[str, str]]:
        """Errors of a request that failed validation, without its values."""
        return [
            error_detail(
                item["type"],
                item["msg"].removeprefix("Value error, "),
                field=".".join(safe_field_name(part) for part in item["loc"]),
                allowed=self._text(item["loc"]),
            )
            for item in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_ERRORS]
        ]

    def _text(self, loc: Iterable[int | str]) -> str:
        first = next(iter(loc), None)
        if first is None:
            return ""
        return self._texts.get(str(first), "one of the fields " + ", ".join(self._texts))

    def _describe(self, name: str) -> str:
        info = self._model.model_fields[name]
        kind = column_types(self._model)[name]
        if kind == "category":
            parts = ["one of " + ", ".join(words_of(self._model, name))]
        elif kind == "time":
            parts = ["a date and time" + (f" such as {info.examples[0]}" if info.examples else "")]
        elif kind == "image":
            parts = [image_fields(self._model)[name].allowed]
        elif kind == "date":
            parts = ["a date" + (f" such as {info.examples[0]}" if info.examples else "")]
        else:
            parts = [{"number": "a number", "flag": "true or false", "text": "text"}[kind]]
        bounds = {
            key: value for key, _ in _BOUNDS for m in info.metadata if (value := getattr(m, key, None)) is not None
        }
        parts += [f"{text} {_format_bound(bounds[key])}" for key, text in _BOUNDS if key in bounds]
        extra = info.json_schema_extra
        if bounds and isinstance(extra, dict) and extra.get("x-unit"):
            parts[-1] += f" {extra['x-unit']}"
        if not info.is_required():
            parts.append("or left out")
        return ", ".join(parts)


def _format_bound(bound: object) -> str:
    return str(int(bound)) if isinstance(bound, float) and bound.is_integer() else str(bound)


RequestFields = Mapping[str, Any]

MAX_IMAGE_ROWS = 1_000
"""Maximum rows of a batch whose requests may hold images: decoded they are a hundred times larger."""


class ValidatedRow(NamedTuple):
    """A valid row of a batch."""

    position: int
    request: dict[str, Any]
    incident: str | None
    fields: RequestFields


class RequestValidator:
    """Validates requests. ``request`` is the use case's request model, ``pictures`` are its image fields."""

    def __init__(self, use_case: UseCase, counters: PredictionMetrics, batch_rows: int) -> None:
        self.request = finite_model(use_case.serving.request)
        self._validate = self.request.__pydantic_validator__.validate_python
        self._allowed = FieldErrorFormatter(self.request)
        self._batch_rows = batch_rows
        self._zone = use_case.data.timezone or "UTC"
        self.pictures = image_fields(self.request)
        if self.pictures:
            self._batch_rows = min(batch_rows, MAX_IMAGE_ROWS)
        self._times = [name for name, kind in column_types(self.request).items() if kind == "time"]
        self.incidents = IncidentIdExtractor(use_case.serving.request)
        self._refused_rows = {kind: counters.refused_rows.labels(use_case.name, kind).inc for kind in TRAFFIC_TYPES}

    def take(self, payload: Any, kind: TrafficType = LIVE) -> tuple[str | None, Any, RequestFields]:
        """Return the incident id of one request, the request without it, and its validated fields.

        Raises:
            HttpError: 422 with field, reason and what is allowed.
        """
        incident, request = self.incidents.split(payload)
        return incident, request, self.fields(request, kind)

    def fields(self, payload: Any, kind: TrafficType = LIVE) -> RequestFields:
        """Validate one request; times without a zone are in the use case's zone, and images are decoded.

        Raises:
            HttpError: 422 with field, reason and what is allowed.
        """
        try:
            fields: dict[str, Any] = self._validate(payload).__dict__
            for name in self._times:
                moment = fields[name]
                if moment is not None and moment.tzinfo is None:
                    fields[name] = in_zone(moment, self._zone)
            if self.pictures:
                decode_fields(self.pictures, fields)
        except ImageError as error:
            faults = [error_detail(error.code, error.problem, field=error.field, allowed=error.allowed)]
        except ValidationError as error:
            faults = self._allowed.faults(error)
        except OverflowError:
            faults = [error_detail("out_of_range", "A number or a time is too large or too small.")]
        else:
            return fields
        self._refused_rows[kind](1)
        raise HttpError(422, faults)

    def kept(self, payload: Any, fields: RequestFields) -> Any:
        """The storable form of a valid request: images are replaced by their digest."""
        if not self.pictures:
            return payload
        digests = {name: DIGEST_PREFIX + fields[name].sha256 for name in self.pictures if fields[name] is not None}
        return {**payload, **digests}

    def rows(self, payload: Any, kind: TrafficType) -> tuple[list[ValidatedRow], list[dict[str, Any]]]:
        """Return the valid rows of a batch, and the errors of the others.

        Raises:
            HttpError: the body is not a list of rows.
        """
        limit = f"between 1 and {self._batch_rows} rows"
        if not isinstance(payload, dict) or not isinstance(payload.get("rows"), list):
            raise http_error(422, "missing", "A batch is an object with a list of rows.", field="rows", allowed=limit)
        if len(payload) > 1:
            raise http_error(422, "extra_forbidden", "A batch holds rows and nothing else.", allowed="rows")
        given = payload["rows"]
        if not 1 <= len(given) <= self._batch_rows:
            raise http_error(422, "too_long", f"The batch has {len(given)} rows.", field="rows", allowed=limit)
        rows: list[ValidatedRow] = []
        errors: list[dict[str, Any]] = []
        for index, item in enumerate(given):
            try:
                incident, request, fields = self.take(item, kind)
                rows.append(ValidatedRow(index, self.kept(request, fields), incident, fields))
            except HttpError as error:
                errors.append({"index": index, "errors": error.faults})
        return rows, errors
