"""Learners of other libraries behind the service: answers, batches and explanations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.core.params import Train
from services.training.stage.train import train
from tests.toy.bundles import make_examples
from tests.toy.declaration import ToyAnswer
from tests.toy.estimators import ESTIMATORS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("estimators") / "bundle"
    params = Train(folds=2, minimum_group=30)
    return train(ESTIMATORS, make_examples(600), {}, {}, params=params, folder=folder, simulated=True)


@pytest.fixture
def served(make_service: Callable[..., Any], bundle: Path) -> Any:
    made = make_service(use_cases=[ESTIMATORS])
    made.registry.promote("toy", 1, bundle)
    made.poll()
    return made


def test_a_call_is_answered_by_the_model(served: Any) -> None:
    body = served.predict()
    assert (body["model_version"], body["source"], body["warnings"]) == ("1", "champion", [])
    ToyAnswer.model_validate(body["answer"])


def test_a_batch_has_the_answer_of_the_call(served: Any) -> None:
    calls = [{**served.call, "distance": distance} for distance in (0.5, 3.2, 7.0)]
    batch = served.client.post("/v1/toy/predict/batch", json={"rows": calls}).json()
    alone = [served.predict(distance=call["distance"])["answer"] for call in calls]
    assert [each["answer"] for each in batch["answers"]] == alone


def test_contributions_sum_to_the_answered_output(served: Any) -> None:
    explained = served.client.post("/v1/toy/explain", json=served.call).json()
    answer = served.predict()["answer"]
    assert explained["targets"]["seconds"]["outputs"][0]["output"] == answer["seconds"]["median"]
    assert len(explained["targets"]["size"]["outputs"]) == 3
    for target in explained["targets"].values():
        for output in target["outputs"]:
            total = output["base"] + sum(output["contributions"].values())
            assert total == pytest.approx(output["output"], abs=1e-9)


def test_many_fields_are_explained_by_random_orders(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.prediction.inference.shapley._EXACT_FIELDS", 0)
    test_contributions_sum_to_the_answered_output(served)
