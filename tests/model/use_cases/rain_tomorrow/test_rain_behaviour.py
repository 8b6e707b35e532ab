"""How a trained ``rain_tomorrow`` model behaves: on simulated data, with its declared learner at a fifth of its
rounds, served as the platform serves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor, to_scalars
from services.core.contract import columns as column_tools
from services.core.contract.use_case import BoostedTrees, UseCase
from services.core.params import Train
from services.core.paths import VigiePaths
from services.core.pipeline.workspace import set_current
from services.core.raw_files.reader import read_folder
from services.core.scoring import score, score_baseline
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from services.preprocessing.stage.preprocess import write_arrays
from services.training.stage.splitting import CALIBRATE, TEST, TRAIN
from services.training.stage.train import train
from services.training.stage.training_data import prepare_training_data
from services.use_cases.rain_tomorrow import raw, simulator
from services.use_cases.rain_tomorrow.context import source
from services.use_cases.rain_tomorrow.declaration import USE_CASE
from services.use_cases.rain_tomorrow.request import RainRequest
from services.use_cases.rain_tomorrow.stations import NUMBER_FIELDS, WIND_FIELDS
from tests.toy.folder_registry import FolderRegistry

pytestmark = pytest.mark.slow  # it trains models


def _quicker() -> UseCase:
    (target,) = USE_CASE.modelling.targets
    members = tuple(
        replace(m, num_boost_round=m.num_boost_round // 5, parameters={**m.parameters, "eta": 0.1})
        for m in target.learner.members
    )
    return replace(
        USE_CASE,
        modelling=replace(USE_CASE.modelling, targets=(replace(target, learner=BoostedTrees(members=members)),)),
    )


QUICK = _quicker()
Ask = Callable[[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of 500 simulated days, and what the next 120 days bring."""
    folder = tmp_path_factory.mktemp("rain-behaviour")
    simulator.write(folder / "files", seed=11, rows=6_200, start="2013-01-01", days=620)
    tables = read_folder("rain_tomorrow", folder / "files")
    examples, context = raw.build_examples(tables), raw.training_context(tables)
    split = pd.Timestamp("2014-05-16", tz="UTC")
    past, later = (
        examples[chosen].reset_index(drop=True) for chosen in (examples["date"] < split, examples["date"] >= split)
    )
    train(QUICK, past, {}, context, params=Train(folds=3), folder=folder / "bundle", simulated=True)
    return SimpleNamespace(
        predictor=Predictor(QUICK, folder / "bundle"),
        past=past,
        later=later,
        context=context,
        folder=folder,
        tables=tables,
    )


def call_of(record: dict[str, Any]) -> dict[str, Any]:
    """An example as a caller sends it."""
    call = {"station": record["station"], "date": record["date"].date().isoformat()}
    for name in (*NUMBER_FIELDS, *WIND_FIELDS):
        if record[name] == record[name] and record[name] != "":
            call[name] = record[name]
    return call


def test_it_clearly_beats_persistence_on_later_days(trained: Any) -> None:
    found = score(trained.predictor, trained.later, trained.context)["metrics"]
    baseline = score_baseline(USE_CASE, trained.later, trained.context)["metrics"]["rain"]
    assert found["rain"]["roc_auc"] > baseline["roc_auc"] + 0.2
    assert found["rain"]["brier"] < baseline["brier"] - 0.03
    assert found["rain_one_row"]["roc_auc"] > baseline["roc_auc"] + 0.15


def test_past_days_and_other_stations_make_the_answer_better(trained: Any) -> None:
    found = score(trained.predictor, trained.later, trained.context)["metrics"]
    assert found["rain"]["roc_auc"] > found["rain_one_row"]["roc_auc"]


@pytest.mark.parametrize(
    ("field", "dry", "wet"),
    [("humidity_3pm", 25.0, 90.0), ("cloud_3pm", 0.0, 8.0), ("pressure_3pm", 1_028.0, 998.0), ("sunshine", 12.0, 0.0)],
)
def test_signs_of_rain_raise_the_probability(trained: Any, field: str, dry: float, wet: float) -> None:
    columns = column_tools.from_frame(RainRequest, trained.later)
    means = []
    for value in (dry, wet):
        changed = {**columns, field: np.full(len(trained.later), value)}
        rain: Any = trained.predictor.predict(changed, trained.context).values["rain"]
        means.append(float(np.mean(rain.probability)))
    assert means[1] > means[0]


@pytest.mark.slow
def test_drift_of_the_simulator_makes_the_probabilities_wrong(trained: Any, tmp_path: Path) -> None:
    errors = {}
    for drift in ([], ["wetter-years"], ["faulty-hygrometers"]):
        folder = tmp_path / ("-".join(drift) or "none")
        simulator.write(folder, seed=12, rows=1_800, start="2014-09-01", days=180, drift=drift)
        tables = read_folder("rain_tomorrow", folder)
        found = score(trained.predictor, raw.build_examples(tables), raw.training_context(tables))["metrics"]["rain"]
        errors[folder.name] = found["brier"]
    assert errors["wetter-years"] > errors["none"] + 0.02
    assert errors["faulty-hygrometers"] > errors["none"] + 0.002


@pytest.mark.slow
def test_yesterdays_row_reaches_the_next_training_set_and_with_time_the_model(trained: Any) -> None:
    """Its label comes with the next day's row and is first judged by, and learned from when newer days take over."""
    few = replace(QUICK, modelling=replace(QUICK.modelling, targets=(_few(QUICK),), input_scenarios=()))
    day = trained.past["date"].max()
    known = pd.concat([trained.past, trained.later], ignore_index=True)
    rows = {}
    for days in (0, 1, 120):
        until = known[known["date"] <= day + pd.Timedelta(days=days)].reset_index(drop=True)
        newest = until["date"] == until["date"].max()
        rows[days] = until.assign(rain=until["rain"].where(~newest))  # no next day, no label

    def here(days: int, part: int) -> bool:
        chosen = prepare_training_data(few, rows[days]).rows(part)
        return bool((rows[days]["date"].iloc[chosen] == day).any())

    assert not any(here(0, part) for part in (TRAIN, CALIBRATE, TEST))
    assert here(1, TEST)
    assert here(120, TRAIN)

    turned = rows[120].assign(rain=rows[120]["rain"].where(rows[120]["date"] != day, 1 - rows[120]["rain"]))
    hashes = set()
    for number, examples in enumerate((rows[120], turned)):
        folder, params = trained.folder / f"daily-{number}", Train(folds=2, reference_rows=50)
        hashes.add(
            Predictor(few, train(few, examples, {}, trained.context, params=params, folder=folder, simulated=True)).hash
        )
    assert len(hashes) == 2


def _few(use_case: UseCase) -> Any:
    (target,) = use_case.modelling.targets
    members = tuple(replace(member, num_boost_round=5) for member in target.learner.members)
    return replace(target, learner=BoostedTrees(members=members))


@pytest.fixture(scope="module")
def served(trained: Any) -> Any:
    """The service over the published context of a run, and a way to ask it."""
    home = VigiePaths(trained.folder / "home")
    state = home.states("rain_tomorrow") / "run-1"
    examples = state / "data" / "rain_tomorrow" / "examples"
    examples.mkdir(parents=True)
    write_arrays(examples / "context.npz", trained.context)
    set_current(home, "rain_tomorrow", state)
    champions = FolderRegistry()
    champions.promote("rain_tomorrow", 1, trained.folder / "bundle")
    settings = PredictionSettings.model_validate({"VIGIE_HOME": home.root, "prediction_access": "open"})
    held: Any = source(settings)
    held.refresh()
    app = create_app(settings, lambda: champions, use_cases=[QUICK], context={"rain_tomorrow": held})
    app.state.deployments["rain_tomorrow"].follower.poll()
    with asyncio.Runner() as runner:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://vigie", timeout=60)

        def ask(path: str, payload: Any) -> dict[str, Any]:
            answer = runner.run(client.post(f"/v1/rain_tomorrow/{path}", json=payload))
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            return body

        yield ask
        runner.run(client.aclose())


def test_what_is_served_from_the_last_days_is_what_the_whole_history_says_offline(trained: Any, served: Ask) -> None:
    """Bit for bit: the same function on the same arrays."""
    rows = trained.later.iloc[:: len(trained.later) // 20].reset_index(drop=True)
    offline = trained.predictor.predict(column_tools.from_frame(RainRequest, rows), trained.context)
    for number, record in enumerate(rows.to_dict("records")):
        values, facts = to_scalars(offline, number)
        call = call_of({str(name): value for name, value in record.items()})
        answer = served("predict", call)["answer"]
        assert json.dumps(answer) == json.dumps(
            json.loads(json.dumps(QUICK.serving.build_response(values, facts, call)))
        )
        assert answer["own_days"] == 6
        assert answer["other_stations"] == 9


def test_a_call_about_a_day_that_nobody_stored_is_answered_from_its_row_alone(served: Ask) -> None:
    body = served("predict", {"station": "Sydney", "date": "2031-01-05", "humidity_3pm": 85, "cloud_3pm": 8})
    assert body["source"] == "champion"
    assert (body["answer"]["own_days"], body["answer"]["other_stations"]) == (0, 0)


def test_contributions_of_the_context_are_explained(trained: Any, served: Ask) -> None:
    record = {str(name): value for name, value in trained.later.iloc[500].to_dict().items()}
    (output,) = served("explain", call_of(record))["targets"]["rain"]["outputs"]
    assert output["contributions"]["context"] != 0
    assert output["base"] + sum(output["contributions"].values()) == pytest.approx(output["output"], abs=1e-9)
