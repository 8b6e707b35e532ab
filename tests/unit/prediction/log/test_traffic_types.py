"""Live calls, exercises and simulations: stated by a header, carried from end to end, and never confused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from services.core.headers import CALL_KIND_HEADER
from services.core.prediction_log.records import decode_record
from services.core.prediction_log.store import store_records
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from tests.unit.core.prediction_log.conftest import MADE_AT, call_line, report_line
from tests.unit.core.prediction_log.test_label_export import export, labels, toy
from tests.unit.prediction.log.test_listing import ids, rows_of
from tests.unit.prediction.log.test_recorded_calls import CALL, Service

__all__ = ["toy"]

OUTCOME = {"incident_id": "I-7", "labels": {"late": True}}


@pytest.fixture
def service(database: Path, tmp_path: Path) -> Iterator[Service]:
    assert database.exists()
    made = Service(tmp_path / "home")
    yield made
    made.close()


def send(service: Service, path: str, body: Any, *kinds: str) -> Any:
    sent = service._client.post(f"/v1/toy/{path}", json=body, headers=[(CALL_KIND_HEADER, kind) for kind in kinds])
    return service._runner.run(sent)


@pytest.mark.parametrize("kind", ["live", "exercise", "simulated"])
def test_what_the_header_says_is_in_the_answer_and_in_the_record(service: Service, kind: str) -> None:
    for path, body in (("predict", CALL), ("predict/batch", {"rows": [CALL]}), ("explain", CALL)):
        assert send(service, path, body, kind).json()["kind"] == kind
    assert send(service, "outcomes", OUTCOME, kind).status_code == 202
    assert [record.row["kind"] for record in service.records()] == [kind] * 3


def test_without_a_header_a_call_is_live(service: Service) -> None:
    assert send(service, "predict", CALL).json()["kind"] == "live"
    assert [record.row["kind"] for record in service.records()] == ["live"]


@pytest.mark.parametrize("kinds", [("drill",), ("",), ("Live",), ("live", "exercise")])
@pytest.mark.parametrize("path", ["predict", "predict/batch", "explain", "outcomes"])
def test_a_kind_that_is_not_clear_is_refused_and_not_taken_for_live(
    service: Service, path: str, kinds: tuple[str, ...]
) -> None:
    answer = send(service, path, {"predict/batch": {"rows": [CALL]}, "outcomes": OUTCOME}.get(path, CALL), *kinds)
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert (fault["field"], fault["type"]) == (CALL_KIND_HEADER, "call_kind")
    assert "exercise" in fault["allowed"]
    assert service.records() == []


def test_the_manual_names_the_header(service: Service) -> None:
    paths = service.get("/v1/openapi.json").json()["paths"]
    for path in ("predict", "predict/batch", "explain", "outcomes"):
        assert CALL_KIND_HEADER in [item["name"] for item in paths[f"/v1/toy/{path}"]["post"]["parameters"]]


def test_what_a_simulator_reports_was_made_up(service: Service) -> None:
    send(service, "outcomes", OUTCOME, "simulated")
    [record] = service.records()
    assert record.row["simulated"] is True


def test_a_made_up_report_is_not_live_even_without_the_header(service: Service) -> None:
    send(service, "outcomes", {**OUTCOME, "simulated": True})
    [record] = service.records()
    assert record.row["kind"] == "simulated"


def test_kinds_are_counted_apart(service: Service) -> None:
    send(service, "predict", CALL, "exercise")
    send(service, "predict", {**CALL, "distance": -1}, "simulated")
    figures = service.get("/metrics").text
    answered = [line for line in figures.splitlines() if line.startswith("vigie_predictions_total{")]
    assert len(answered) == 1
    assert 'kind="exercise"' in answered[0]
    assert 'vigie_refused_rows_total{kind="simulated",use_case="toy"} 1.0' in figures
    assert 'vigie_refused_rows_total{kind="live",use_case="toy"} 0.0' in figures


def test_lists_and_exports_say_the_kind_and_filter_by_it(service: Service, engine: Engine) -> None:
    for at, kind in enumerate(("live", "exercise", "simulated")):
        store_records(engine, [decode_record(call_line(kind, at=MADE_AT + at, call_kind=kind))])
    assert ids(service) == ["simulated", "exercise", "live"]
    assert ids(service, kind="exercise") == ["exercise"]
    rows = rows_of(service.get("/v1/toy/predictions", params={"format": "csv", "kind": "simulated"}))
    assert [row["kind"] for row in rows] == ["simulated"]
    assert service.get("/v1/toy/predictions", params={"kind": "drill"}).status_code == 422


def test_lines_from_before_there_were_kinds_are_live_and_keep_their_id() -> None:
    old, new = decode_record(call_line("r1", call_kind=None)), decode_record(call_line("r1"))
    assert old.row == new.row
    old_report = json.loads(report_line({"late": True}, request_id="r1", simulated=True))
    del old_report["kind"]
    assert decode_record(json.dumps(old_report).encode()).row["kind"] == "simulated"


def test_a_line_of_an_unknown_kind_is_no_record() -> None:
    with pytest.raises(ValueError, match="drill"):
        decode_record(call_line("r1", call_kind="drill"))


def test_an_exercise_that_repeats_a_live_call_is_another_call(engine: Engine) -> None:
    store_records(engine, [decode_record(call_line("r1")), decode_record(call_line("r1", call_kind="exercise"))])
    with engine.connect() as connection:
        assert sorted(connection.execute(select(PredictionRow.kind)).scalars()) == ["exercise", "live"]


def test_an_exercises_report_is_not_the_outcome_of_a_live_call(service: Service, engine: Engine) -> None:
    exercised = report_line({"late": True}, incident_id="I-7", call_kind="exercise")
    lines = [call_line("r1", incident="I-7"), call_line("x1", incident="I-7", call_kind="exercise"), exercised]
    store_records(engine, [decode_record(line) for line in lines])
    listed = service.get("/v1/toy/predictions").json()["predictions"]
    assert {item["request_id"]: item["outcome"] for item in listed} == {"r1": None, "x1": {"late": True}}
    assert ids(service, has_outcome="true") == ["x1"]


def test_an_exercise_becomes_no_training_row(engine: Engine, tmp_path: Path) -> None:
    call = call_line("x1", incident="I-7", call_kind="exercise")
    mine = report_line({"late": True}, incident_id="I-7", call_kind="exercise")
    strangers = report_line({"late": False}, request_id="x1")
    assert export(engine, tmp_path, call, mine, strangers)[0].rows == 0


def test_an_exercise_neither_replaces_nor_corrects_the_live_call_of_its_incident(
    engine: Engine, tmp_path: Path
) -> None:
    live = [call_line("r1", incident="I-7"), report_line({"late": True}, incident_id="I-7")]
    later = [
        call_line("x1", incident="I-7", at=MADE_AT + 60, call_kind="exercise"),
        report_line({"late": False}, incident_id="I-7", at=MADE_AT + 900, call_kind="exercise"),
    ]
    done, frame = export(engine, tmp_path, *live, *later)
    assert (done.rows, done.simulated) == (1, 0)
    assert labels(frame) == [(None, 1.0, None)]


def test_a_simulated_call_is_a_simulated_row_whatever_its_report_says(engine: Engine, tmp_path: Path) -> None:
    done, frame = export(
        engine, tmp_path, call_line("s1", call_kind="simulated"), report_line({"late": True}, request_id="s1")
    )
    assert (done.rows, done.simulated) == (1, 1)
    assert frame["call_simulated"].tolist() == [True]


def test_a_simulation_that_reuses_an_incident_id_leaves_the_live_row_alone(engine: Engine, tmp_path: Path) -> None:
    live = [call_line("r1", incident="I-7"), report_line({"late": True}, incident_id="I-7")]
    made_up = [
        call_line("s1", incident="I-7", at=MADE_AT + 60, call_kind="simulated"),
        report_line({"late": False}, incident_id="I-7", at=MADE_AT + 900, call_kind="simulated", simulated=True),
    ]
    done, frame = export(engine, tmp_path, *live, *made_up)
    by_kind = dict(zip(frame["call_simulated"], labels(frame), strict=True))
    assert by_kind[False] == (None, 1.0, None)
    assert done.simulated == 1


def test_rows_that_a_replica_of_the_version_before_writes_are_live(engine: Engine) -> None:
    written = (
        "INSERT INTO outcomes (id, use_case, centre, caller_kind, caller_id, received_at, simulated, labels) "
        "VALUES ('0', 'toy', 'north', 'user', 'ana', '2026-01-01', 0, '{}')"
    )
    with engine.begin() as connection:
        connection.execute(text(written))
        assert connection.execute(select(OutcomeRow.kind)).scalars().all() == ["live"]
