"""Validates requests; errors name the field, the reason and what is allowed, and never contain what was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from services.core.contract.columns import allowed_values as words_of
from services.core.contract.columns import column_types
from services.core.contract.fields import check_time, declared_years, image_fields, in_zone
from services.core.contract.image_decoding import ImageError, decode_fields
from services.core.contract.use_case import UseCase
from services.core.headers import LIVE, TRAFFIC_TYPES, TrafficType
from services.core.prediction_log.records import DIGEST_PREFIX
from services.core.web.errors import MAX_ERRORS, HttpError, error_detail, http_error, safe_field_name
from services.prediction.api.request_body import IncidentIdExtractor
from services.prediction.api.schemas import finite_model
from services.prediction.metrics import PredictionMetrics

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

    def text(self, name: str) -> str:
        """What the field may hold."""
        return self._texts[name]

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
            parts = ["a date and time" + (f" such as {info.examples[0]}" if info.examples else ""), _years_text(info)]
        elif kind == "image":
            parts = [image_fields(self._model)[name].allowed]
        elif kind == "date":
            parts = ["a date" + (f" such as {info.examples[0]}" if info.examples else ""), _years_text(info)]
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


def _years_text(info: FieldInfo) -> str:
    first, last = declared_years(info)
    return f"text in ISO 8601 of the years {first} to {last}"


def _format_bound(bound: object) -> str:
    return str(int(bound)) if isinstance(bound, float) and bound.is_integer() else str(bound)


RequestFields = Mapping[str, Any]

MAX_IMAGE_ROWS = 1_000
"""Maximum rows of a batch whose requests may hold images: decoded they are a hundred times larger."""


MAX_BATCH_PIXELS = 250_000_000
"""Of all pictures of one batch: unpacking 16 million takes about a second."""
MAX_BATCH_ERRORS = 1_000
"""Reasons in the response to one batch, so that it is in proportion to what was sent."""


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
        kinds = {name: kind for name, kind in column_types(self.request).items() if kind in {"time", "date"}}
        self._numbers = frozenset(name for name, kind in column_types(self.request).items() if kind == "number")
        self._times = [name for name, kind in kinds.items() if kind == "time"]
        self._clocks = [
            (name, kind == "date", declared_years(self.request.model_fields[name])) for name, kind in kinds.items()
        ]
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
        wrong = self._conversion_errors(payload)
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
            faults = [] if wrong else [error_detail("out_of_range", "A number or a time is too large or too small.")]
        else:
            if not wrong:
                return fields
            faults = []
        self._refused_rows[kind](1)
        named = {fault["field"] for fault in wrong}
        raise HttpError(422, [*wrong, *(fault for fault in faults if fault["field"] not in named)])

    def _conversion_errors(self, payload: Any) -> list[dict[str, str]]:
        """Errors of values that pydantic would read as something else: ``true`` and ``1_000`` as numbers, and times
        that are no ISO 8601 or of other years."""
        wrong: list[dict[str, str]] = []
        if type(payload) is not dict:
            return wrong
        for name, day, years in self._clocks:
            value = payload.get(name)
            if value is None:
                continue
            try:
                check_time(value, day=day, years=years)
            except ValueError as error:
                wrong.append(
                    error_detail("time", f"This is not {error}.", field=name, allowed=self._allowed.text(name))
                )
        for name in self._numbers & payload.keys():
            value = payload[name]
            if type(value) is bool or (type(value) is str and "_" in value):
                wrong.append(error_detail("number", "This is no number.", field=name, allowed=self._allowed.text(name)))
        return wrong

    def kept(self, payload: Any, fields: RequestFields) -> Any:
        """The storable form of a valid request: images are replaced by their digest."""
        if not self.pictures:
            return payload
        digests = {name: DIGEST_PREFIX + fields[name].sha256 for name in self.pictures if fields[name] is not None}
        return {**payload, **digests}

    def rows(
        self, payload: Any, kind: TrafficType, wanted: Callable[[], None] = lambda: None
    ) -> tuple[list[ValidatedRow], list[dict[str, Any]]]:
        """Return the valid rows of a batch, and the errors of the others: ``MAX_BATCH_ERRORS`` in all, at least one of
        each row. ``wanted`` is called between rows and raises if nobody waits for the result.

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
            raise http_error(
                422,
                "too_long" if given else "too_short",
                f"The batch has {len(given)} rows.",
                field="rows",
                allowed=limit,
            )
        rows: list[ValidatedRow] = []
        errors: list[dict[str, Any]] = []
        details, pixels = MAX_BATCH_ERRORS, 0
        reason = "The pictures of the rows before this one have too many pixels; send it in a batch of its own."
        for index, item in enumerate(given):
            wanted()
            try:
                if pixels > MAX_BATCH_PIXELS:
                    self._refused_rows[kind](1)
                    raise http_error(
                        422, "image_pixels", reason, allowed=f"{MAX_BATCH_PIXELS // 10**6} megapixels in all"
                    )
                incident, request, fields = self.take(item, kind)
                pixels += sum(fields[name].file_pixels for name in self.pictures if fields[name] is not None)
                rows.append(ValidatedRow(index, self.kept(request, fields), incident, fields))
            except HttpError as error:
                shown = error.faults[: max(1, details)]
                details -= len(shown)
                errors.append({"index": index, "errors": shown})
        return rows, errors
