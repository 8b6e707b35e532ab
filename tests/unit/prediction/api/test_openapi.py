"""The OpenAPI page is the manual; the service says what it serves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.toy.declaration import USE_CASE


@pytest.fixture
def openapi(service: Any) -> dict[str, Any]:
    document: dict[str, Any] = service.client.get("/v1/openapi.json").json()
    return document


def _schema(openapi: dict[str, Any], reference: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = openapi["components"]["schemas"][reference["$ref"].rpartition("/")[2]]
    return found


def test_every_route_of_a_use_case_is_documented(openapi: dict[str, Any]) -> None:
    assert set(openapi["paths"]) == {
        "/v1/caller",
        "/v1/use-cases",
        "/v1/toy",
        "/v1/toy/predict",
        "/v1/toy/predict/batch",
        "/v1/toy/explain",
        "/v1/toy/outcomes",
        "/v1/toy/predictions",
        "/v1/toy/predictions/counts",
        "/health/live",
        "/health/ready",
        "/metrics",
    }


@pytest.mark.parametrize("path", ["predict", "explain"])
def test_the_request_is_documented_with_titles_units_bounds_and_examples(openapi: dict[str, Any], path: str) -> None:
    body = openapi["paths"][f"/v1/toy/{path}"]["post"]["requestBody"]
    assert body["required"]
    distance = _schema(openapi, body["content"]["application/json"]["schema"])["properties"]["distance"]
    assert distance["title"] == "Distance"
    assert distance["x-title-fr"] == "Distance"
    assert distance["x-unit"] == "km"
    assert (distance["minimum"], distance["maximum"], distance["examples"]) == (0, 100, [3.2])


@pytest.mark.parametrize("path", ["predict", "predict/batch", "explain"])
def test_the_answer_and_the_refusals_are_documented(openapi: dict[str, Any], path: str) -> None:
    responses = openapi["paths"][f"/v1/toy/{path}"]["post"]["responses"]
    assert set(responses) == {"200", "401", "403", "413", "415", "422", "503"}
    answer = _schema(openapi, responses["200"]["content"]["application/json"]["schema"])
    assert {"request_id", "use_case", "model_version", "source", "simulated", "warnings"} <= set(answer["required"])
    refusal = _schema(openapi, responses["422"]["content"]["application/json"]["schema"])
    assert set(refusal["properties"]) == {"errors", "request_id"}


def test_the_answer_is_typed_by_target(openapi: dict[str, Any]) -> None:
    predictions = _schema(openapi, {"$ref": "/ToyPredictions"})["properties"]
    named = {name: reference["$ref"].rpartition("/")[2] for name, reference in predictions.items()}
    assert named == {"seconds": "QuantityResponse", "late": "ProbabilityResponse", "size": "ClassesResponse"}


def test_the_documented_example_is_answered(service: Any, openapi: dict[str, Any]) -> None:
    properties = openapi["components"]["schemas"]["ToyRequest"]["properties"]
    example = {name: field["examples"][0] for name, field in properties.items()}
    assert service.client.post("/v1/toy/predict", json=example).status_code == 200


def test_what_is_answered_is_what_is_documented(service: Any) -> None:
    from services.prediction.api.schemas import (
        batch_response_model,
        explanation_response_model,
        prediction_response_model,
    )

    prediction_response_model(USE_CASE).model_validate(service.predict(town=None))
    batch = service.client.post("/v1/toy/predict/batch", json={"rows": [service.call, {}]}).json()
    batch_response_model(USE_CASE).model_validate(batch)
    explanation_response_model(USE_CASE).model_validate(
        service.client.post("/v1/toy/explain", json=service.call).json()
    )


@pytest.mark.parametrize(
    ("query", "allowed"),
    [
        ("from=yesterday", "ISO 8601"),
        ("limit=0", "at least 1"),
        ("source=x", "one of 'champion'"),
        ("kind=x", "'live'"),
    ],
)
def test_a_refused_parameter_says_what_is_allowed(service: Any, query: str, allowed: str) -> None:
    answer = service.client.get(f"/v1/toy/predictions?{query}")
    assert answer.status_code == 422
    assert allowed in answer.json()["errors"][0]["allowed"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/nowhere", "a path that /v1/openapi.json lists"),
        ("GET", "/v1/nothing", "one of toy"),
        ("GET", "/v1/toy/predict", "POST"),
    ],
)
def test_an_unknown_path_or_method_says_what_there_is(service: Any, method: str, path: str, allowed: str) -> None:
    [error] = service.client.request(method, path).json()["errors"]
    assert error["allowed"] == allowed


@pytest.mark.parametrize(("path", "name"), [("predict/batch", "rows"), ("outcomes", "outcomes")])
def test_an_empty_list_is_too_short(service: Any, path: str, name: str) -> None:
    [error] = service.client.post(f"/v1/toy/{path}", json={name: []}).json()["errors"]
    assert (error["type"], error["field"]) == ("too_short", name)


def test_the_page_itself_is_served(service: Any) -> None:
    page = service.client.get("/v1/docs")
    assert page.status_code == 200
    assert "/v1/openapi.json" in page.text


def test_use_cases_are_listed_with_what_serves_them(service: Any) -> None:
    [line] = service.client.get("/v1/use-cases").json()
    assert line["name"] == "toy"
    assert line["title"] == {"en": "Deliveries", "fr": "Livraisons"}
    assert (line["model_version"], line["source"], line["simulated"]) == ("1", "champion", True)


def test_a_use_case_tells_its_model_metrics_and_schema(service: Any) -> None:
    told = service.client.get("/v1/toy").json()
    assert told["model_version"] == "1"
    assert told["bundle"] == service.registry.champions["toy"].bundle_hash
    assert told["metrics"] == {"seconds": {"mae": 41.5}}
    assert told["subgroups"] == {"kind": {"en": "Kind", "fr": "Genre"}}
    assert told["request_schema"]["properties"]["distance"]["maximum"] == 100
    assert "seconds" in told["answer_schema"]["properties"]
    assert told["data"]["seconds.train.rows"] > 0


def test_a_use_case_without_a_model_tells_so(make_service: Any) -> None:
    told = make_service().client.get("/v1/toy").json()
    assert (told["source"], told["bundle"], told["metrics"], told["importance"]) == ("baseline", None, {}, None)


def test_health_is_told(service: Any, make_service: Any) -> None:
    assert service.client.get("/health/live").json() == {"status": "alive"}
    assert service.client.get("/health/ready").json()["degraded"] is False
    fresh = make_service().client.get("/health/ready")
    assert (fresh.status_code, fresh.json()["degraded"]) == (200, True)


def test_requests_are_counted_by_route_and_timed_in_milliseconds(service: Any) -> None:
    service.predict()
    metrics = service.client.get("/metrics").text
    assert 'http_requests_total{handler="/v1/toy/predict",method="POST",status="2xx"} 1.0' in metrics
    assert 'http_request_duration_seconds_bucket{handler="/v1/toy/predict",le="0.002",method="POST"}' in metrics


def test_paths_that_do_not_exist_make_no_new_series(service: Any) -> None:
    for number in range(20):
        service.client.get(f"/v1/nothing-{number}")
    assert "nothing-" not in service.client.get("/metrics").text
