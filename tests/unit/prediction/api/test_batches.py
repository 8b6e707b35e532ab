"""Many rows in one request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

JSON = {"Content-Type": "application/json"}


def _batch(service: Any, rows: Any) -> Any:
    return service.client.post("/v1/toy/predict/batch", json={"rows": rows})


def _varied(service: Any, count: int) -> list[dict[str, Any]]:
    towns = ["east", "west", "north", None, "atlantis"]
    return [
        {
            **service.call,
            "distance": 0.37 * (index % 41),
            "town": towns[index % 5],
            "kind": ["letter", "parcel"][index % 2],
        }
        for index in range(count)
    ]


def test_one_row_and_a_batch_are_answered_alike_bit_for_bit(service: Any) -> None:
    rows = _varied(service, 100)
    answers = _batch(service, rows).json()["answers"]
    assert [item["index"] for item in answers] == list(range(100))
    for row, item in zip(rows, answers, strict=True):
        alone = service.predict(**row)
        assert item["answer"] == alone["answer"]
        assert item["warnings"] == alone["warnings"]


def test_a_bad_row_gets_its_reason_and_the_rest_are_answered(service: Any) -> None:
    rows = [service.call, {**service.call, "distance": -1}, {**service.call, "kind": "horse"}, "what", service.call]
    body = _batch(service, rows).json()
    assert [item["index"] for item in body["answers"]] == [0, 4]
    found = {item["index"]: [(fault["field"], fault["type"]) for fault in item["errors"]] for item in body["errors"]}
    assert found == {
        1: [("distance", "greater_than_equal")],
        2: [("kind", "literal_error")],
        3: [("", "model_type")],
    }


def test_a_batch_without_a_good_row_is_answered_with_reasons_alone(service: Any) -> None:
    body = _batch(service, [{}]).json()
    assert body["answers"] == []
    assert body["errors"][0]["index"] == 0


@pytest.mark.parametrize("body", [{}, [], {"rows": {}}, {"rows": []}, {"rows": "x"}, {"rows": [], "more": 1}, None, 7])
def test_a_body_that_is_no_batch_is_refused(service: Any, body: Any) -> None:
    answer = service.client.post("/v1/toy/predict/batch", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["allowed"]


def test_a_batch_has_a_limit(make_service: Callable[..., Any]) -> None:
    service = make_service(settings={"prediction_batch_rows": 3})
    assert _batch(service, [service.call] * 3).status_code == 200
    refused = _batch(service, [service.call] * 4)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["allowed"] == "between 1 and 3 rows"


def test_ten_thousand_rows_are_answered(service: Any) -> None:
    body = _batch(service, _varied(service, 10_000)).json()
    assert len(body["answers"]) == 10_000
    assert body["errors"] == []


def test_a_model_that_fails_on_a_batch_is_answered_for_by_the_baseline(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(service.desk.slot.serving.model), "predict_each", lambda *_: 1 / 0)
    body = _batch(service, [service.call] * 2).json()
    assert body["source"] == "baseline"
    assert body["warnings"][0]["code"] == "model_failed"
    assert [item["answer"]["seconds"]["median"] for item in body["answers"]] == [600.0, 600.0]
