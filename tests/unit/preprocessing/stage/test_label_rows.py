"""Outcomes join the examples, marked, and never a kind that is not theirs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from services.core import use_case_registry
from services.core.contract.columns import from_frame
from services.core.contract.use_case import UseCase
from services.core.prediction_log.label_export import write_training_rows
from services.preprocessing.stage.label_rows import append_labels
from services.preprocessing.stage.preprocess import check_schema
from tests.toy.bundles import make_examples


@pytest.fixture(scope="module")
def official() -> pd.DataFrame:
    return make_examples(50)


def row(number: int, *, incident: str = "", simulated: bool = False, **values: Any) -> dict[str, Any]:
    moment = pd.Timestamp("2024-01-15T12:00:00Z").to_pydatetime()
    request = {"called_at": moment, "distance": 2.5, "kind": "parcel", "town": None}
    labels = {"seconds": 400.0, "late": float("nan"), "size": 1.0}
    own = {
        "call_id": f"p{number}",
        "call_group": f"call-{number}",
        "call_incident": incident,
        "call_received_at": moment,
        "call_simulated": simulated,
    }
    return {**request, **labels, **own, **values}


def joined(
    toy: UseCase, official: pd.DataFrame, folder: Path, *rows: dict[str, Any], simulated: bool = False
) -> pd.DataFrame:
    write_training_rows(folder, toy, rows)
    return append_labels(toy, official, folder, simulated=simulated)


def test_without_outcomes_examples_only_gain_their_origin(toy: UseCase, official: pd.DataFrame, tmp_path: Path) -> None:
    made = joined(toy, official, tmp_path / "outcomes")
    pd.testing.assert_frame_equal(made.drop(columns="origin"), official)
    assert set(made["origin"]) == {"official"}


def test_an_outcome_is_an_example_in_its_place_in_time(toy: UseCase, official: pd.DataFrame, tmp_path: Path) -> None:
    made = joined(toy, official, tmp_path / "outcomes", row(1))
    assert len(made) == len(official) + 1
    assert made["event_time"].is_monotonic_increasing
    [found] = made[made["origin"] == "outcome"].to_dict("records")
    assert (found["delivery_id"], found["seconds"], found["size"]) == ("call-1", 400.0, 1.0)
    check_schema(toy, made, 100)


def test_official_rows_read_as_they_did_without_outcomes(toy: UseCase, official: pd.DataFrame, tmp_path: Path) -> None:
    made = joined(toy, official, tmp_path / "outcomes", row(1))
    kept = made[made["origin"] == "official"].drop(columns="origin").reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, official)


def test_no_feature_sees_the_origin(toy: UseCase, official: pd.DataFrame, tmp_path: Path) -> None:
    made = joined(toy, official, tmp_path / "outcomes", row(1))
    assert "origin" not in from_frame(toy.serving.request, made)


@pytest.mark.parametrize("simulated", [False, True])
def test_real_and_simulated_rows_never_mix(
    toy: UseCase, official: pd.DataFrame, tmp_path: Path, simulated: bool
) -> None:
    made = joined(
        toy,
        official,
        tmp_path / "outcomes",
        row(1),
        row(2, simulated=True),
        row(3, simulated=True),
        simulated=simulated,
    )
    counts = made["origin"].value_counts().to_dict()
    expected = {"simulated": 50, "simulated_outcome": 2} if simulated else {"official": 50, "outcome": 1}
    assert counts == expected


def test_an_outcome_makes_way_for_the_official_record_of_its_incident(
    toy: UseCase, official: pd.DataFrame, tmp_path: Path
) -> None:
    shared, known, moment = _numbered_officially(toy, official)
    same = row(1, incident=known, called_at=moment + timedelta(minutes=20))
    made = joined(shared, official, tmp_path / "outcomes", same, row(2, incident="another"))
    assert made.loc[made["origin"] == "outcome", "delivery_id"].tolist() == ["call-2"]


@pytest.mark.parametrize("other", [{"called_at": timedelta(days=2)}, {"distance": 50.0}])
def test_a_centres_own_number_that_is_an_official_one_too_loses_no_row(
    toy: UseCase, official: pd.DataFrame, tmp_path: Path, other: dict[str, Any]
) -> None:
    shared, known, moment = _numbered_officially(toy, official)
    fields = {"called_at": moment, "distance": float(official["distance"].iloc[0]), **other}
    fields["called_at"] = moment + other.get("called_at", timedelta(0))
    located = replace(shared, serving=replace(shared.serving, pii_fields={"distance": 1.0}))
    made = joined(located, official, tmp_path / "outcomes", row(1, incident=known, **fields))
    assert made.loc[made["origin"] == "outcome", "delivery_id"].tolist() == ["call-1"]


def _numbered_officially(toy: UseCase, official: pd.DataFrame) -> tuple[UseCase, str, datetime]:
    """A use case whose centres use official numbers, such a number, and when its incident was."""
    moment = official["event_time"].iloc[0].to_pydatetime()
    return replace(toy, data=replace(toy.data, incident_is_group=True)), str(official["delivery_id"].iloc[0]), moment


def test_what_only_official_rows_say_is_unknown(toy: UseCase, official: pd.DataFrame, tmp_path: Path) -> None:
    wider = official.assign(area="centre", lanes=2, period="2024-01")
    timed = replace(toy, modelling=replace(toy.modelling, split=replace(toy.modelling.split, within="period")))
    made = joined(timed, wider, tmp_path / "outcomes", row(1))
    [found] = made[made["origin"] == "outcome"].to_dict("records")
    assert (found["area"], found["period"]) == ("unknown", "2024-01")
    assert pd.isna(found["lanes"])


@pytest.mark.parametrize("name", ["fire_response", "road_accidents"])
def test_reported_calls_of_the_platforms_use_cases_become_valid_examples(name: str, tmp_path: Path) -> None:
    use_case = use_case_registry.get(name)
    examples = _simulated_examples(use_case, tmp_path)
    fields = list(use_case.serving.request.model_fields)
    labels = [target.label for target in use_case.modelling.targets]
    records = examples.head(40)[[*fields, *labels]].astype(object)
    rows = [
        {
            **{key: None if value is None or value == "" or pd.isna(value) else value for key, value in record.items()},
            **{label: float(record[label]) for label in labels},
            "call_id": f"p{number}",
            "call_group": f"call-{number}",
            "call_incident": "",
            "call_received_at": record[use_case.serving.time_field],
            "call_simulated": True,
        }
        for number, record in enumerate(records.to_dict("records"))
    ]
    write_training_rows(tmp_path / "outcomes", use_case, rows)
    made = append_labels(use_case, examples, tmp_path / "outcomes", simulated=True)
    check_schema(use_case, made, 500)
    added = made[made["origin"] == "simulated_outcome"]
    assert len(added) == 40
    assert added["hour_band"].isin(set(examples["hour_band"])).all()


def test_an_incident_number_of_two_centres_is_two_incidents_to_learn_from(tmp_path: Path) -> None:
    use_case = use_case_registry.get("fire_response")
    examples = _simulated_examples(use_case, tmp_path)
    record = examples[[*use_case.serving.request.model_fields]].astype(object).iloc[0].to_dict()
    request = {key: None if value == "" or pd.isna(value) else value for key, value in record.items()}
    rows = [
        {
            **request,
            "attendance_seconds": 200.0 + number,
            "over_360s": 0.0,
            "pumps": float(number),
            "call_id": f"p{number}",
            "call_group": f"call-{number}",
            "call_incident": "2026-0001",
            "call_received_at": record["call_time"],
            "call_simulated": True,
        }
        for number in (0, 2)
    ]
    write_training_rows(tmp_path / "outcomes", use_case, rows)
    made = append_labels(use_case, examples, tmp_path / "outcomes", simulated=True)
    added = made[made["origin"] == "simulated_outcome"]
    assert added["incident_id"].tolist() == ["call-0", "call-2"]
    assert added["pumps"].tolist() == [0.0, 2.0], "each has its label"


def _simulated_examples(use_case: UseCase, tmp_path: Path) -> pd.DataFrame:
    from services.core.raw_files.reader import read_folder

    folder = tmp_path / "files"
    folder.mkdir()
    use_case.simulator.write(folder, seed=1, rows=400, start="2024-01-01", days=20)
    return use_case.raw.build_examples(read_folder(use_case.name, folder))
