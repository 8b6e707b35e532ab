"""The incident's id is separated from a request, and what the caller sent is not changed by that."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from services.core.web.errors import HttpError
from services.prediction.api.request_body import IncidentIdExtractor


class Plain(BaseModel):
    town: str


class WithOwnField(BaseModel):
    town: str
    incident_id: int | str


def test_the_id_leaves_the_request_and_the_payload_stays_as_it_came() -> None:
    payload = {"town": "east", "incident_id": "2024-118"}
    assert IncidentIdExtractor(Plain).split(payload) == ("2024-118", {"town": "east"})
    assert payload == {"town": "east", "incident_id": "2024-118"}


@pytest.mark.parametrize("payload", [{"town": "east"}, [], None, "text", 7])
def test_what_has_no_id_is_handed_on_as_it_is(payload: Any) -> None:
    incident, request = IncidentIdExtractor(Plain).split(payload)
    assert incident is None
    assert request is payload


def test_an_empty_id_is_no_id() -> None:
    assert IncidentIdExtractor(Plain).split({"town": "east", "incident_id": None}) == (None, {"town": "east"})


@pytest.mark.parametrize("wrong", ["", "a" * 65, "line\nbreak", 7, ["x"]])
def test_what_is_no_id_is_refused(wrong: Any) -> None:
    with pytest.raises(HttpError, match="incident_id"):
        IncidentIdExtractor(Plain).split({"town": "east", "incident_id": wrong})


@pytest.mark.parametrize(
    ("given", "expected"), [("2024-118", "2024-118"), (" 2024-118", "2024-118"), (7, None), (None, None)]
)
def test_a_use_cases_own_field_of_that_name_stays_in_the_request(given: Any, expected: str | None) -> None:
    payload = {"town": "east", "incident_id": given}
    incident, request = IncidentIdExtractor(WithOwnField).split(payload)
    assert incident == expected
    assert request is payload
