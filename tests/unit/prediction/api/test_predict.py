"""What a valid call gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.prediction.inference.served_model import NoContext
from tests.toy.declaration import SIZES, ToyAnswer


def test_an_answer_says_which_model_made_it_and_where_that_came_from(service: Any) -> None:
    body = service.predict()
    assert body["use_case"] == "toy"
    assert body["model_version"] == "1"
    assert body["source"] == "champion"
    assert body["simulated"] is True
    assert body["warnings"] == []
    ToyAnswer.model_validate(body["answer"])


def test_an_answer_says_of_each_target_what_kind_of_value_it_is(service: Any) -> None:
    body = service.predict()
    answer, predictions = body["answer"], body["predictions"]
    assert list(predictions) == ["seconds", "late", "size"]
    seconds = answer["seconds"]
    assert predictions["seconds"] == {
        "kind": "quantity",
        "unit": "s",
        "value": seconds["median"],
        "lower": seconds["lower"],
        "upper": seconds["upper"],
    }
    late = predictions["late"]
    assert (late["kind"], late["unit"], late["value"]) == ("probability", "probability", answer["late_probability"])
    assert late["decision"] is answer["late"] is (late["value"] >= late["threshold"])
    size = predictions["size"]
    assert (size["kind"], size["value"], set(size["probabilities"])) == ("classes", answer["size"], set(SIZES))
    assert sum(size["probabilities"].values()) == pytest.approx(1.0)


def test_batches_and_explanations_say_the_same_of_each_target(service: Any) -> None:
    single = service.predict()["predictions"]
    [row] = service.client.post("/v1/toy/predict/batch", json={"rows": [service.call]}).json()["answers"]
    explained = service.client.post("/v1/toy/explain", json=service.call).json()
    assert row["predictions"] == explained["predictions"] == single


def test_the_baseline_says_it_too(make_service: Any) -> None:
    body = make_service().predict()
    assert body["source"] == "baseline"
    assert body["predictions"]["seconds"]["value"] == body["answer"]["seconds"]["median"] == 600.0
    assert body["predictions"]["late"]["threshold"] == 0.5


def test_the_callers_request_id_comes_back_in_header_and_body(service: Any) -> None:
    answer = service.client.post("/v1/toy/predict", json=service.call, headers={"X-Request-Id": "call-17.a"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "call-17.a"


@pytest.mark.parametrize("odd", ["", "a" * 65, "two words", "<script>", "naïve".encode("latin-1")])
def test_a_request_id_that_is_not_sane_is_replaced(service: Any, odd: str | bytes) -> None:
    answer = service.client.post("/v1/toy/predict", json=service.call, headers={"X-Request-Id": odd})
    assert answer.status_code == 200
    assert len(answer.json()["request_id"]) == 24


def test_two_requests_get_two_ids(service: Any) -> None:
    assert service.predict()["request_id"] != service.predict()["request_id"]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"town": "atlantis"}, "unseen_value", "town"),
        ({"town": None}, "missing_field", "town"),
        ({"distance": 99.0}, "outside_training_range", "distance"),
    ],
)
def test_what_the_model_has_not_learned_from_is_warned_about(
    service: Any, changes: dict[str, Any], code: str, field: str
) -> None:
    warnings = service.predict(**changes)["warnings"]
    assert [(warning["code"], warning["field"]) for warning in warnings] == [(code, field)]


def test_a_time_without_a_zone_is_the_use_cases_own(service: Any) -> None:
    fields = service.desk.answering.validation.fields({**service.call, "called_at": "2024-07-05T10:00:00"})
    assert fields["called_at"] == datetime(2024, 7, 5, 9, tzinfo=UTC)


def test_a_call_from_the_future_is_warned_of_whoever_answers(service: Any, make_service: Any) -> None:
    for answering in (service, make_service()):
        for later, codes in ((timedelta(minutes=50), []), (timedelta(minutes=70), ["implausible_time"])):
            call = {**service.call, "called_at": (datetime.now(UTC) + later).isoformat()}
            single = answering.predict(**call)
            batch = answering.client.post("/v1/toy/predict/batch", json={"rows": [call]}).json()["answers"][0]
            explained = answering.client.post("/v1/toy/explain", json=call).json()
            for body in (single, batch, explained):
                found = [item["code"] for item in body["warnings"] if item["field"] == "called_at"]
                assert [code for code in found if code != "outside_training_range"] == codes


NO_TIMES = [
    45_577.7778,
    20_241_012,
    1_704_448_800,
    "45577.7778",
    "20241012",
    "1704448800",
    "2024-01-05",
    "2024-01-05T",
    True,
    "0001-01-01T00:00:00+14:00",
    "1989-12-31T23:59:59",
    "2100-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
]


@pytest.mark.parametrize("said", NO_TIMES)
def test_a_number_is_no_time_and_a_year_has_bounds(service: Any, said: Any) -> None:
    for path, body in (("predict", None), ("explain", None), ("predict/batch", "rows")):
        call = {**service.call, "called_at": said}
        answer = service.client.post(f"/v1/toy/{path}", json={"rows": [call]} if body else call)
        errors = answer.json()["errors"]
        assert answer.status_code == (200 if body else 422)
        [fault] = errors[0]["errors"] if body else errors
        assert fault["field"] == "called_at"
        assert "2024-01-05T10:00:00+00:00" in fault["allowed"]
        assert "1990 to 2099" in fault["allowed"]


def test_a_time_that_is_none_hides_no_other_error(service: Any) -> None:
    call = {**service.call, "called_at": 45_577, "distance": -1}
    errors = service.client.post("/v1/toy/predict", json=call).json()["errors"]
    assert {fault["field"] for fault in errors} == {"called_at", "distance"}


def test_a_model_that_fails_is_answered_for_by_the_baseline(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = service.desk.slot.serving.model
    monkeypatch.setattr(type(model), "predict_each", lambda *_: 1 / 0)
    body = service.predict()
    assert (body["source"], body["model_version"], body["simulated"]) == ("baseline", "baseline", False)
    assert body["warnings"][0]["code"] == "model_failed"
    assert body["answer"]["seconds"]["median"] == 600.0
    assert (
        'vigie_prediction_failures_total{kind="live",use_case="toy",version="1"} 1.0'
        in service.client.get("/metrics").text
    )


def test_answers_are_counted_by_version_source_and_decision(service: Any) -> None:
    late = service.predict(distance=12.0)["answer"]["late"]
    line = (
        f'vigie_predictions_total{{decision="{"yes" if late else "no"}",kind="live",'
        'source="champion",use_case="toy",version="1"}'
    )
    assert f"{line} 1.0" in service.client.get("/metrics").text


def test_missing_context_is_warned_about(make_service: Any, toy_bundles: Any) -> None:
    class Unknown(NoContext):
        def warning(self) -> str | None:
            return "The weather is not known."

    service = make_service(context={"toy": Unknown()})
    service.registry.promote("toy", 1, toy_bundles[0])
    service.poll()
    warned = {"code": "context_missing", "field": None, "message": "The weather is not known."}
    assert service.predict()["warnings"] == [warned]
    batch = service.client.post("/v1/toy/predict/batch", json={"rows": [service.call]}).json()
    assert batch["answers"][0]["warnings"] == [warned]


def test_the_snapshot_of_the_moment_reaches_the_feature_function(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    model = type(service.desk.slot.serving.model)
    honest = model.predict_each

    def watched(self: Any, columns: Any, context: Any) -> Any:
        seen.append(context)
        return honest(self, columns, context)

    monkeypatch.setattr(model, "predict_each", watched)
    monkeypatch.setattr(service.desk.context, "snapshot", lambda: {"weather_time": [1.0]})
    service.predict()
    assert seen == [{"weather_time": [1.0]}]
