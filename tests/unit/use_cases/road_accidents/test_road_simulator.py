"""The simulator writes what the official files look like, the same for the same seed."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from services.core.errors import VigieError
from services.use_cases.road_accidents import raw, simulator
from services.use_cases.road_accidents.answer import fallback_prediction
from services.use_cases.road_accidents.declaration import USE_CASE

FEW = {"rows": 400, "start": "2024-03-01", "days": 30}


def tables_in(folder: Path) -> dict[str, pd.DataFrame]:
    tables = {}
    for name in ("caracteristiques", "lieux", "vehicules", "usagers"):
        (path,) = folder.glob(f"{name}*.csv")
        tables[name] = pd.read_csv(path, sep=";", dtype="str", keep_default_na=False)
    return tables


def examples_in(folder: Path) -> pd.DataFrame:
    rows = {}
    for name, frame in tables_in(folder).items():
        frame["line"] = range(2, len(frame) + 2)
        checked = raw.parse_table(name, frame)
        assert checked.rejected.empty
        rows[name] = checked.rows
    return raw.build_examples(rows)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    written = [simulator.write(tmp_path / str(number), seed=seed, **FEW) for number, seed in enumerate((1, 1, 2))]
    same, again, other = ([path.read_bytes() for path in paths] for paths in written)
    assert same == again
    assert same[0] != other[0]


def test_every_file_says_that_it_is_simulated_and_holds_the_columns_of_its_table(tmp_path: Path) -> None:
    paths = simulator.write(tmp_path, seed=1, **FEW)
    assert len(paths) == 4
    for path, table in zip(paths, USE_CASE.data.tables, strict=True):
        header = {name.strip('"') for name in path.read_text(encoding="utf-8").splitlines()[0].split(";")}
        assert "simulated" in path.name
        assert set(table.header_signature) <= header
        assert all(set(name.split("|")) & header for name in table.required)


def test_the_official_quirks_are_there(tmp_path: Path) -> None:
    simulator.write(tmp_path, seed=1, rows=3_000, start="2024-03-01", days=30)
    tables = tables_in(tmp_path)
    assert tables["caracteristiques"]["lat"].str.contains(",", regex=False).all()
    assert {2, 4, 5} <= set(tables["caracteristiques"]["hrmn"].str.len())
    assert tables["usagers"]["id_usager"].str.contains("\u00a0", regex=False).all()
    assert (tables["vehicules"]["manv"] == "-1").any()
    assert (tables["lieux"]["vma"] == "900").any()
    assert tables["lieux"]["Num_Acc"].duplicated().any()
    assert {"2A", "971"} <= set(tables["caracteristiques"]["dep"])


def test_every_accident_lies_in_its_period_and_hurts_somebody(tmp_path: Path) -> None:
    simulator.write(tmp_path, seed=1, **FEW)
    examples = examples_in(tmp_path)
    assert len(examples) == 400
    assert examples["event_time"].min() >= pd.Timestamp("2024-02-29 11:00", tz="UTC")
    assert examples["event_time"].max() <= pd.Timestamp("2024-03-31 06:00", tz="UTC")
    assert 0.2 < examples["priority"].mean() < 0.6
    assert set(examples["severity"]) == {0.0, 1.0, 2.0}


def test_new_roads_are_unknown_before_and_more_dangerous(tmp_path: Path) -> None:
    simulator.write(tmp_path / "before", seed=1, **FEW)
    simulator.write(tmp_path / "after", seed=1, drift=["new-roads"], **FEW)
    before, after = examples_in(tmp_path / "before"), examples_in(tmp_path / "after")
    new = ~after["road"].isin(before["road"]) & after["road"].str.startswith("D9")
    assert new.mean() > 0.1
    assert after.loc[new, "priority"].mean() > after.loc[~new, "priority"].mean()


def test_a_new_kind_of_vehicle_is_read_as_another_one(tmp_path: Path) -> None:
    simulator.write(tmp_path / "before", seed=1, **FEW)
    simulator.write(tmp_path / "after", seed=1, drift=["new-vehicle"], **FEW)
    before, after = examples_in(tmp_path / "before"), examples_in(tmp_path / "after")
    assert before["other_vehicles"].sum() == 0
    assert 0.1 < after["other_vehicles"].mean() < 0.3


def test_a_drift_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="flood"):
        simulator.write(tmp_path, seed=1, drift=["flood"], **FEW)


def test_eight_thousand_accidents_take_little_time(tmp_path: Path) -> None:
    started = time.process_time()
    simulator.write(tmp_path, seed=1, rows=8_000, start="2024-01-01", days=180)
    assert time.process_time() - started < 1.5


def test_the_baseline_answers_every_simulated_call(simulated: pd.DataFrame) -> None:
    for record in simulated.head(200).to_dict("records"):
        values, facts = fallback_prediction(record)
        answer = USE_CASE.serving.answer.model_validate(USE_CASE.serving.build_response(values, facts, record))
        assert sum(answer.severity.probabilities.model_dump().values()) == pytest.approx(1.0)  # type: ignore[attr-defined]
