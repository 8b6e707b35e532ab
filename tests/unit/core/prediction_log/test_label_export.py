"""Reported outcomes become rows that preprocessing can learn from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from services.core import use_case_registry
from services.core.contract.use_case import UseCase
from services.core.monitoring.drift_state import LabelQuarantineRow
from services.core.prediction_log.label_export import ExportResult, export_labels, to_label_columns
from services.core.prediction_log.records import decode_record
from services.core.prediction_log.store import store_records
from services.core.settings import Settings
from tests.toy.declared import toy_declared
from tests.unit.core.prediction_log.conftest import MADE_AT, call_line, report_line


@pytest.fixture(autouse=True)
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case


def export(engine: Engine, tmp_path: Path, *lines: bytes) -> tuple[ExportResult, pd.DataFrame]:
    store_records(engine, [decode_record(line) for line in lines])
    chosen = Settings.model_validate({"VIGIE_HOME": tmp_path / "home"})
    done = export_labels("toy", tmp_path / "workspace", chosen=chosen)
    path = tmp_path / "workspace" / "data" / "toy" / "outcomes" / "outcomes.parquet"
    return done, pd.read_parquet(path) if path.exists() else pd.DataFrame()


def labels(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    values = frame[["seconds", "late", "size"]].astype(object)
    return [tuple(None if np.isnan(v) else v for v in row) for row in values.to_numpy()]


def test_a_reported_call_is_a_row_of_request_and_labels_without_the_centre(engine: Engine, tmp_path: Path) -> None:
    report = report_line({"seconds": 512.5, "late": True, "size": "large"}, request_id="r1")
    done, frame = export(engine, tmp_path, call_line("r1", incident="I-7"), call_line("r2"), report)
    assert (done.rows, done.refused, done.away) == (1, 0, "")
    assert labels(frame) == [(512.5, 1.0, 2.0)]
    assert frame[["distance", "kind", "town"]].iloc[0].tolist() == [2.0, "letter", "east"]
    assert frame.loc[0, "called_at"] == pd.Timestamp("2026-01-01T00:00:00Z")
    said = str(frame.iloc[0].tolist())
    assert not any(word in said for word in ("north", "ana", "I-7"))


def test_nothing_is_learned_from_a_centre_that_is_held_back(engine: Engine, tmp_path: Path) -> None:
    since = datetime.fromtimestamp(MADE_AT - 3_600, UTC)
    hold = LabelQuarantineRow(
        use_case="toy", centre="north", since=since, code="shifted", reason={}, created_at=since, run_id="a look"
    )
    lines = [call_line("r1"), report_line({"late": True}, request_id="r1")]
    assert export(engine, tmp_path, *lines)[0].rows == 1
    with Session(engine) as session, session.begin():
        session.add(hold)
    assert export(engine, tmp_path)[0].rows == 0


def test_a_report_that_is_stored_before_its_prediction_is_joined_later(engine: Engine, tmp_path: Path) -> None:
    early = report_line({"late": True}, incident_id="I-7")
    assert export(engine, tmp_path, early)[0].rows == 0
    assert labels(export(engine, tmp_path, call_line("r1", incident="I-7"))[1]) == [(None, 1.0, None)]


def test_a_later_report_supersedes_an_earlier_one_label_by_label(engine: Engine, tmp_path: Path) -> None:
    lines = [
        report_line({"late": True, "size": "small"}, request_id="r1", at=MADE_AT + 1),
        report_line({"late": False, "seconds": 100.0}, request_id="r1", at=MADE_AT + 3),
        report_line({"late": True, "size": None}, request_id="r1", at=MADE_AT + 2),
    ]
    assert labels(export(engine, tmp_path, call_line("r1"), *lines)[1]) == [(100.0, 0.0, None)]


def test_a_report_that_takes_everything_back_leaves_no_row(engine: Engine, tmp_path: Path) -> None:
    lines = [
        report_line({"late": True}, request_id="r1", at=MADE_AT + 1),
        report_line({"late": None}, request_id="r1", at=MADE_AT + 2),
    ]
    assert export(engine, tmp_path, call_line("r1"), *lines)[0].rows == 0


def test_of_an_incident_the_latest_prediction_counts(engine: Engine, tmp_path: Path) -> None:
    calls = [call_line(f"r{n}", incident="I-7", at=MADE_AT + n, town=f"town {n}") for n in (1, 3, 2)]
    _, frame = export(engine, tmp_path, *calls, report_line({"late": True}, incident_id="I-7"))
    assert frame["town"].tolist() == ["town 3"]


def test_reports_reach_the_calls_of_their_own_centre_alone(engine: Engine, tmp_path: Path) -> None:
    report = report_line({"late": True}, request_id="r1", centre="south")
    assert export(engine, tmp_path, call_line("r1"), report)[0].rows == 0


def test_a_row_of_a_batch_is_named_by_its_position(engine: Engine, tmp_path: Path) -> None:
    calls = [call_line("b1", row=n, town=f"town {n}") for n in range(3)]
    reports = [report_line({"late": True}, request_id="b1", row_index=1), report_line({"late": True}, request_id="b1")]
    assert export(engine, tmp_path, *calls, *reports)[1]["town"].tolist() == ["town 1"]


def test_simulated_reports_count_for_simulated_calls_and_make_way_for_real_ones(engine: Engine, tmp_path: Path) -> None:
    lines = [
        call_line("r1"),
        call_line("r2"),
        call_line("s1", call_kind="simulated"),
        report_line({"late": False}, request_id="r1", simulated=True),
        report_line({"late": True}, request_id="r2", simulated=True, at=MADE_AT + 50),
        report_line({"seconds": 9.0}, request_id="r2", at=MADE_AT + 10),
        report_line({"late": True}, request_id="s1", simulated=True),
    ]
    done, frame = export(engine, tmp_path, *lines)
    assert (done.rows, done.simulated) == (2, 1)
    found = dict(zip(frame["call_simulated"], labels(frame), strict=True))
    assert found == {True: (None, 1.0, None), False: (9.0, None, None)}


def test_a_request_that_the_model_of_today_refuses_is_counted_and_left_out(engine: Engine, tmp_path: Path) -> None:
    report = report_line({"late": True}, request_id="r1")
    done, _ = export(engine, tmp_path, call_line("r1", colour="red"), report)
    assert (done.rows, done.refused) == (0, 1)


@pytest.mark.parametrize("seconds", [1e308, -1.0, 20_001.0, True, "512"])
def test_a_value_that_cannot_be_is_put_aside_and_counted(engine: Engine, tmp_path: Path, seconds: Any) -> None:
    lines = [call_line("r1"), report_line({"seconds": seconds, "late": True}, request_id="r1")]
    lines += [call_line("r2"), report_line({"seconds": seconds}, request_id="r2")]
    done, frame = export(engine, tmp_path, *lines)
    assert (done.rows, done.refused, done.put_aside) == (1, 0, 2)
    assert labels(frame) == [(None, 1.0, None)]
    assert "2 values put aside" in str(done)


def test_a_label_that_another_one_rules_out_is_no_label() -> None:
    columns = to_label_columns(
        use_case_registry.get("fire_response"), {"attendance_seconds": 900.0, "over_360s": False}
    )
    assert columns["attendance_seconds"] == 900.0
    assert np.isnan(columns["over_360s"])


def test_a_pseudonym_is_a_missing_value(engine: Engine, tmp_path: Path) -> None:
    report = report_line({"late": True}, request_id="r1")
    _, frame = export(engine, tmp_path, call_line("r1", town="pseudonym:0123456789abcdef0123"), report)
    assert frame["town"].tolist() == [""]


def test_the_same_outcomes_give_the_same_bytes(engine: Engine, tmp_path: Path) -> None:
    lines = [call_line("r1"), call_line("r2")]
    lines += [report_line({"late": True}, request_id="r1"), report_line({"late": True}, request_id="r2")]
    folder = tmp_path / "workspace" / "data" / "toy" / "outcomes"
    export(engine, tmp_path, *lines)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    export(engine, tmp_path, call_line("r3"), report_line({"late": True}, request_id="r1", at=MADE_AT + 900))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_without_outcomes_the_folder_is_empty(engine: Engine, tmp_path: Path) -> None:
    export(engine, tmp_path)
    assert list((tmp_path / "workspace" / "data" / "toy" / "outcomes").iterdir()) == []


def test_while_the_database_is_away_the_rows_of_before_stay(engine: Engine, tmp_path: Path) -> None:
    export(engine, tmp_path, call_line("r1"), report_line({"late": True}, request_id="r1"))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE outcomes"))
    done, frame = export(engine, tmp_path)
    assert "outcomes" in done.away
    assert len(frame) == 1
