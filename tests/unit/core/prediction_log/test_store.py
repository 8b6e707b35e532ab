"""Records in the tables: each once, and none stops the others."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from services.core.prediction_log.records import decode_record
from services.core.prediction_log.store import DatabaseUnavailableError, store_records
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from tests.unit.core.prediction_log.conftest import call_line, report_line


def put(engine: Engine, *lines: bytes) -> list[str]:
    return [poison.reason for poison in store_records(engine, [decode_record(line) for line in lines])]


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(table.__table__)).mappings()]


def test_a_prediction_is_kept_with_all_that_is_known_of_it(engine: Engine) -> None:
    put(engine, call_line("r1", incident="I-7", late=True, town="Été"))
    [row] = rows(engine, PredictionRow)
    assert (row["use_case"], row["centre"], row["caller_kind"], row["caller_id"]) == ("toy", "north", "user", "ana")
    assert (row["request_id"], row["incident_id"], row["risk"], row["decisions"]) == ("r1", "I-7", True, {"late": True})
    assert (row["model_version"], row["source"], row["latency_us"]) == ("3", "champion", 1_200)
    assert row["request"]["town"] == "Été"
    assert row["answer"]["seconds"]["median"] == 300.0
    assert row["received_at"].isoformat() == "2026-01-01T00:00:00+00:00"


def test_the_same_record_again_is_stored_once(engine: Engine) -> None:
    assert put(engine, call_line("r1"), call_line("r2")) == []
    assert put(engine, call_line("r1"), call_line("r1"), call_line("r3")) == []
    assert sorted(row["request_id"] for row in rows(engine, PredictionRow)) == ["r1", "r2", "r3"]


def test_the_same_request_id_of_another_centre_or_with_another_body_is_another_call(engine: Engine) -> None:
    put(engine, call_line("r1"), call_line("r1", centre="south"), call_line("r1", town="west"))
    assert len(rows(engine, PredictionRow)) == 3


def test_one_poison_record_is_named_and_the_rest_stored(engine: Engine) -> None:
    lines = [call_line(f"r{number}") for number in range(7)]
    lines[4] = lines[4].replace(b'"us":1200', b'"us":1' + b"0" * 30)
    [reason] = put(engine, *lines)
    assert reason
    assert len(rows(engine, PredictionRow)) == 6


def test_a_character_that_no_database_takes_is_replaced(engine: Engine) -> None:
    put(engine, call_line("r1", town="a\0b"))
    assert rows(engine, PredictionRow)[0]["request"]["town"] == "a\ufffdb"


def test_a_database_that_is_not_up_to_date_is_away(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE predictions"))
    with pytest.raises(DatabaseUnavailableError, match="predictions"):
        put(engine, call_line("r1"))


def test_reports_of_one_call_are_all_kept(engine: Engine) -> None:
    put(engine, report_line({"late": True}, incident_id="I-7", at=100.0))
    put(engine, report_line({"late": False}, incident_id="I-7", at=200.0))
    put(engine, report_line({"late": True}, incident_id="I-7", at=300.0))
    assert [row["labels"] for row in rows(engine, OutcomeRow)] == [{"late": True}, {"late": False}, {"late": True}]


def test_a_report_that_repeats_the_newest_one_adds_nothing(engine: Engine) -> None:
    put(engine, report_line({"late": True}, incident_id="I-7", at=100.0))
    put(engine, report_line({"late": True}, incident_id="I-7", at=200.0))
    put(engine, report_line({"late": True}, incident_id="I-8", at=300.0))
    assert len(rows(engine, OutcomeRow)) == 2
