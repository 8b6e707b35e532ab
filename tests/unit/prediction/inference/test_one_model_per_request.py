"""One request takes the served model once: answer, record, explanation and drift columns are of one version."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.core.bundle.manifest import verify_bundle
from services.core.contract import columns as column_tools
from services.core.contract.use_case import Text
from services.prediction.inference import prediction_service
from services.prediction.inference import served_model as loaded
from services.prediction.inference.served_model import LoadedModel, ModelSlot, ServedModel
from services.prediction.model_sync.bundle_cache import CachedBundle
from tests.toy.declaration import USE_CASE


@dataclass
class Swapping:
    """A service whose business rules swap the model while they run: after the prediction, before the record."""

    service: Any
    home: Path
    models: list[LoadedModel]
    armed: dict[str, bool]
    built: list[int] = field(default_factory=list)

    def post(self, path: str, payload: Any) -> dict[str, Any]:
        self.armed["swap"] = True
        response = self.service.client.post(f"/v1/toy/{path}", json=payload)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def delay(self, number: int) -> float:
        """What the drift column says where version ``number`` derives it."""
        return round(float(self.models[number - 1].predictor.fitted.towns["east"]), 6)

    def records(self) -> list[dict[str, Any]]:
        lines = [line for path in sorted(self.home.rglob("*.jsonl")) for line in path.read_bytes().splitlines()]
        return [json.loads(line) for line in lines]


@pytest.fixture
def swapping(
    make_service: Callable[..., Any], toy_bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Swapping:
    def watched(columns: Mapping[str, Any], fitted: Any) -> dict[str, Any]:
        delays = [np.nan if fitted is None else fitted.towns[town] for town in columns["town"]]
        return {"town_delay": np.array(delays)}

    monkeypatch.setattr(USE_CASE.features, "drift_features", watched)
    armed = {"swap": False}

    def build_response(values: Any, facts: Any, request: Any) -> dict[str, Any]:
        if armed["swap"]:
            armed["swap"] = False
            service.desk.slot.swap(models[1], confirmed=True)
        return USE_CASE.serving.build_response(values, facts, request)

    use_case = replace(
        USE_CASE,
        serving=replace(
            USE_CASE.serving, build_response=build_response, drift_features={"town_delay": Text("Delay", "Retard")}
        ),
    )
    service = make_service(use_cases=[use_case])
    service.app.state.calls.journal.open()
    models = []
    for number, bundle in enumerate(toy_bundles, start=1):
        service.registry.promote("toy", number, bundle)
        registered = CachedBundle.of(service.registry.champions["toy"])
        models.append(LoadedModel(use_case, verify_bundle(bundle, registered.hash), registered))
    service.desk.slot.swap(models[0], confirmed=True)
    made = Swapping(service, tmp_path / "home", models, armed)
    assert made.delay(1) != made.delay(2)
    honest = column_tools.from_rows

    def counted(model: Any, rows: Any) -> Any:
        made.built.append(len(rows))
        return honest(model, rows)

    for module in (prediction_service, loaded):
        monkeypatch.setattr(module, "from_rows", counted)
    return made


def test_a_call_is_recorded_with_the_drift_columns_of_the_model_that_answered(swapping: Swapping) -> None:
    assert swapping.post("predict", swapping.service.call)["model_version"] == "1"
    (record,) = swapping.records()
    assert record["response"]["model_version"] == "1"
    assert record["watched"] == {"town_delay": swapping.delay(1)}
    assert swapping.service.desk.slot.serving.version == "2"


def test_a_batch_is_recorded_with_the_drift_columns_of_the_model_that_answered(swapping: Swapping) -> None:
    assert swapping.post("predict/batch", {"rows": [swapping.service.call] * 3})["model_version"] == "1"
    found = [(record["response"]["model_version"], record["watched"]["town_delay"]) for record in swapping.records()]
    assert found == [("1", swapping.delay(1))] * 3


def test_an_explanation_and_its_answer_are_of_one_model(swapping: Swapping) -> None:
    body = swapping.post("explain", swapping.service.call)
    assert body["model_version"] == "1"
    swapping.service.desk.slot.swap(swapping.models[0], confirmed=True)
    alone = swapping.service.client.post("/v1/toy/predict", json=swapping.service.call).json()
    assert body["answer"] == alone["answer"]
    assert body["targets"]["seconds"]["outputs"][0]["output"] == alone["answer"]["seconds"]["median"]


def test_a_call_that_the_baseline_answers_for_the_model_has_the_baselines_drift_columns(
    swapping: Swapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoadedModel, "predict_each", lambda *_: 1 / 0)
    assert swapping.post("predict", swapping.service.call)["source"] == "baseline"
    (record,) = swapping.records()
    assert (record["response"]["model_version"], record["watched"]) == ("baseline", {"town_delay": None})


@pytest.mark.parametrize("path", ["predict", "predict/batch", "explain"])
def test_a_requests_columns_are_built_once(swapping: Swapping, path: str) -> None:
    call = swapping.service.call
    swapping.post(path, {"rows": [call] * 3} if path == "predict/batch" else call)
    assert swapping.built == [3 if path == "predict/batch" else 1]


def test_drift_columns_that_fail_for_one_call_of_several_cost_the_others_nothing(
    swapping: Swapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = swapping.service.desk.answering
    honest = USE_CASE.features.drift_features

    def picky(columns: Mapping[str, Any], fitted: Any) -> Any:
        if 9.0 in columns["distance"]:
            raise ZeroDivisionError
        return honest(columns, fitted)

    monkeypatch.setattr(USE_CASE.features, "drift_features", picky)
    calls = [
        prediction_service.ValidatedRequest(
            served.validation.fields({**swapping.service.call, "distance": distance}), f"id-{distance}"
        )
        for distance in (3.0, 9.0, 4.0)
    ]
    answers = served.together(calls)
    expected = json.dumps({"town_delay": swapping.delay(1)}, separators=(",", ":")).encode()
    assert [answer.watched for answer in answers] == [expected, b"", expected]
    assert [json.loads(answer.body)["source"] for answer in answers] == ["champion"] * 3


def test_the_information_about_a_use_case_is_of_one_model(swapping: Swapping) -> None:
    class Flipping(ModelSlot):
        """Swapped between any two looks at it."""

        @property
        def serving(self) -> ServedModel:
            models.reverse()
            return ServedModel(models[0], 1_000.0)

        @serving.setter
        def serving(self, _: ServedModel) -> None: ...

    models = list(swapping.models)
    swapping.service.desk.slot.__class__ = Flipping
    body = swapping.service.client.get("/v1/toy").json()
    assert body["bundle"] == next(model.hash for model in models if model.version == body["model_version"])
