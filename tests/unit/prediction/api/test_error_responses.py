"""Bad input gets a clear 4xx that says field, reason and what is allowed, and never what was sent."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from services.prediction.api.schemas import finite_model

JSON = {"Content-Type": "application/json"}
PATHS = ["/v1/toy/predict", "/v1/toy/explain", "/v1/toy/predict/batch"]


def _send(service: Any, body: bytes | str, path: str = PATHS[0], **headers: str) -> Any:
    return service.client.post(path, content=body, headers={**JSON, **headers})


def _only_fault(answer: Any, status: int = 422) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    [fault] = answer.json()["errors"]
    assert set(fault) == {"field", "reason", "allowed", "type"}
    return dict(fault)


@pytest.mark.parametrize(
    ("changes", "field", "kind", "allowed"),
    [
        ({"distance": -1}, "distance", "greater_than_equal", "a number, at least 0, at most 100 km"),
        ({"distance": 101}, "distance", "less_than_equal", "a number, at least 0, at most 100 km"),
        ({"distance": None}, "distance", "float_type", "a number, at least 0, at most 100 km"),
        ({"distance": "far"}, "distance", "float_parsing", "a number, at least 0, at most 100 km"),
        ({"kind": "horse"}, "kind", "literal_error", "one of letter, parcel"),
        ({"called_at": "yesterday"}, "called_at", "time", "a date and time such as"),
        ({"town": "x" * 41}, "town", "string_too_long", "text, length at most 40, or left out"),
        ({"town": 7}, "town", "string_type", "text, length at most 40, or left out"),
        ({"more": 1}, "more", "extra_forbidden", "one of the fields called_at, distance, kind, town"),
    ],
)
def test_a_field_that_is_not_allowed_is_named(
    service: Any, changes: dict[str, Any], field: str, kind: str, allowed: str
) -> None:
    fault = _only_fault(_send(service, json.dumps({**service.call, **changes})))
    assert (fault["field"], fault["type"]) == (field, kind)
    assert fault["allowed"].startswith(allowed)


def test_every_fault_of_a_request_is_named_at_once(service: Any) -> None:
    errors = _send(service, '{"distance": 1000, "kind": 3}').json()["errors"]
    assert [error["field"] for error in errors] == ["called_at", "distance", "kind"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400])
@pytest.mark.parametrize("path", PATHS)
def test_a_number_that_is_not_finite_is_refused(service: Any, number: str, path: str) -> None:
    row = f'{{"called_at": "2024-01-05T10:00:00Z", "distance": {number}, "kind": "parcel"}}'
    if path.endswith("batch"):
        answer = _send(service, f'{{"rows": [{row}]}}', path)
        assert answer.status_code == 200
        [fault] = answer.json()["errors"][0]["errors"]
    else:
        fault = _only_fault(_send(service, row, path))
    assert fault["field"] == "distance"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_field_without_bounds_takes_no_number_that_is_not_finite_either(number: float) -> None:
    class Loose(BaseModel):
        size: float | None = None

    assert Loose(size=number)
    with pytest.raises(ValidationError, match="finite"):
        finite_model(Loose).model_validate({"size": number})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "body_missing"),
        (b"  \n", "body_missing"),
        (b"{", "json_invalid"),
        (b"distance=3", "json_invalid"),
        (b"\xff\xfe{\x00}\x00", "not_utf8"),
        (b'{"town": "\xc3\x28"}', "not_utf8"),
        (b'{"distance": ' + b"1" * 5_000 + b"}", "json_invalid"),
        (b'{"distance": 1, "kind": "parcel", "distance": 2}', "duplicate_key"),
        (b'{"town": {"a": 1, "a": 2}}', "duplicate_key"),
        (b"[" * 1_000, "too_deep"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "too_deep"),
        (b'{"town": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\"[["', "json_invalid"),
        (b"null", "model_type"),
        (b"7", "model_type"),
        (b"[]", "model_type"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_no_json_object_is_refused(
    make_service: Callable[..., Any], path: str, body: bytes, kind: str
) -> None:
    service = make_service(settings={"prediction_body_limit_kb": 1_024})
    answer = _send(service, body, path)
    assert answer.status_code == 422
    found = answer.json()["errors"][0]["type"]
    assert found == kind or (path.endswith("batch") and kind == "model_type" and found == "missing")


def test_brackets_inside_a_string_are_no_nesting(service: Any) -> None:
    assert _send(service, json.dumps({**service.call, "town": '["{' * 13})).status_code == 200


def test_half_a_unicode_character_is_refused(service: Any) -> None:
    body = json.dumps({**service.call, "town": "x"}).replace('"x"', '"\\ud800"')
    assert _only_fault(_send(service, body))["field"] == "town"
    key = '{"\\ud800": 1}'
    assert _send(service, key).status_code == 422


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(
    make_service: Callable[..., Any], path: str
) -> None:
    service = make_service(settings={"prediction_body_limit_kb": 1, "prediction_batch_limit_mb": 1})
    size = 1_048_577 if path.endswith("batch") else 1_025

    async def unannounced() -> Any:
        for _ in range(0, size, 512):
            yield b" " * 512

    for body in (b" " * size, unannounced()):
        answer = service.client.post(path, content=body, headers=JSON)
        assert _only_fault(answer, 413)["allowed"].startswith("at most ")


@pytest.mark.parametrize("length", ["-1", "x", "9" * 30])
def test_a_content_length_that_makes_no_sense_is_refused(service: Any, length: str) -> None:
    assert _send(service, b"{}", **{"Content-Length": length}).status_code == 413


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "json", ""]
)
def test_a_body_of_another_content_type_is_refused(service: Any, kind: str) -> None:
    answer = service.client.post(PATHS[0], content=b"{}", headers={"Content-Type": kind})
    assert _only_fault(answer, 415)["allowed"] == "Content-Type: application/json"


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.vigie+json"])
def test_a_json_content_type_may_be_spelled_in_several_ways(service: Any, kind: str) -> None:
    answer = service.client.post(PATHS[0], content=json.dumps(service.call), headers={"Content-Type": kind})
    assert answer.status_code == 200


def test_what_was_sent_is_never_echoed(service: Any) -> None:
    secret = "Jeanne Moreau, 4 rue des Lilas"
    for body in (
        {"called_at": secret, "distance": secret, "kind": secret, "town": secret * 9, secret: 1},
        {**service.call, "town": {secret: secret}},
        secret,
    ):
        answer = _send(service, json.dumps(body))
        assert answer.status_code == 422
        assert "Jeanne" not in answer.text


def test_an_unknown_use_case_is_told_the_known_ones(service: Any) -> None:
    for method, path in (("GET", "/v1/tea"), ("POST", "/v1/tea/predict"), ("POST", "/v1/tea/predict/batch")):
        fault = _only_fault(service.client.request(method, path), 404)
        assert fault["allowed"] == "one of toy"


def test_a_wrong_method_is_told_the_right_one(service: Any) -> None:
    answer = service.client.get("/v1/toy/predict")
    _only_fault(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_an_unforeseen_failure_shows_the_request_id_and_no_internals(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(service.desk.slot), "source", lambda *_: 1 / 0)
    answer = _send(service, json.dumps(service.call))
    assert _only_fault(answer, 500)["type"] == "internal"
    assert "division" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_a_compressed_body_is_refused_by_its_encoding(service: Any, path: str) -> None:
    body = gzip.compress(json.dumps(service.call).encode())
    answer = _send(service, body, path, **{"Content-Encoding": "gzip"})
    fault = _only_fault(answer, 415)
    assert (fault["field"], fault["type"]) == ("Content-Encoding", "content_encoding")
    assert answer.headers["accept-encoding"] == "identity"
    assert _send(service, json.dumps(service.call), **{"Content-Encoding": "Identity"}).status_code == 200


def test_a_byte_order_mark_is_no_part_of_the_body(service: Any) -> None:
    assert service.app.state.calls.journal.open()
    marked = b"\xef\xbb\xbf" + json.dumps(service.call).encode()
    assert _send(service, marked).status_code == _send(service, marked, PATHS[1]).status_code == 200
    [segment] = service.app.state.calls.journal.root.glob("**/*.jsonl")
    [line] = segment.read_text().splitlines()
    assert json.loads(line)["request"] == service.call, "the log takes the body over as it came"


@pytest.mark.parametrize(
    ("changes", "field", "kind"),
    [
        ({"distance": True}, "distance", "number"),
        ({"distance": False}, "distance", "number"),
        ({"distance": "1_0"}, "distance", "number"),
        ({"called_at": "2024-01-05"}, "called_at", "time"),
        ({"called_at": " 2024-01-05 "}, "called_at", "time"),
        ({"called_at": 45577.78}, "called_at", "time"),
        ({"called_at": "1704448800"}, "called_at", "time"),
        ({"called_at": 1704448800}, "called_at", "time"),
        ({"called_at": True}, "called_at", "time"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_converted_into_what_nobody_sent(
    service: Any, path: str, changes: dict[str, Any], field: str, kind: str
) -> None:
    call = {**service.call, **changes}
    answer = _send(service, json.dumps({"rows": [call]} if path.endswith("batch") else call), path)
    errors = answer.json()["errors"]
    [fault] = errors[0]["errors"] if path.endswith("batch") else errors
    assert (fault["field"], fault["type"]) == (field, kind)
    assert fault["allowed"]


def test_each_field_has_one_fault(service: Any) -> None:
    errors = _send(service, json.dumps({"called_at": 7, "distance": True, "kind": 3})).json()["errors"]
    assert sorted(error["field"] for error in errors) == ["called_at", "distance", "kind"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_monitors_may_ask_with_head(service: Any, path: str) -> None:
    answer = service.client.request("HEAD", path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
