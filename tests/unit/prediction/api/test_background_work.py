"""Work beside single calls: bounded, in proportion, and not done for callers that are gone."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.core import use_case_registry
from services.prediction.api import request_validation
from services.prediction.inference.prediction_service import PredictionService
from services.prediction.log.prediction_log import PredictionRecorder
from services.prediction.metrics import PredictionMetrics
from tests.image_samples import base64_of, jpeg
from tests.servers import running

BATCH, EXPLAIN, SINGLE = "/v1/toy/predict/batch", "/v1/toy/explain", "/v1/toy/predict"
THREADS, WAITING = 1, 7
PER_CALLER = (THREADS + WAITING) // 2


class Gate:
    """Stops the work of requests in their thread until it is opened, and counts what begins and what is recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.begun: list[str] = []
        self.work_first = False
        self.recorded = 0
        for name in ("batch", "explain"):
            monkeypatch.setattr(PredictionService, name, self._stopping(getattr(PredictionService, name)))
        record = PredictionRecorder.batch

        def recording(*given: Any) -> None:
            self.recorded += 1
            record(*given)

        monkeypatch.setattr(PredictionRecorder, "batch", recording)

    def _stopping(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def stopped(service: Any, payload: Any, request_id: str, *more: Any) -> Any:
            self.begun.append(request_id)
            found = work(service, payload, request_id, *more) if self.work_first else None
            assert self.open.wait(30)
            return found or work(service, payload, request_id, *more)

        return stopped


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate(monkeypatch)
    yield made
    made.open.set()


@pytest.fixture
def served(make_service: Callable[..., Any], toy_bundles: list[Path], gate: Gate) -> Iterator[tuple[Any, str]]:
    settings = {"prediction_background_threads": THREADS, "prediction_background_waiting": WAITING}
    service = make_service(settings=settings)
    service.registry.promote("toy", 1, toy_bundles[0])
    service.poll()
    with running(service.app) as address:
        yield service, address


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.005)


def send(address: str, path: str, call: dict[str, Any], request_id: str) -> socket.socket:
    """The connection of a caller whose request has been sent."""
    place = urlsplit(address)
    body = json.dumps({"rows": [call]} if path == BATCH else call).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-Id: {request_id}\r\n"
    connection = socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=20)
    connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


@pytest.mark.parametrize("path", [BATCH, EXPLAIN])
def test_work_whose_caller_is_gone_before_it_begins_is_not_done(served: tuple[Any, str], gate: Gate, path: str) -> None:
    service, address = served
    held = service.app.state.work.predictions
    with send(address, path, service.call, "first") as first:
        until(lambda: gate.begun == ["first"])
        abandoned = send(address, path, service.call, "abandoned")
        until(lambda: held.held == 2)
        abandoned.close()
        until(lambda: held.held == 1)  # its place is free at once
        with send(address, path, service.call, "third") as third:
            gate.open.set()
            assert first.recv(100).startswith(b"HTTP/1.1 200")
            assert third.recv(100).startswith(b"HTTP/1.1 200")
    assert gate.begun == ["first", "third"]
    assert gate.recorded == (2 if path == BATCH else 0)


@pytest.mark.parametrize("work_first", [True, False], ids=["leaves after the work", "leaves before it"])
def test_what_nobody_got_is_not_recorded_as_answered(served: tuple[Any, str], gate: Gate, work_first: bool) -> None:
    service, address = served
    gate.work_first = work_first
    caller = send(address, BATCH, service.call, "leaves")
    until(lambda: gate.begun == ["leaves"])
    caller.close()
    with send(address, BATCH, service.call, "stays") as stays:
        until(lambda: service.app.state.work.predictions.held == 2)
        gate.open.set()
        assert stays.recv(100).startswith(b"HTTP/1.1 200")
    assert gate.begun == ["leaves", "stays"]
    assert gate.recorded == 1


def test_what_waits_is_bounded_and_single_calls_go_on(served: tuple[Any, str], gate: Gate) -> None:
    service, address = served
    held = [send(address, BATCH, service.call, f"held-{number}") for number in range(PER_CALLER)]
    until(lambda: service.app.state.work.predictions.held == PER_CALLER)
    refused = httpx.post(address + BATCH, json={"rows": [service.call]})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["errors"][0]["type"] == "busy"
    assert httpx.post(address + SINGLE, json=service.call).status_code == 200
    assert (
        httpx.post(address + "/v1/toy/outcomes", json={"incident_id": "a", "labels": {"late": True}}).status_code == 202
    )
    gate.open.set()
    for connection in held:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.close()
    until(lambda: service.app.state.work.predictions.held == 0)
    assert httpx.post(address + BATCH, json={"rows": [service.call]}).status_code == 200


@pytest.mark.parametrize(
    ("kind", "method", "path"), [("lists", "GET", "predictions"), ("outcomes", "POST", "outcomes")]
)
def test_lists_and_outcomes_have_bounded_places_of_their_own(service: Any, kind: str, method: str, path: str) -> None:
    work = getattr(service.app.state.work, kind)
    work._held["key", "somebody else"] = 8 * work._places
    answer = service.client.request(method, f"/v1/toy/{path}", json={"incident_id": "a", "labels": {"late": True}})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    work._held.clear()
    assert service.client.post(BATCH, json={"rows": [service.call]}).status_code == 200


def test_the_pictures_of_a_batch_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    use_case = use_case_registry.get("product_category")
    validator = request_validation.RequestValidator(use_case, PredictionMetrics(CollectorRegistry()), 10)
    row = {"title": "A novel", "image": base64_of(jpeg(size=(60, 40)))}
    assert len(validator.rows({"rows": [row] * 5}, "live")[0]) == 5
    monkeypatch.setattr(request_validation, "MAX_BATCH_PIXELS", 60 * 40 * 2)
    rows, errors = validator.rows({"rows": [row] * 5}, "live")
    assert [row.position for row in rows] == [0, 1, 2]
    assert [error["errors"][0]["type"] for error in errors] == ["image_pixels"] * 2


def test_a_place_is_taken_before_the_body_is_read(served: tuple[Any, str]) -> None:
    service, address = served
    place = urlsplit(address)
    head = (
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"
        % BATCH.encode()
    )
    halves = []
    for _ in range(PER_CALLER):
        halves.append(socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=20))
        halves[-1].sendall(head)
    until(lambda: service.app.state.work.predictions.held == PER_CALLER)
    assert httpx.post(address + BATCH, json={"rows": [service.call]}).status_code == 503
    for connection in halves:
        connection.close()
    until(lambda: service.app.state.work.predictions.held == 0)


def test_a_batch_ends_between_rows_when_its_caller_leaves(service: Any) -> None:
    asked = []

    def wanted() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        service.desk.answering.batch({"rows": [service.call] * 1_000}, "x", "live", wanted)
    assert len(asked) == 3


def test_the_answer_to_a_batch_is_in_proportion_to_what_was_sent(service: Any) -> None:
    row = {f"k{number}": 1 for number in range(60)}
    body = json.dumps({"rows": [row] * 2_000}).encode()
    answer = service.client.post(BATCH, content=body, headers={"Content-Type": "application/json"})
    errors = answer.json()["errors"]
    assert len(errors) == 2_000
    assert min(len(row["errors"]) for row in errors) == 1
    assert sum(len(row["errors"]) for row in errors) <= request_validation.MAX_BATCH_ERRORS + 2_000
    assert len(answer.content) < 1.5 * len(body)
