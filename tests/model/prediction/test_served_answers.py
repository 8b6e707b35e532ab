"""Every use case through the service: what holds for the answers of a model, whatever it predicts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from services.core import use_case_registry
from services.core.bundle.predictor import to_scalars
from services.core.contract.columns import column_types, from_frame
from services.core.contract.fields import image_fields
from services.core.contract.use_case import BoostedTrees, Booster, Learner, UseCase
from services.core.params import Train
from services.core.raw_files.reader import read_folder
from services.prediction.api.schemas import explanation_response_model, prediction_response_model
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from services.training.stage.train import train
from tests.toy.folder_registry import FolderRegistry

ROWS = 40


def _quicker(use_case: UseCase) -> UseCase:
    """The same use case with a tenth of the trees: what is tested here does not depend on them."""

    def fewer(booster: Booster | None) -> Any:
        return booster and replace(booster, num_boost_round=max(5, booster.num_boost_round // 10))

    def learner(trees: Learner) -> Learner:
        if not isinstance(trees, BoostedTrees):
            return trees
        members = tuple(map(fewer, trees.members))
        return replace(trees, members=members, lower=fewer(trees.lower), upper=fewer(trees.upper))

    return replace(
        use_case,
        modelling=replace(
            use_case.modelling,
            targets=tuple(replace(t, learner=learner(t.learner)) for t in use_case.modelling.targets),
        ),
    )


@dataclass(frozen=True)
class Served:
    use_case: UseCase
    examples: pd.DataFrame
    post: Callable[[str, Any], dict[str, Any]]
    model: Any

    @property
    def rows(self) -> pd.DataFrame:
        """Rows from all over the examples."""
        return self.examples.iloc[np.linspace(0, len(self.examples) - 1, ROWS).astype(int)].reset_index(drop=True)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The rows as a caller sends them, some without a field that may be missing."""
        of = column_types(self.use_case.serving.request)
        calls = []
        for number, record in enumerate(self.rows[list(of)].to_dict("records")):
            call = {name: _sent(of[name], value) for name, value in record.items() if not _missing(value)}
            optional = [n for n, info in self.use_case.serving.request.model_fields.items() if not info.is_required()]
            if number % 3 == 2:
                call.pop(next((n for n in optional if of[n] == "category" and n in call), ""), None)
            calls.append(call)
        return calls


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value != value or value == ""  # noqa: PLR0124


def _sent(kind: str, value: Any) -> Any:
    if kind == "time":
        return value.isoformat()
    if kind == "date":
        return value.date().isoformat()
    if kind == "image":
        return base64.b64encode(value).decode()
    if kind == "flag":
        return bool(value)
    if kind == "number":
        return int(value) if float(value).is_integer() else float(value)
    return value


@pytest.fixture(scope="module", params=use_case_registry.names())
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    use_case = _quicker(use_case_registry.get(request.param))
    folder = tmp_path_factory.mktemp(use_case.name)
    raw = folder / "raw"
    raw.mkdir()
    use_case.simulator.write(
        raw, seed=5, rows=600 if image_fields(use_case.serving.request) else 2_500, start="2023-01-01", days=400
    )
    tables = read_folder(use_case.name, raw)
    examples = use_case.raw.build_examples(tables)
    bundle = train(
        use_case,
        examples,
        use_case.raw.lookup_tables(tables),
        use_case.raw.training_context(tables),
        params=Train(folds=2, minimum_group=30),
        folder=folder / "bundle",
        simulated=True,
    )
    champions = FolderRegistry()
    champions.promote(use_case.name, 1, bundle)
    settings = PredictionSettings.model_validate({"VIGIE_HOME": folder / "home", "prediction_access": "open"})
    app = create_app(settings, lambda: champions, use_cases=[use_case])
    desk = app.state.deployments[use_case.name]
    desk.follower.poll()
    with asyncio.Runner() as runner:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://vigie", timeout=60)

        def post(path: str, payload: Any) -> dict[str, Any]:
            answer = runner.run(client.post(f"/v1/{use_case.name}/{path}", json=payload))
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            assert body["source"] == "champion"
            return body

        yield Served(use_case, examples, post, desk.slot.serving.model)
        runner.run(client.aclose())


def test_a_call_alone_and_among_others_is_answered_alike_bit_for_bit(served: Served) -> None:
    calls = served.calls
    batch = served.post("predict/batch", {"rows": calls})
    assert batch["errors"] == []
    for call, item in zip(calls, batch["answers"], strict=True):
        alone = served.post("predict", call)
        assert json.dumps(item["answer"]) == json.dumps(alone["answer"])
        prediction_response_model(served.use_case).model_validate(alone)


def test_what_is_served_is_what_the_predictor_says_offline(served: Served) -> None:
    """The path from a table to values, which training and the gate take, and the one from a request."""
    frame = served.rows
    offline = served.model.predictor.predict(from_frame(served.use_case.serving.request, frame), {})
    of = column_types(served.use_case.serving.request)
    for index, record in enumerate(frame[list(of)].to_dict("records")):
        call = {name: _sent(of[name], value) for name, value in record.items() if not _missing(value)}
        fields: Mapping[str, Any] = served.model.request.model_validate(call).__dict__
        answer = served.use_case.serving.build_response(*to_scalars(offline, index), fields)
        assert json.dumps(served.post("predict", call)["answer"]) == json.dumps(json.loads(json.dumps(answer)))


def test_contributions_sum_to_each_output(served: Served) -> None:
    for call in served.calls[:8]:
        body = served.post("explain", call)
        explanation_response_model(served.use_case).model_validate(body)
        assert body["answer"] == served.post("predict", call)["answer"]
        assert set(body["targets"]) == {target.name for target in served.use_case.modelling.targets}
        for target in body["targets"].values():
            for output in target["outputs"]:
                total = output["base"] + sum(output["contributions"].values())
                assert total == pytest.approx(output["output"], abs=1e-9)


def test_the_base_is_the_models_and_not_the_requests(served: Served) -> None:
    bases: dict[tuple[str, str | None], list[float]] = {}
    for call in served.calls[:8]:
        for name, target in served.post("explain", call)["targets"].items():
            for output in target["outputs"]:
                bases.setdefault((name, output["label"]), []).append(output["base"])
    for found in bases.values():
        assert max(found) - min(found) <= 1e-3 * max(1.0, abs(found[0]))


def test_the_example_of_the_manual_is_answered(served: Served) -> None:
    properties = served.model.request.model_json_schema()["properties"]
    example = {name: field["examples"][0] for name, field in properties.items()}
    prediction_response_model(served.use_case).model_validate(served.post("predict", example))
