"""Calls that arrive at the same moment share one prediction, and nobody can tell."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from services.prediction.api.predict_routes import MAX_BATCH_SIZE, MicroBatcher
from services.prediction.inference.prediction_service import PredictionResult, ValidatedRequest


def _calls(service: Any, count: int) -> list[Any]:
    answering = service.desk.answering
    return [
        ValidatedRequest(answering.validation.fields({**service.call, "distance": 0.3 * number}), f"id-{number}")
        for number in range(count)
    ]


def _together(service: Any, calls: list[Any]) -> list[dict[str, Any]]:
    async def main() -> list[PredictionResult]:
        gathering = MicroBatcher(service.desk.answering)
        return await asyncio.gather(*(gathering.answer(call) for call in calls))

    return [json.loads(answer.body) for answer in asyncio.run(main())]


@pytest.fixture
def sizes(service: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each prediction had."""
    seen: list[int] = []
    model = type(service.desk.slot.serving.model)
    honest = model.predict_each

    def counted(self: Any, columns: Any, context: Any) -> Any:
        seen.append(len(columns["distance"]))
        return honest(self, columns, context)

    monkeypatch.setattr(model, "predict_each", counted)
    return seen


def test_calls_at_the_same_moment_are_one_prediction(service: Any, sizes: list[int]) -> None:
    _together(service, _calls(service, 8))
    assert sizes == [8]


def test_each_caller_gets_the_answer_to_its_own_call_bit_for_bit(service: Any) -> None:
    calls = _calls(service, 12)
    for call, answer in zip(calls, _together(service, calls), strict=True):
        [alone] = service.desk.answering.together([call])
        assert answer == json.loads(alone.body)
        assert answer["request_id"] == call[1]


def test_very_many_calls_are_answered_in_turns(service: Any, sizes: list[int]) -> None:
    answers = _together(service, _calls(service, 2 * MAX_BATCH_SIZE + 5))
    assert len(answers) == 2 * MAX_BATCH_SIZE + 5
    assert sizes == [MAX_BATCH_SIZE, MAX_BATCH_SIZE, 5]


def test_a_call_that_the_model_fails_on_does_not_harm_the_others(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = type(service.desk.slot.serving.model)
    honest = model.predict_each

    def poisoned(self: Any, columns: Any, context: Any) -> Any:
        if 0.3 in columns["distance"]:
            raise ZeroDivisionError
        return honest(self, columns, context)

    monkeypatch.setattr(model, "predict_each", poisoned)
    assert [answer["source"] for answer in _together(service, _calls(service, 3))] == [
        "champion",
        "baseline",
        "champion",
    ]


def test_rules_that_fail_on_one_call_do_not_harm_the_others(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = type(service.desk.slot.serving.model)
    honest = model.predict_each

    def half_empty(self: Any, columns: Any, context: Any) -> Any:
        found = honest(self, columns, context)
        return [({}, {}), *found[1:]]

    monkeypatch.setattr(model, "predict_each", half_empty)
    sources = [answer["source"] for answer in _together(service, _calls(service, 3))]
    assert sources == ["baseline", "champion", "champion"]


def test_a_caller_that_hangs_up_does_not_harm_the_others(service: Any) -> None:
    async def main() -> list[Any]:
        gathering = MicroBatcher(service.desk.answering)
        tasks = [asyncio.create_task(gathering.answer(call)) for call in _calls(service, 3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = asyncio.run(main())
    assert isinstance(second, asyncio.CancelledError)
    assert json.loads(first.body)["request_id"] == "id-0"
    assert json.loads(third.body)["request_id"] == "id-2"


def test_a_failure_of_the_service_itself_reaches_every_waiting_request(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(service.desk.slot), "source", lambda *_: 1 / 0)

    async def main() -> list[Any]:
        gathering = MicroBatcher(service.desk.answering)
        answers = (gathering.answer(call) for call in _calls(service, 2))
        return await asyncio.gather(*answers, return_exceptions=True)

    assert [type(found) for found in asyncio.run(main())] == [ZeroDivisionError, ZeroDivisionError]
