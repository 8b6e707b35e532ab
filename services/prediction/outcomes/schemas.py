"""Request and response models of reported outcomes, derived from the use case's targets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model, model_validator

from services.core.contract.fields import MOMENT_RULE, Moment, in_zone
from services.core.contract.use_case import BinaryClassification, MultiClass, Regression, Target, UseCase
from services.core.web.errors import MAX_ERRORS, error_detail, safe_field_name
from services.prediction.api.request_body import MAX_INCIDENT_ID_LENGTH, IncidentId, is_incident_id
from services.prediction.api.schemas import schema_prefix

REFERENCES = ("request_id", "prediction_id", "incident_id")
MAX_CLOCK_SKEW = timedelta(hours=1)
"""How far a reporter's clock may be ahead of the service's."""

MAX_ROW = 2**31 - 1
"""The largest position that the database holds."""

_REFERENCE_RULE = "exactly one of request_id, prediction_id and incident_id"
_ALLOWED = {
    "": _REFERENCE_RULE + ", and labels",
    "request_id": "the request id of a prediction, 1 to 64 of A-Z a-z 0-9 . _ : -",
    "prediction_id": "the id of a prediction, as the list of predictions gives it",
    "row": "the row's position in its batch, from 0; with request_id alone",
    "incident_id": f"the centre's own id, 1 to {MAX_INCIDENT_ID_LENGTH} printable characters",
    "happened_at": f"{MOMENT_RULE}, not in the future",
    "override": "3 to 500 characters",
    "simulated": "true or false",
}


class OutcomeReport(BaseModel):
    """The observed outcome of one call, identified by its request id, its prediction id or the centre's own
    incident id. A later report supersedes an earlier one, label by label."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    request_id: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9._:-]{1,64}$")] | None = (
        Field(default=None, description="The prediction's request id.")
    )
    row: int | None = Field(
        default=None, strict=True, ge=0, le=MAX_ROW, description="Position in the batch, where the request was one."
    )
    prediction_id: UUID | None = Field(default=None, description="The prediction's id, from the list of predictions.")
    incident_id: IncidentId | None = Field(
        default=None, description="The centre's own id of the incident; its latest prediction is meant."
    )
    happened_at: Moment | None = Field(default=None, description="When it was known; without a zone, local time.")
    override: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)] | None = Field(
        default=None,
        description="Why the centre decided otherwise than the answer proposed. No names: it is kept with the call.",
    )
    simulated: bool = Field(
        default=False, strict=True, description="True for outcomes that were made up, such as an exercise's."
    )

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        given = [name for name in REFERENCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{_REFERENCE_RULE} is needed, and {len(given)} are given")
        if self.row is not None and self.request_id is None:
            raise ValueError("row goes with request_id")
        if self.incident_id is not None and not is_incident_id(self.incident_id):
            raise ValueError("incident_id holds characters that cannot be printed")
        return self


class OutcomeAccepted(BaseModel):
    index: int = Field(description="Position in what was sent.")
    id: UUID = Field(description="The report's own id; sent again under the same request id it is the same.")


class OutcomesAccepted(BaseModel):
    """The reports are on disk and will be joined to their predictions."""

    request_id: str
    use_case: str
    outcomes: list[OutcomeAccepted]


class OutcomeSchemas:
    """Request models of one use case, generated from its targets."""

    def __init__(self, use_case: UseCase, limit: int) -> None:
        self.limit = limit
        self._zone = use_case.data.timezone or "UTC"
        name = schema_prefix(use_case)
        targets = {target.label: target for target in reversed(use_case.modelling.targets)}
        fields: dict[str, Any] = {
            label: _label_field(targets[label]) for label in dict.fromkeys(_label_names(use_case))
        }
        labels: Any = create_model(
            f"{name}Labels",
            __config__=ConfigDict(extra="forbid", allow_inf_nan=False),
            __doc__="What was observed. Leave out what is not known; null takes an earlier report back.",
            **fields,
        )
        self.item: type[BaseModel] = create_model(
            f"{name}Outcome",
            __base__=OutcomeReport,
            __doc__=OutcomeReport.__doc__,
            labels=(labels, Field(default_factory=labels)),
        )
        item: Any = self.item
        self.many: type[BaseModel] = create_model(
            f"{name}Outcomes", outcomes=(list[item], Field(min_length=1, max_length=limit))
        )
        self._example = _example_labels(use_case)
        self._follows = [target for target in use_case.modelling.targets if target.follows is not None]
        self._texts = {**_ALLOWED, **{f"labels.{label}": _describe_label(target) for label, target in targets.items()}}
        self._texts["labels"] = "at least one of " + ", ".join(fields) + ", or an override"

    def example(self) -> dict[str, Any]:
        """An outcome as a centre would report it."""
        return {"incident_id": "2024-10-12/117", "labels": self._example}

    def checked(self, item: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
        """Validate one item; return it as stored, or its errors."""
        try:
            found = self.item.model_validate(item)
        except ValidationError as error:
            return {}, [self._fault(each) for each in error.errors(include_url=False, include_input=False)]
        labels: BaseModel = found.labels  # type: ignore[attr-defined]
        given = labels.model_dump(exclude_unset=True)
        override = found.override  # type: ignore[attr-defined]
        if not given and override is None:
            return {}, [error_detail("missing", "No label is given.", field="labels", allowed=self._texts["labels"])]
        contradicted = [target for target in self._follows if target.contradicted_by(given)]
        if contradicted:
            return {}, [_contradiction(target) for target in contradicted]
        happened = found.happened_at  # type: ignore[attr-defined]
        if happened is not None:
            happened = in_zone(happened, self._zone) if happened.tzinfo is None else happened
            if happened > datetime.now(UTC) + MAX_CLOCK_SKEW:
                text = "happened_at lies in the future."
                return {}, [error_detail("future", text, field="happened_at", allowed=_ALLOWED["happened_at"])]
        kept = found.model_dump(include={*REFERENCES, "simulated"}, mode="json")
        return {
            **kept,
            "row_index": found.row,  # type: ignore[attr-defined]
            "happened_at": None if happened is None else happened.astimezone(UTC).isoformat(),
            "labels": given,
            **({} if override is None else {"override": override}),
        }, []

    def _fault(self, error: Mapping[str, Any]) -> dict[str, str]:
        field = ".".join(safe_field_name(part) for part in error["loc"])
        return error_detail(
            error["type"],
            error["msg"].removeprefix("Value error, "),
            field=field,
            allowed=self._texts.get(field, self._texts["labels"] if field.startswith("labels.") else _ALLOWED[""]),
        )


def item_errors(index: int, faults: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Errors of one item with its index."""
    return [{**each, "index": index} for each in faults[:MAX_ERRORS]]


def _contradiction(target: Target) -> dict[str, str]:
    assert target.follows is not None
    reason = f"{target.label} contradicts {target.follows.label}."
    return error_detail("contradiction", reason, field=f"labels.{target.label}", allowed=target.follows.says)


def _label_names(use_case: UseCase) -> list[str]:
    return [target.label for target in use_case.modelling.targets]


def _label_field(target: Target) -> tuple[Any, Any]:
    output = target.output
    title = target.title.en
    if isinstance(output, Regression):
        low, high = output.bounds
        extra: dict[str, Any] = {"x-unit": output.unit}
        field = Field(default=None, title=title, strict=True, ge=low, le=high, json_schema_extra=extra)
        return (float | None, field)
    if isinstance(output, BinaryClassification):
        return (bool | None, Field(default=None, title=title, strict=True))
    assert isinstance(output, MultiClass)
    # The learned classes may change with each model.
    name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_INCIDENT_ID_LENGTH)]
    words: Any = name if output.learned else Literal[output.labels]
    return (words | None, Field(default=None, title=title))


def _example_labels(use_case: UseCase) -> dict[str, Any]:
    """A value for the first target's label."""
    target = use_case.modelling.targets[0]
    output = target.output
    if isinstance(output, Regression):
        return {target.label: output.bounds[0] + 1}
    if isinstance(output, BinaryClassification):
        return {target.label: True}
    assert isinstance(output, MultiClass)
    return {target.label: output.labels[0] if output.labels else "name of a class"}


def _describe_label(target: Target) -> str:
    output = target.output
    if isinstance(output, Regression):
        low, high = output.bounds
        return f"a number in {output.unit}, {low:g} to {high:g}; null takes it back"
    if isinstance(output, BinaryClassification):
        return "true or false; null takes it back"
    assert isinstance(output, MultiClass)
    if output.learned:
        return f"the name of a class, 1 to {MAX_INCIDENT_ID_LENGTH} characters; null takes it back"
    return "one of " + ", ".join(output.labels) + "; null takes it back"
