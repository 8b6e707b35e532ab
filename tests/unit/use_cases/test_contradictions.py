"""A place that is given twice and differently is warned of; times of all use cases keep to one rule."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.core import use_case_registry
from services.core.contract.use_case import example_request
from services.core.web.errors import HttpError
from services.prediction.api.request_validation import RequestValidator
from services.prediction.inference.served_model import RequestWarnings
from services.prediction.metrics import PredictionMetrics


def warned(name: str, **changes: Any) -> list[str]:
    """Fields that the answer would warn of as contradictory."""
    use_case = use_case_registry.get(name)
    request = {**example_request(use_case.serving.request), **changes}
    fields = validator(name).fields({key: value for key, value in request.items() if value is not None})
    return [found["field"] for found in RequestWarnings(use_case)(fields) if found["code"] == "contradiction"]


def validator(name: str) -> RequestValidator:
    return RequestValidator(use_case_registry.get(name), PredictionMetrics(CollectorRegistry()), 10)


@pytest.mark.parametrize("name", use_case_registry.names())
def test_the_example_contradicts_itself_nowhere(name: str) -> None:
    assert warned(name) == []


@pytest.mark.parametrize(
    ("department", "commune", "fields"),
    [
        ("38", "38185", []),
        ("38", "75056", ["commune"]),
        ("974", "97411", []),
        ("2A", "2B033", ["commune"]),
        (None, "75056", []),
    ],
)
def test_a_commune_of_another_department(department: str | None, commune: str, fields: list[str]) -> None:
    place = {"latitude": None, "longitude": None}
    assert warned("road_accidents", department=department, commune=commune, **place) == fields


@pytest.mark.parametrize(
    ("department", "commune", "latitude", "longitude", "fields"),
    [
        ("38", None, 45.2, 5.7, []),
        ("38", None, 48.9, 2.35, ["latitude"]),
        (None, "38185", -21.1, 55.5, ["latitude"]),
        ("974", None, -21.1, 55.5, []),
        (None, None, -21.1, 55.5, []),
        ("974", "38185", 45.2, 5.7, ["commune", "latitude"]),
    ],
)
def test_degrees_far_from_the_department(
    department: str | None, commune: str | None, latitude: float, longitude: float, fields: list[str]
) -> None:
    place = {"department": department, "commune": commune, "latitude": latitude, "longitude": longitude}
    assert warned("road_accidents", **place) == fields


def test_degrees_far_from_the_grid() -> None:
    assert warned("fire_response", latitude=51.6, longitude=-0.1144) == ["latitude"]
    assert warned("fire_response", easting=None, northing=None, latitude=51.6) == []


TIMES = {"fire_response": "call_time", "road_accidents": "occurred_at", "rain_tomorrow": "date"}


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize(
    "said", [45_577.7778, "45577.7778", 20_241_012, "0001-01-01T00:00:00", "0001-01-01", "2100-01-01"]
)
def test_one_rule_of_times_for_all_use_cases(name: str, said: Any) -> None:
    request = {**example_request(use_case_registry.get(name).serving.request), TIMES[name]: said}
    with pytest.raises(HttpError) as refused:
        validator(name).fields(request)
    assert [fault["field"] for fault in refused.value.faults] == [TIMES[name]]
