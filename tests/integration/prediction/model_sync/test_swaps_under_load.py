"""While champions change under load no request fails and none mixes two versions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.prediction.inference.served_model import ModelSlot, ServedModel
from tests.toy.folder_registry import FolderRegistry

CALL: dict[str, Any] = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}
CALLERS, SWAPS = 4, 6


class _Callers:
    """Threads that call without pause and keep what was wrong with any answer."""

    def __init__(self, url: str, expected: dict[str, Any]) -> None:
        self._url = url
        self._expected = expected
        self._stop = threading.Event()
        self.answered = 0
        self.versions: set[str] = set()
        self.wrong: list[str] = []
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> _Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _call(self, number: int) -> None:
        batch = number % 2 == 1
        path, payload = ("predict/batch", {"rows": [CALL] * 20}) if batch else ("predict", CALL)
        with httpx.Client(base_url=self._url) as client:
            while not self._stop.is_set():
                try:
                    self._check(client.post(f"/v1/toy/{path}", json=payload), batch)
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))

    def _check(self, answer: httpx.Response, batch: bool) -> None:
        self.answered += 1
        if answer.status_code != 200:
            self.wrong.append(answer.text)
            return
        body = answer.json()
        version = body["model_version"]
        self.versions.add(version)
        for given in [item["answer"] for item in body["answers"]] if batch else [body["answer"]]:
            if body["source"] != "champion" or given != self._expected.get(version):
                self.wrong.append(f"{body['source']} {version}: {given}")


def _swap_under_load(serve: Callable[..., Any], bundles: list[Path]) -> _Callers:
    registry = FolderRegistry()
    expected: dict[str, Any] = {}
    registry.promote("toy", 1, bundles[0])
    served = serve(lambda: registry)
    for number in (1, 2):
        registry.promote("toy", number, bundles[number - 1])
        body = served.wait_for(lambda body, n=str(number): body["model_version"] == n)
        expected[str(number)] = body["answer"]
    assert expected["1"] != expected["2"]
    # Version numbers that come again and again, as after promotions and rollbacks.
    with _Callers(served.url, expected) as callers:
        for turn in range(SWAPS):
            number = 1 + turn % 2
            registry.promote("toy", number, bundles[number - 1])
            served.wait_for(lambda body, n=str(number): body["model_version"] == n)
            time.sleep(0.05)
    return callers


def test_no_request_fails_or_mixes_versions_during_swaps(serve: Callable[..., Any], toy_bundles: list[Path]) -> None:
    callers = _swap_under_load(serve, toy_bundles)
    assert callers.wrong == []
    assert callers.versions == {"1", "2"}
    assert callers.answered > 50


class _Torn(ServedModel):
    """The new model under the old one's version, as in a swap of two references."""

    @property
    def version(self) -> str:
        assert self.model is not None
        return "2" if self.model.version == "1" else "1"


def _two_steps(slot: ModelSlot, model: Any, *, confirmed: bool) -> None:
    now = slot._clock()
    if slot.serving.model is not None:
        slot.serving = _Torn(model, now)
        time.sleep(0.1)
    slot.serving = ServedModel(model, now)


def _unload_first(slot: ModelSlot, model: Any, *, confirmed: bool) -> None:
    slot.serving = ServedModel()
    time.sleep(0.1)
    slot.serving = ServedModel(model, slot._clock())


@pytest.mark.parametrize("swap", [_two_steps, _unload_first])
def test_a_swap_in_two_steps_is_noticed(
    serve: Callable[..., Any], toy_bundles: list[Path], monkeypatch: pytest.MonkeyPatch, swap: Any
) -> None:
    monkeypatch.setattr(ModelSlot, "swap", swap)
    assert _swap_under_load(serve, toy_bundles).wrong


def test_a_request_that_began_before_the_swap_is_answered_by_the_old_model_whole(
    serve: Callable[..., Any], toy_bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is held between its prediction and its answer while the champion changes."""
    registry = FolderRegistry()
    registry.promote("toy", 1, toy_bundles[0])
    served = serve(lambda: registry)
    expected = served.wait_for(lambda body: body["model_version"] == "1")["answer"]
    reached, go_on = threading.Event(), threading.Event()
    model = served.app.state.deployments["toy"].slot.serving.model
    honest = type(model).predict_each

    def held(self: Any, columns: Any, context: Any) -> Any:
        prediction = honest(self, columns, context)
        if self is model and len(prediction) == 3:
            reached.set()
            assert go_on.wait(20)
        return prediction

    monkeypatch.setattr(type(model), "predict_each", held)
    answers: list[Any] = []
    url = f"{served.url}/v1/toy/predict/batch"
    caller = threading.Thread(target=lambda: answers.append(httpx.post(url, json={"rows": [CALL] * 3}, timeout=30)))
    caller.start()
    assert reached.wait(20)
    registry.promote("toy", 2, toy_bundles[1])
    served.wait_for(lambda body: body["model_version"] == "2")
    go_on.set()
    caller.join(20)
    body = answers[0].json()
    assert body["model_version"] == "1"
    assert [item["answer"] for item in body["answers"]] == [expected] * 3
