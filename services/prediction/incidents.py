"""The centre's own id of an incident, which every request may carry beside the use case's fields."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints, create_model

from services.prediction.faults import refused

FIELD = "incident_id"
LONGEST = 64

IncidentId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]
DESCRIPTION = (
    "The centre's own id of the incident, if it has one. The same id again is the same call: its latest "
    "prediction counts. Outcomes can be reported by it."
)
ALLOWED = f"text of 1 to {LONGEST} printable characters, or left out"


class Incidents:
    """Separates the id from requests before the use case sees them. Where the use case has a field of that
    name itself, it stays in."""

    def __init__(self, request: type[BaseModel]) -> None:
        self.own_field = FIELD in request.model_fields

    def split(self, payload: Any) -> tuple[str | None, Any]:
        """The id, if there is one, and the request without it. ``payload`` is not changed.

        Raises:
            RefusedError: 422, it is no id.
        """
        if type(payload) is not dict or FIELD not in payload:
            return None, payload
        incident = payload[FIELD]
        if self.own_field:
            return (incident if is_incident_id(incident) else None), payload
        if incident is not None and not is_incident_id(incident):
            raise refused(422, "incident_id", "This is no id of an incident.", field=FIELD, allowed=ALLOWED)
        request = dict(payload)
        del request[FIELD]
        return incident, request


def is_incident_id(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= LONGEST and value.isprintable()


def with_incident(request: type[BaseModel]) -> type[BaseModel]:
    """The request as the OpenAPI page shows it."""
    if FIELD in request.model_fields:
        return request
    field: Any = (IncidentId | None, Field(default=None, description=DESCRIPTION, examples=["2024-118-0042"]))
    made: type[BaseModel] = create_model(
        request.__name__, __base__=request, __module__=request.__module__, __doc__=request.__doc__, **{FIELD: field}
    )
    return made
