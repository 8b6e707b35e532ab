"""Whatever is sent, the answer is an answer or a clear refusal: never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.toy.declaration import ToyAnswer

FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PATHS = ["/v1/toy/predict", "/v1/toy/predict/batch", "/v1/toy/explain"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=50)
    | st.datetimes().map(str)
    | st.sampled_from(["letter", "parcel", "2024-01-05T10:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z", 1e20])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
calls = st.dictionaries(
    st.sampled_from(["called_at", "distance", "kind", "town"]) | st.text(max_size=12), values, max_size=6
)
nearly = st.fixed_dictionaries(
    {"called_at": scalars, "distance": scalars | st.floats(0, 100), "kind": st.sampled_from(["letter", "parcel"])},
    optional={"town": scalars},
)


def _check(answer: Any) -> None:
    assert answer.status_code in {200, 413, 415, 422}, answer.text
    body = answer.json()
    if answer.status_code != 200:
        assert all(set(fault) == {"field", "reason", "allowed", "type"} for fault in body["errors"])
        assert body["errors"]
    else:
        assert body["source"] == "champion", "the model, not the baseline, has to stand what is valid"
        for item in body.get("answers", [body]):
            if "answer" in item:
                ToyAnswer.model_validate(item["answer"])


@pytest.mark.parametrize("path", PATHS)
@FUZZ
@given(body=st.binary(max_size=200))
def test_any_bytes(service: Any, path: str, body: bytes) -> None:
    _check(service.client.post(path, content=body, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("path", PATHS)
@FUZZ
@given(body=calls | nearly | values)
def test_any_json(service: Any, path: str, body: Any) -> None:
    payload = {"rows": [body]} if path.endswith("batch") else body
    content = json.dumps(payload).encode("utf-8", "surrogatepass")
    _check(service.client.post(path, content=content, headers={"Content-Type": "application/json"}))


@FUZZ
@given(header=st.binary(min_size=1, max_size=100).filter(lambda text: not {0, 10, 13} & set(text)))
def test_any_request_id(service: Any, header: bytes) -> None:
    answer = service.client.post(PATHS[0], json=service.call, headers={"X-Request-Id": header})
    assert answer.status_code == 200
    assert len(answer.json()["request_id"]) <= 64
